//! The Kubernetes objects that we read: their paths, paged lists, watches, and the facts about a cluster itself.
//!
//! Slim types straight from the API's JSON; PD's and TiKV's pods and StatefulSets by label selector, so that a
//! cluster full of other people's pods costs nothing. Used by [`crate::client::kube::snapshot`] and [`crate::client::kube::watch`]; neither retries
//! nor judges.

use std::collections::BTreeMap;

use futures::{Stream, StreamExt as _, TryStreamExt as _};
use http_body_util::BodyExt as _;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use tokio_util::codec::{FramedRead, LinesCodec};
use tokio_util::io::StreamReader;

use crate::client::kube::list_pagination::{self, Limit, MANY, with};
use crate::client::wire::link::Link;
use crate::client::wire::request_error::{RequestError, RequestErrorKind};
use crate::client::{encode, now};
use crate::fleet::corefile;
use crate::fleet::dns::Dns;
use crate::fleet::tidbcluster::TidbCluster;
use crate::fleet::workload::{Pod, StatefulSet, image_tag};
use crate::fleet::{Crd, Keyed, OperatorPods, WatchEvent, What};
use crate::pluralize::total;

/// More objects than this in one context are refused rather than held.
const PAGES: Limit = Limit { per_page: 200, pages: 250 };
/// Longest line of a watch: one object.
const LONGEST_EVENT: usize = 8 * 1024 * 1024;
/// How long the server keeps one watch open: opening it again costs a request, and its bookmarks show that it lives.
const WATCH_S: u64 = 600;
/// How long the CRD's schema is believed.
const SCHEMA_KEPT: jiff::SignedDuration = jiff::SignedDuration::from_secs(600);

/// A kind that is listed and watched.
pub(in crate::client) trait Kind: Keyed + DeserializeOwned + Clone + Send + Sync + 'static {
    const PLURAL: &'static str;
    const PREFIX: &'static str;
    const SELECTOR: Option<&'static str>;
    fn all(all: Vec<Self>) -> What;
    fn one(one: WatchEvent<Self>) -> What;
    fn resource_version(&self) -> &str;

    /// Path and query of the list, without paging.
    fn path(namespace: Option<&str>) -> String {
        let scope = namespace.map(|namespace| format!("/namespaces/{namespace}")).unwrap_or_default();
        let selector =
            Self::SELECTOR.map(|selector| format!("?labelSelector={}", encode(selector))).unwrap_or_default();
        format!("{}{scope}/{}{selector}", Self::PREFIX, Self::PLURAL)
    }
}

const MANAGED: Option<&str> = Some("app.kubernetes.io/managed-by=tidb-operator");

macro_rules! kind {
    ($type:ident, $plural:literal, $prefix:literal, $selector:expr, $all:ident) => {
        impl Kind for $type {
            const PLURAL: &'static str = $plural;
            const PREFIX: &'static str = $prefix;
            const SELECTOR: Option<&'static str> = $selector;
            fn all(all: Vec<Self>) -> What {
                What::$all(all)
            }
            fn one(one: WatchEvent<Self>) -> What {
                What::$type(one)
            }
            fn resource_version(&self) -> &str {
                &self.metadata.resource_version
            }
        }
    };
}

kind!(TidbCluster, "tidbclusters", "/apis/pingcap.com/v1alpha1", None, TidbClusters);
kind!(Pod, "pods", "/api/v1", MANAGED, Pods);
kind!(StatefulSet, "statefulsets", "/apis/apps/v1", MANAGED, StatefulSets);

/// Lists everything of one kind, page by page, with the version to watch from.
pub(in crate::client) async fn list<K: Kind>(link: &Link) -> Result<(Vec<K>, String), RequestError> {
    let listed = list_pagination::list(link, &K::path(link.namespace()), PAGES).await?;
    let version = listed.resource_version.clone();
    link.listed.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(K::PLURAL, version);
    Ok((listed.items, listed.resource_version))
}

/// One event of a watch.
pub(in crate::client) enum Event<K> {
    Changed(WatchEvent<K>, String),
    /// Nothing changed up to this version.
    Bookmark(String),
}

/// Watches one kind from a version on. Ends when the server ends it; [`RequestErrorKind::Expired`] asks for a new list.
pub(in crate::client) async fn events<K: Kind>(
    link: &Link,
    from: &str,
) -> Result<impl Stream<Item = Result<Event<K>, RequestError>> + use<K>, RequestError> {
    let base = with(&K::path(link.namespace()), "watch=true");
    let from = encode(from);
    let path = format!("{base}&allowWatchBookmarks=true&timeoutSeconds={WATCH_S}&resourceVersion={from}");
    let response = link.stream(&path).await?;
    let server = link.server().to_owned();
    let body = response.into_body().into_data_stream().map_err(std::io::Error::other);
    let lines = FramedRead::new(StreamReader::new(body), LinesCodec::new_with_max_length(LONGEST_EVENT));
    Ok(lines.filter_map(move |line| {
        let event = match line {
            Ok(line) if line.trim().is_empty() => None,
            Ok(line) => Some(event(&server, &line)),
            Err(error) => Some(Err(RequestError::broken(&server, &error))),
        };
        futures::future::ready(event)
    }))
}

pub(in crate::client) fn event<K: Kind>(server: &str, line: &str) -> Result<Event<K>, RequestError> {
    #[derive(Deserialize)]
    struct Raw {
        r#type: String,
        object: Value,
    }
    let odd = |why: String| {
        let sentence = format!("{server} sent an unexpected watch event: {}", crate::client::plain(&why));
        RequestError { kind: RequestErrorKind::Answered, ..RequestError::cut(sentence) }
    };
    let raw: Raw = serde_json::from_str(line).map_err(|error| odd(error.to_string()))?;
    let decode = |object: Value| serde_json::from_value::<K>(object).map_err(|error| odd(error.to_string()));
    match raw.r#type.as_str() {
        "ADDED" | "MODIFIED" => {
            let object = decode(raw.object)?;
            let version = object.resource_version().to_owned();
            Ok(Event::Changed(WatchEvent::Set(Box::new(object)), version))
        }
        "DELETED" => {
            let object = decode(raw.object)?;
            Ok(Event::Changed(WatchEvent::Gone(object.key()), object.resource_version().to_owned()))
        }
        "BOOKMARK" => {
            let version = raw.object.pointer("/metadata/resourceVersion").and_then(Value::as_str);
            Ok(Event::Bookmark(version.unwrap_or_default().to_owned()))
        }
        "ERROR" => {
            let code = raw.object.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
            let status = code.and_then(|code| http::StatusCode::from_u16(code).ok());
            let status = status.unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
            Err(RequestError::answered(server, status, raw.object.to_string().as_bytes()))
        }
        other => Err(odd(format!("type {other:?}"))),
    }
}

/// `v1.33.4`: also the cheapest proof that a server lives and knows us.
pub(in crate::client) async fn version(link: &Link) -> Result<String, RequestError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Version {
        git_version: String,
    }
    Ok(link.get::<Version>("/version").await?.git_version)
}

/// The UID of `kube-system`: which cluster this really is.
pub(in crate::client) async fn identity(link: &Link) -> Result<String, RequestError> {
    #[derive(Deserialize)]
    struct Namespace {
        metadata: crate::fleet::tidbcluster::Meta,
    }
    Ok(link.get::<Namespace>("/api/v1/namespaces/kube-system").await?.metadata.uid)
}

/// What the CRD said when it was last read, not long ago: it is 1.3 MB.
pub(in crate::client) fn known_crd(link: &Link) -> Option<Crd> {
    let known = *link.across_k8s.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (across_k8s, _) = known.filter(|(_, read)| now().duration_since(*read) < SCHEMA_KEPT)?;
    Some(Crd::Served { across_k8s: Some(across_k8s) })
}

/// What the cluster knows of TidbClusters, by asking for the definitions.
pub(in crate::client) async fn crd(link: &Link) -> Result<Crd, RequestError> {
    #[derive(Deserialize)]
    struct Definition {
        spec: Spec,
    }
    #[derive(Deserialize)]
    struct Spec {
        versions: Vec<Version>,
    }
    #[derive(Deserialize)]
    struct Version {
        name: String,
        #[serde(default)]
        schema: Option<Schema>,
    }
    #[derive(Deserialize)]
    struct Schema {
        #[serde(rename = "openAPIV3Schema", default)]
        root: Option<Root>,
    }
    #[derive(Deserialize)]
    struct Root {
        #[serde(default)]
        properties: BTreeMap<String, Properties>,
    }
    #[derive(Deserialize)]
    struct Properties {
        #[serde(default)]
        properties: BTreeMap<String, IgnoredAny>,
    }
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    match link.get::<Definition>(&format!("{path}/tidbclusters.pingcap.com")).await {
        Ok(definition) => {
            let version = definition.spec.versions.into_iter().find(|version| version.name == "v1alpha1");
            let root = version.and_then(|version| version.schema?.root);
            let spec =
                root.and_then(|mut root| root.properties.remove("spec")).filter(|spec| !spec.properties.is_empty());
            let across_k8s = spec.map(|spec| spec.properties.contains_key("acrossK8s"));
            if let Some(known) = across_k8s {
                *link.across_k8s.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some((known, now()));
            }
            Ok(Crd::Served { across_k8s })
        }
        Err(trouble) => match trouble.kind {
            RequestErrorKind::Missing => {
                match link.get::<IgnoredAny>(&format!("{path}/clusters.core.pingcap.com")).await {
                    Ok(_) => Ok(Crd::OperatorV2Only),
                    Err(other) if other.kind == RequestErrorKind::Missing => Ok(Crd::Missing),
                    Err(other) => Err(other),
                }
            }
            RequestErrorKind::Unreachable
            | RequestErrorKind::AuthNeeded
            | RequestErrorKind::Forbidden
            | RequestErrorKind::Expired
            | RequestErrorKind::Answered
            | RequestErrorKind::Refused => Err(trouble),
        },
    }
}

/// Image tag of `tidb-controller-manager`, and how many of its pods there should be and are.
pub(in crate::client) async fn operator_version(
    link: &Link,
) -> Result<(Option<String>, Option<OperatorPods>), RequestError> {
    let path = "/apis/apps/v1/deployments?labelSelector=app.kubernetes.io%2Fcomponent%3Dcontroller-manager";
    let list = list_pagination::list::<Value>(link, path, MANY).await?.items;
    let all = list.iter();
    let image =
        |deployment: &Value| Some(deployment.pointer("/spec/template/spec/containers/0/image")?.as_str()?.to_owned());
    let ours: Vec<(String, &Value)> = all
        .filter_map(|deployment| Some((image(deployment)?, deployment)))
        .filter(|(image, _)| image.contains("tidb-operator"))
        .collect();
    // Left out by the API server it is 1 and 0.
    let count = |path: &str, absent| -> i64 {
        total(ours.iter().map(|(_, one)| one.pointer(path).and_then(Value::as_i64).unwrap_or(absent)))
    };
    let pods = (!ours.is_empty())
        .then(|| OperatorPods { wanted: count("/spec/replicas", 1), available: count("/status/availableReplicas", 0) });
    Ok((operator_tag(ours.iter().map(|(image, _)| image.as_str())), pods))
}

/// Others label their controllers the same way, so only an image called tidb-operator counts.
fn operator_tag<'a>(mut images: impl Iterator<Item = &'a str>) -> Option<String> {
    image_tag(images.find(|image| image.contains("tidb-operator"))?).map(str::to_owned)
}

/// The DNS domains of the cluster as CoreDNS is configured; `None` where there is no such configuration.
pub(in crate::client) async fn dns(link: &Link) -> Result<Option<Dns>, RequestError> {
    #[derive(Deserialize)]
    struct ConfigMap {
        #[serde(default)]
        data: BTreeMap<String, String>,
    }
    let map: ConfigMap = link.get("/api/v1/namespaces/kube-system/configmaps/coredns").await?;
    Ok(map.data.get("Corefile").map(|text| corefile::read(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_images() {
        let cases: [(&[&str], Option<&str>); 5] = [
            (&["pingcap/tidb-operator:v1.6.6"], Some("v1.6.6")),
            (&["registry:5000/x/tidb-operator:v1.5.0@sha256:00"], Some("v1.5.0")),
            (&["other/manager:v9", "pingcap/tidb-operator:v1.6.1"], Some("v1.6.1")),
            (&["registry:5000/tidb-operator"], None),
            (&[], None),
        ];
        for (images, expected) in cases {
            assert_eq!(operator_tag(images.iter().copied()).as_deref(), expected, "{images:?}");
        }
    }

    #[test]
    fn watch_events() {
        let line = r#"{"type":"DELETED","object":{"metadata":{"name":"a","namespace":"n","resourceVersion":"7"}}}"#;
        assert!(
            matches!(event::<Pod>("s", line), Ok(Event::Changed(WatchEvent::Gone(key), version)) if key.name == "a" && version == "7")
        );
        let line = r#"{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}"#;
        assert_eq!(event::<Pod>("s", line).map(|_| ()).expect_err("expired").kind, RequestErrorKind::Expired);
        assert!(event::<Pod>("s", "{").is_err() && event::<Pod>("s", r#"{"type":"X","object":{}}"#).is_err());
    }
}
