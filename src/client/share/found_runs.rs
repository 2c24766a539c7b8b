//! The runs that are recorded in the clusters: looked for by label, in every context.
//!
//! Reads only. Not here: writing a record ([`super::open_run`]).

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use serde_json::Value;

use crate::client::kube::pages::{self, LARGE};
use crate::client::share::lease::{HOST, Place, RUN, USER};
use crate::client::share::open_run::{
    DATABASE, Head, MANAGED_BY, OPENED, OPENER, RUNBOOK, STATE, TARGET, Written, head_name,
};
use crate::client::wire::link::{Link, Links};
use crate::client::wire::request_error::{RequestError, RequestErrorKind};
use crate::client::write::ManagedKind;
use crate::client::{encode, plain};

/// The TidbClusters of a whole cluster.
const TIDB_CLUSTERS: &str = "/apis/pingcap.com/v1alpha1/tidbclusters";

/// What was found, and one sentence for each context that could not be looked into.
#[derive(Debug, Default)]
pub struct Found {
    pub heads: Vec<Head>,
    pub unseen: Vec<String>,
    /// Contexts whose whole cluster may not be listed.
    pub forbidden: BTreeSet<String>,
}

/// The open runs in every context; with `run`, that one, open or closed. Reads only.
pub async fn find(links: &Links, run: Option<&str>) -> Found {
    find_in(links, run, &BTreeMap::new(), &BTreeMap::new()).await
}

/// The same. `namespaces`, by context: where to look where the whole cluster may not be listed; where TidbClusters are,
/// unless it is given. `dark`: contexts that just
/// did not answer, with why; they are not waited for once more.
pub async fn find_in(
    links: &Links,
    run: Option<&str>,
    namespaces: &BTreeMap<String, BTreeSet<String>>,
    dark: &BTreeMap<String, String>,
) -> Found {
    let selector = match run {
        Some(run) => format!("{MANAGED_BY}=tidepilot,{STATE},{RUN}={run}"),
        None => format!("{MANAGED_BY}=tidepilot,{STATE}=open"),
    };
    let asked = links.iter().filter(|link| !dark.contains_key(link.context())).map(|link| {
        let selector = &selector;
        async move {
            let all = heads(link, link.namespace(), selector).await;
            if link.namespace().is_some() || !matches!(&all, Err(trouble) if is_forbidden(trouble)) {
                return (link.context(), vec![(String::new(), all)]);
            }
            let fewer = match namespaces.get(link.context()) {
                Some(fewer) => fewer.clone(),
                None => with_tidb_clusters(link).await,
            };
            // Without any the refusal of the whole is what is to be told.
            let mut some = if fewer.is_empty() { vec![(String::new(), all)] } else { Vec::new() };
            for namespace in fewer {
                let found = heads(link, Some(&namespace), selector).await;
                some.push((format!("/{namespace}"), found));
            }
            (link.context(), some)
        }
    });
    let mut found = Found::default();
    found.unseen.extend(dark.iter().map(|(context, why)| format!("{context}: {why}")));
    // Two contexts may lead to one cluster; its objects are the same by their uid.
    let mut by_uid: BTreeMap<String, Head> = BTreeMap::new();
    for (context, places) in join_all(asked).await {
        for (namespace, heads) in places {
            if !namespace.is_empty() || matches!(&heads, Err(trouble) if is_forbidden(trouble)) {
                found.forbidden.insert(context.to_owned());
            }
            match heads {
                Ok(heads) => by_uid.extend(heads),
                Err(trouble) => found.unseen.push(format!("{context}{namespace}: {}", trouble.sentence)),
            }
        }
    }
    found.heads = by_uid.into_values().collect();
    found.heads.sort_by(|a, b| (&b.opened, &b.run).cmp(&(&a.opened, &a.run)));
    found
}

fn is_forbidden(trouble: &RequestError) -> bool {
    trouble.kind == RequestErrorKind::Forbidden
}

/// Where a record can lie: who looks at a fleet may often list its TidbClusters everywhere and ConfigMaps beside them only.
async fn with_tidb_clusters(link: &Link) -> BTreeSet<String> {
    let listed = pages::list::<Value>(link, TIDB_CLUSTERS, LARGE).await;
    let items = listed.map(|listed| listed.items).unwrap_or_default();
    items.iter().filter_map(|one| Some(one["metadata"]["namespace"].as_str()?.to_owned())).collect()
}

/// Every open run in the places of a Database's leases. An error where one could not be looked into.
pub async fn open_in(links: &Links, places: &[Place]) -> Result<Vec<Head>, String> {
    let selector = format!("{MANAGED_BY}=tidepilot,{STATE}=open");
    let asked = places.iter().map(|place| {
        let selector = &selector;
        async move { heads(links.need(&place.context)?, Some(&place.namespace), selector).await.map_err(|t| t.sentence) }
    });
    let mut all = Vec::new();
    for heads in join_all(asked).await {
        all.extend(heads?.into_iter().map(|(_, head)| head));
    }
    Ok(all)
}

/// The head of one run's record, where it is known in which namespace it would be; `None`: it is not there. Reads only.
pub async fn at(links: &Links, context: &str, namespace: &str, run: &str) -> Result<Option<Head>, RequestError> {
    let unsent = |why: String| RequestError::unsent(RequestErrorKind::Refused, why);
    let link = links.need(context).map_err(unsent)?;
    match link.get::<Value>(&format!("{}/{}", ManagedKind::ConfigMap.path(namespace), head_name(run))).await {
        Ok(object) => Ok(Some(head(context, &object).1)),
        Err(trouble) if trouble.kind == RequestErrorKind::Missing => Ok(None),
        Err(trouble) => Err(trouble),
    }
}

async fn heads(link: &Link, namespace: Option<&str>, selector: &str) -> Result<Vec<(String, Head)>, RequestError> {
    let scope = namespace.map(|namespace| format!("/namespaces/{namespace}")).unwrap_or_default();
    let path = format!("/api/v1{scope}/configmaps?labelSelector={}", encode(selector));
    let listed = pages::list::<Value>(link, &path, LARGE).await?;
    Ok(listed.items.iter().map(|object| head(link.context(), object)).collect())
}

pub(in crate::client) fn head(context: &str, object: &Value) -> (String, Head) {
    let metadata = &object["metadata"];
    let text = |value: &Value| plain(value.as_str().unwrap_or_default());
    let said = |name: &str| text(&metadata["annotations"][name]);
    let head = Head {
        run: text(&metadata["labels"][RUN]),
        runbook: said(RUNBOOK),
        target: said(TARGET),
        database: said(DATABASE),
        user: said(USER),
        host: said(HOST),
        opened: said(OPENED),
        open: metadata["labels"][STATE] == "open",
        context: context.to_owned(),
        namespace: text(&metadata["namespace"]),
        opener: said(OPENER),
        written: written(metadata),
        object: text(&metadata["name"]),
    };
    (text(&metadata["uid"]), head)
}

/// The latest of the managers that the server notes.
fn written(metadata: &Value) -> Option<Written> {
    let entries = metadata["managedFields"].as_array()?.iter();
    let noted = entries.filter_map(|entry| {
        let text = |name: &str| entry[name].as_str().map(plain);
        Some(Written { manager: text("manager")?, at: text("time")? })
    });
    noted.max_by(|a, b| a.at.cmp(&b.at))
}
