//! A closer look: the cheap one, and then the extras that were asked for, of what it showed.
//!
//! Everything here is optional: what may not be read, or is not answered in time, becomes [`What::Lacking`] with one
//! sentence, and changes nothing about the rest. Not here: the cheap look ([`crate::client::kube::snapshot`]), single objects
//! ([`crate::client::kube::objects`]), PD's own answers ([`crate::client::pd::leader_details`]).

use std::collections::{BTreeMap, BTreeSet};

use futures::future::{BoxFuture, FutureExt as _, join_all};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::client::kube::list_pagination::{self, MANY};
use crate::client::kube::snapshot::{Depth, assemble, change};
use crate::client::pd::leader_details;
use crate::client::wire::link::{Link, Links};
use crate::client::wire::request_error::{RequestError, RequestErrorKind};
use crate::client::{encode, pd, plain};
use crate::fleet::closer_look::{Controller, Event, Extra, Extras, Operator, Policy, RecordGuard};
use crate::fleet::database::{Database, databases};
use crate::fleet::object_kind::{ObjectId, ObjectKind};
use crate::fleet::pd_pod_to_ask::pod_to_ask;
use crate::fleet::tidbcluster::TidbCluster;
use crate::fleet::tls::{authority_secret, wanted_of};
use crate::fleet::tls_toggle::pod_speaks_tls;
use crate::fleet::volume_claim::Claim;
use crate::fleet::workload::Pod;
use crate::fleet::{Change, Fleet, KubeCluster, ObjectKey, ObjectRef, What};

/// Heads of run records, whosever.
const RECORD_HEADS: &str = "app.kubernetes.io/managed-by=tidepilot,tidepilot/state";
/// Name of the policy in `assets/rbac/run-records-policy.yaml`.
const RECORDS_POLICY: &str = "tidepilot-run-records";

/// Most events that are kept of one KubeCluster.
const MOST_EVENTS: usize = 500;

impl Links {
    /// Looks at the named contexts (`None`: all of them), then closer at what was seen there.
    pub async fn look_closer(&self, contexts: Option<&BTreeSet<String>>, extras: &Extras) -> Vec<Change> {
        self.look_closer_at(contexts, extras, Depth::Whole).await
    }

    /// The same at a depth.
    pub async fn look_closer_at(
        &self,
        contexts: Option<&BTreeSet<String>>,
        extras: &Extras,
        depth: Depth,
    ) -> Vec<Change> {
        let mut changes = self.look_at_depth(contexts, depth).await;
        let fleet = assemble(changes.iter().cloned());
        changes.extend(self.closer(&fleet, extras).await);
        changes
    }

    /// Only the extras of what a fleet shows: nothing in it can undo what a watch has learned meanwhile.
    pub async fn closer(&self, fleet: &Fleet, extras: &Extras) -> Vec<Change> {
        let secrets = if extras.has(Extra::Secrets) { wanted_secrets(fleet) } else { BTreeSet::new() };
        let mut looks: Vec<BoxFuture<'_, Vec<Change>>> = Vec::new();
        // A cluster that says nothing at all is asked nothing more.
        for cluster in fleet.clusters.values().filter(|cluster| cluster.freshness.answers()) {
            let Some(link) = self.get(&cluster.context) else { continue };
            if extras.has(Extra::Claims) {
                looks.push(bounded(link, Extra::Claims, claims(link)).boxed());
            }
            if extras.has(Extra::Events) {
                looks.push(bounded(link, Extra::Events, events(link, cluster)).boxed());
            }
            if extras.has(Extra::Operator) {
                looks.push(bounded(link, Extra::Operator, operator(link)).boxed());
            }
            if extras.has(Extra::CertManager) {
                looks.push(bounded(link, Extra::CertManager, cert_manager(link)).boxed());
            }
            if extras.has(Extra::Records) {
                looks.push(bounded(link, Extra::Records, records(link)).boxed());
            }
            if extras.has(Extra::Served) {
                looks.push(served(link, cluster).boxed());
            }
        }
        if !secrets.is_empty() {
            looks.push(self.look_at_objects(&secrets).boxed());
        }
        if extras.has(Extra::Pd) {
            for database in databases(fleet) {
                looks.push(self.details(fleet, database).boxed());
            }
        }
        join_all(looks).await.into_iter().flatten().collect()
    }

    /// PD's details of one Database, from its leader's pod where that one answered.
    async fn details(&self, fleet: &Fleet, database: Database) -> Vec<Change> {
        let Some((of, pod)) = pod_to_ask(fleet, &database) else { return Vec::new() };
        let (Some(link), Some(cluster)) = (self.get(&of.context), fleet.clusters.get(&of.context)) else {
            return Vec::new();
        };
        let Some(found) = cluster.pods.get(&pod) else { return Vec::new() };
        let details = Box::new(leader_details::ask(link, found, fleet.tidb_cluster(&of)).await);
        vec![change(link, What::PdDetails { pod, details })]
    }

    /// How many regions lack something, by one PD pod; `None` where its KubeCluster is not ours.
    pub async fn count_regions(&self, context: &str, pod: &Pod, tc: Option<&TidbCluster>) -> Option<Change> {
        let link = self.get(context)?;
        let counts = leader_details::count_regions(link, pod, tc).await;
        Some(change(link, What::RegionCounts { pod: pod.metadata.key(), counts }))
    }
}

/// The certificate of every running PD pod with TLS.
async fn served(link: &Link, cluster: &KubeCluster) -> Vec<Change> {
    let pods = cluster.pods.values().filter(|pod| pd::is_running_pd(pod));
    let owned = pods.filter_map(|pod| Some((pod, pd::owner(pod, cluster.tidb_clusters.values())?)));
    let asked = owned.filter(|(pod, tc)| pod_speaks_tls(pod, tc)).map(|(pod, tc)| async move {
        let served = pd::served(link, pod, tc).await;
        change(link, What::Served { pod: pod.metadata.key(), served })
    });
    join_all(asked).await
}

/// The Secrets that the TidbClusters with TLS need (`domain.md` §1.4), and the places of their CA: who shall sign anew?
fn wanted_secrets(fleet: &Fleet) -> BTreeSet<ObjectId> {
    let of_all = fleet.tidb_clusters().flat_map(|(of, tc)| {
        let wanted = wanted_of(tc);
        let ca = (!wanted.is_empty()).then(|| authority_secret(tc.name()));
        let names = wanted.into_iter().map(|wanted| wanted.secret).chain(ca);
        names.map(move |name| ObjectRef::new(&of.context, &of.namespace, name)).collect::<Vec<_>>()
    });
    of_all.map(|at| ObjectId::new(ObjectKind::Secret, &at)).collect()
}

/// Runs one reading within the time of a look; what fails becomes a sentence.
async fn bounded(link: &Link, extra: Extra, reading: impl Future<Output = Result<What, RequestError>>) -> Vec<Change> {
    let limit = link.limits().look;
    let read = tokio::time::timeout(limit, reading).await.unwrap_or_else(|_| Err(link.too_late(limit, true)));
    let what = read.unwrap_or_else(|trouble| What::Lacking { extra, sentence: lacking(extra, &trouble) });
    vec![change(link, what)]
}

fn lacking(extra: Extra, trouble: &RequestError) -> String {
    let what = match extra {
        Extra::Claims => "persistentvolumeclaims",
        Extra::Events => "events",
        Extra::Operator => "the operator's deployments",
        Extra::Secrets => "secrets",
        Extra::CertManager => "the versions of cert-manager.io",
        Extra::Pd => "PD",
        Extra::Served => "the certificates that PD serves",
        Extra::Records => "run records and their admission policy",
    };
    match trouble.kind {
        RequestErrorKind::Forbidden => format!("may not list {what}"),
        RequestErrorKind::Unreachable
        | RequestErrorKind::AuthNeeded
        | RequestErrorKind::Missing
        | RequestErrorKind::Expired
        | RequestErrorKind::Answered
        | RequestErrorKind::Refused => format!("{what} could not be read: {}", trouble.sentence),
    }
}

/// Every item of a list, page by page. A kind or namespace that is not there has none.
async fn list<T: DeserializeOwned>(link: &Link, path: &str) -> Result<Vec<T>, RequestError> {
    match list_pagination::list(link, path, MANY).await {
        Ok(listed) => Ok(listed.items),
        Err(trouble) if trouble.kind == RequestErrorKind::Missing => Ok(Vec::new()),
        Err(trouble) => Err(trouble),
    }
}

const MANAGED: &str = "labelSelector=app.kubernetes.io%2Fmanaged-by%3Dtidb-operator";

async fn claims(link: &Link) -> Result<What, RequestError> {
    #[derive(Deserialize)]
    struct Volume {
        metadata: VolumeMeta,
        spec: VolumeSpec,
    }
    #[derive(Deserialize)]
    struct VolumeMeta {
        name: String,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct VolumeSpec {
        #[serde(default)]
        persistent_volume_reclaim_policy: Option<String>,
    }
    let scope = link.namespace().map(|namespace| format!("/namespaces/{namespace}")).unwrap_or_default();
    // All of them: a StatefulSet binds a claim by its name, whatever its labels have become.
    let path = format!("/api/v1{scope}/persistentvolumeclaims?");
    let volumes = format!("/api/v1/persistentvolumes?{MANAGED}");
    let (claims, volumes) = futures::join!(list::<Claim>(link, &path), list::<Volume>(link, &volumes));
    let mut claims = claims?;
    // Volumes are cluster-wide and often not for us to see: the policy is then not known, which is no gap of its own.
    let policies: BTreeMap<String, String> = volumes
        .unwrap_or_default()
        .into_iter()
        .filter_map(|volume| Some((volume.metadata.name, volume.spec.persistent_volume_reclaim_policy?)))
        .collect();
    for claim in &mut claims {
        let volume = claim.spec.volume_name.as_ref();
        claim.reclaim_policy = volume.and_then(|volume| policies.get(volume)).cloned();
    }
    Ok(What::Claims(claims))
}

/// Warning events in the namespaces with TidbClusters, on these, their StatefulSets and their pods.
async fn events(link: &Link, cluster: &KubeCluster) -> Result<What, RequestError> {
    let namespaces: BTreeSet<&str> = cluster.tidb_clusters.keys().map(|key| key.namespace.as_str()).collect();
    let lists = namespaces.iter().flat_map(|namespace| {
        ["TidbCluster", "StatefulSet", "Pod"].map(|kind| {
            let selector = encode(&format!("type=Warning,involvedObject.kind={kind}"));
            let path = format!("/api/v1/namespaces/{namespace}/events?fieldSelector={selector}");
            async move { list::<Value>(link, &path).await }
        })
    });
    let mut all = Vec::new();
    for raw in join_all(lists).await {
        all.extend(raw?.iter().filter_map(event));
    }
    all.retain(|event| match event.kind.as_str() {
        "TidbCluster" => cluster.tidb_clusters.contains_key(&event.object),
        "StatefulSet" => cluster.stateful_sets.contains_key(&event.object),
        _ => cluster.pods.contains_key(&event.object),
    });
    all.sort_by_key(|event| std::cmp::Reverse(event.last));
    all.truncate(MOST_EVENTS);
    Ok(What::Events(all))
}

/// By discovery, which everybody who is known may read.
async fn cert_manager(link: &Link) -> Result<What, RequestError> {
    #[derive(Deserialize)]
    struct Group {
        #[serde(default)]
        versions: Vec<Version>,
    }
    #[derive(Deserialize)]
    struct Version {
        version: String,
    }
    match link.get::<Group>("/apis/cert-manager.io").await {
        Ok(group) => Ok(What::CertManager(group.versions.into_iter().map(|one| plain(&one.version)).collect())),
        Err(trouble) if trouble.kind == RequestErrorKind::Missing => Ok(What::CertManager(Vec::new())),
        Err(trouble) => Err(trouble),
    }
}

/// Whether run records lie here, and whether the policy of `assets/rbac` binds whoever writes them.
async fn records(link: &Link) -> Result<What, RequestError> {
    let scope = link.namespace().map(|namespace| format!("/namespaces/{namespace}")).unwrap_or_default();
    let heads = format!("/api/v1{scope}/configmaps?limit=1&labelSelector={}", encode(RECORD_HEADS));
    let registration = "/apis/admissionregistration.k8s.io/v1";
    let found: Value = link.get(&heads).await?;
    let bindings = format!("{registration}/validatingadmissionpolicybindings?");
    let policies = format!("{registration}/validatingadmissionpolicies?");
    let (policies, bindings) = futures::join!(
        list_pagination::list::<Value>(link, &policies, MANY),
        list_pagination::list::<Value>(link, &bindings, MANY)
    );
    let policy = match (policies, bindings) {
        (Ok(policies), Ok(bindings)) if in_force(&policies.items, &bindings.items) => Policy::InForce,
        (Ok(_), Ok(_)) => Policy::Absent,
        (Err(trouble), _) | (_, Err(trouble)) if trouble.kind == RequestErrorKind::Missing => Policy::NotServed,
        (Err(trouble), _) | (_, Err(trouble)) => return Err(trouble),
    };
    let records = found["items"].as_array().is_some_and(|items| !items.is_empty());
    Ok(What::Records(RecordGuard { records, policy }))
}

/// By the name that it ships with, and bound so that it denies everywhere.
fn in_force(policies: &[Value], bindings: &[Value]) -> bool {
    let named = |policy: &Value| policy["metadata"]["name"] == RECORDS_POLICY;
    let denies = |binding: &Value| {
        let actions = binding["spec"]["validationActions"].as_array();
        binding["spec"]["policyName"] == RECORDS_POLICY
            && actions.is_some_and(|actions| actions.iter().any(|action| action == "Deny"))
            && binding["spec"]["matchResources"].is_null()
    };
    policies.iter().any(named) && bindings.iter().any(denies)
}

fn event(raw: &Value) -> Option<Event> {
    let text = |pointer: &str| raw.pointer(pointer).and_then(Value::as_str);
    let time = |pointer: &str| text(pointer).and_then(|time| time.parse::<Timestamp>().ok());
    let last = time("/series/lastObservedTime").or(time("/lastTimestamp")).or(time("/eventTime"));
    let count = raw.pointer("/series/count").or(raw.get("count")).and_then(Value::as_u64);
    Some(Event {
        kind: text("/involvedObject/kind")?.to_owned(),
        object: ObjectKey::new(text("/involvedObject/namespace")?, text("/involvedObject/name")?),
        reason: plain(text("/reason").unwrap_or_default()),
        message: plain(text("/message").unwrap_or_default()),
        count: count.unwrap_or(1),
        last: last.or(time("/metadata/creationTimestamp")),
    })
}

async fn operator(link: &Link) -> Result<What, RequestError> {
    let components = encode("app.kubernetes.io/component in (controller-manager,admission-webhook)");
    let deployments = format!("/apis/apps/v1/deployments?labelSelector={components}");
    let registration = "/apis/admissionregistration.k8s.io/v1";
    let validating = format!("{registration}/validatingwebhookconfigurations?");
    let mutating = format!("{registration}/mutatingwebhookconfigurations?");
    let (deployments, validating, mutating) = futures::join!(
        list::<Value>(link, &deployments),
        list::<Value>(link, &validating),
        list::<Value>(link, &mutating)
    );
    let webhooks = validating.and_then(|validating| Ok([validating, mutating?].concat()));
    let webhooks = webhooks.ok().map(|all| {
        let named = all.iter().filter_map(|one| one.pointer("/metadata/name")?.as_str());
        named.filter(|name| name.contains("admission.tidb.pingcap.com")).map(ToOwned::to_owned).collect()
    });
    Ok(What::OperatorState(Box::new(Operator {
        deployments: deployments?.iter().filter_map(controller).collect(),
        webhooks,
    })))
}

/// Others label their controllers the same way, so only an image called tidb-operator counts.
fn controller(raw: &Value) -> Option<Controller> {
    let text = |pointer: &str| raw.pointer(pointer).and_then(Value::as_str);
    let image = text("/spec/template/spec/containers/0/image").filter(|image| image.contains("tidb-operator"))?;
    let number = |pointer: &str| raw.pointer(pointer).and_then(Value::as_i64);
    Some(Controller {
        key: ObjectKey::new(text("/metadata/namespace")?, text("/metadata/name")?),
        image: plain(image),
        component: raw.pointer("/metadata/labels/app.kubernetes.io~1component")?.as_str()?.to_owned(),
        wanted: number("/spec/replicas").unwrap_or(1),
        available: number("/status/availableReplicas").unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn events_of_both_shapes() {
        let old = json!({"involvedObject": {"kind": "TidbCluster", "namespace": "db", "name": "basic"},
            "reason": "FailedScaleIn", "message": "in use\u{1b}[2J", "count": 7, "lastTimestamp": "2026-01-01T00:00:00Z"});
        let read = event(&old).expect("an event");
        assert_eq!((read.count, read.message.as_str()), (7, "in use [2J"));
        assert_eq!(read.last, "2026-01-01T00:00:00Z".parse().ok());
        let new = json!({"involvedObject": {"kind": "Pod", "namespace": "db", "name": "basic-pd-0"}, "reason": "X",
            "eventTime": "2026-01-01T00:00:00.000001Z", "series": {"count": 3, "lastObservedTime": "2026-01-02T00:00:00Z"}});
        let read = event(&new).expect("an event");
        assert_eq!((read.count, read.last), (3, "2026-01-02T00:00:00Z".parse().ok()));
        assert_eq!(event(&json!({"reason": "X"})), None);
    }

    #[test]
    fn a_policy_is_in_force_where_it_is_bound_and_denies() {
        let policy = [json!({"metadata": {"name": RECORDS_POLICY}})];
        let binding = |spec: Value| [json!({ "spec": spec })];
        let denies = json!({"policyName": RECORDS_POLICY, "validationActions": ["Deny"]});
        assert!(in_force(&policy, &binding(denies.clone())));
        assert!(!in_force(&[], &binding(denies.clone())) && !in_force(&policy, &[]));
        for (field, value) in [
            ("validationActions", json!(["Audit"])),
            ("policyName", json!("another")),
            ("matchResources", json!({"namespaceSelector": {"matchLabels": {"a": "b"}}})),
        ] {
            let mut spec = denies.clone();
            spec[field] = value;
            assert!(!in_force(&policy, &binding(spec)), "{field}");
        }
        let shipped = include_str!("../../../assets/rbac/run-records-policy.yaml");
        let all: Vec<Value> = shipped.split("---\n").map(|text| serde_saphyr::from_str(text).expect("YAML")).collect();
        assert!(in_force(&all, &all), "{all:?}");
    }

    #[test]
    fn only_the_operator_counts() {
        let mut raw = json!({"metadata": {"namespace": "tidb-admin", "name": "tidb-controller-manager",
                "labels": {"app.kubernetes.io/component": "controller-manager"}},
            "spec": {"replicas": 1, "template": {"spec": {"containers": [{"image": "pingcap/tidb-operator:v1.6.6"}]}}},
            "status": {}});
        assert_eq!(controller(&raw).map(|one| (one.wanted, one.available)), Some((1, 0)));
        raw["spec"]["template"]["spec"]["containers"][0]["image"] = json!("other/manager:v9");
        assert_eq!(controller(&raw), None);
    }
}
