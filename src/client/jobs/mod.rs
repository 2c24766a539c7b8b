//! Runs that are driven in a cluster: a Kubernetes Job of tidepilot's own image, with the plan that a person agreed to.
//!
//! The Job brings no way of its own to touch the world: its pod drives the run as a laptop does, under the same lease and
//! the same record, with the credentials of a Secret. [`manifest`] says what the objects look like, [`kubeconfig_secret`] what that
//! Secret holds, [`job_status`] what became of a Job. Not here: what the pod does (`app::driver::job_pod`), whom to ask
//! (`cli::run_in_job`).

pub mod api_reachability;
pub mod job_status;
pub mod kubeconfig_secret;
pub mod manifest;

use serde_json::{Value, json};

use self::manifest::Manifests;
use crate::client::wire::link::Link;
use crate::client::wire::permit::WritePermit;
use crate::client::write::store_object::{ManagedKind, NotStored, rehearse_store, store};

/// What the server would say to both objects; nothing is stored. `Err`: one sentence.
pub async fn rehearse(link: &Link, permit: &WritePermit, manifests: &Manifests) -> Result<(), String> {
    for (kind, object) in [(ManagedKind::ConfigMap, &manifests.plan), (ManagedKind::Job, &manifests.job)] {
        rehearse_store(link, permit, kind, object).await.map_err(|trouble| trouble.sentence)?;
    }
    Ok(())
}

/// Whether this name is taken by what does nothing any more: a Job that is over, or a plan without its Job.
pub async fn is_used_up(link: &Link, namespace: &str, name: &str) -> bool {
    match job_status::look(link, namespace, name).await {
        Ok(seen) if seen.gone => {
            link.get::<Value>(&format!("{}/{name}", ManagedKind::ConfigMap.path(namespace))).await.is_ok()
        }
        Ok(seen) => seen.finished,
        // Whoever may not look hears from the server that it is taken.
        Err(_) => false,
    }
}

/// Creates the plan's ConfigMap and then the Job, which owns it. `Err`: one sentence, with what was left behind.
pub async fn submit(link: &Link, permit: &WritePermit, manifests: &Manifests) -> Result<(), String> {
    let limit = link.limits().request;
    let mut plan = store(link, permit, ManagedKind::ConfigMap, &manifests.plan, limit).await.map_err(why)?;
    let job = match store(link, permit, ManagedKind::Job, &manifests.job, limit).await {
        Ok(job) => job,
        Err(not_stored) => {
            let doubt = if not_stored.in_doubt() { "; whether the Job is there is not known" } else { "" };
            return Err(format!("{}{doubt}; the ConfigMap of the plan stays", why(not_stored)));
        }
    };
    // With the Job the plan goes too. Where this fails it stays behind, and does no harm.
    plan["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "batch/v1", "kind": "Job", "name": job["metadata"]["name"], "uid": job["metadata"]["uid"],
    }]);
    if let Some(metadata) = plan["metadata"].as_object_mut() {
        metadata.shift_remove("managedFields");
    }
    let _: Result<Value, NotStored> = store(link, permit, ManagedKind::ConfigMap, &plan, limit).await;
    Ok(())
}

fn why(not_stored: NotStored) -> String {
    match not_stored {
        NotStored::Lost(lost) => lost.to_string(),
        NotStored::RequestError(trouble) => trouble.sentence,
    }
}
