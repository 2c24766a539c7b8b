//! Reading a request's path, query and `Accept` header into words the other files use.
//!
//! Pure text work: it looks nothing up in the store and refuses nothing itself.

use crate::sim::object_store::{RESOURCES, Resource};

/// Query parameters in order, decoded.
#[derive(Clone, Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(raw: &str) -> Query {
        let pairs = raw.split('&').filter(|pair| !pair.is_empty());
        Query(
            pairs
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decode(&name.replace('+', " ")), decode(&value.replace('+', " ")))
                })
                .collect(),
        )
    }

    /// The first value of a parameter; an empty one counts as absent.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next().filter(|value| !value.is_empty())
    }

    pub(super) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some("true" | "1"))
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }

    pub(super) fn dry_run(&self) -> bool {
        self.all("dryRun").any(|value| value == "All")
    }
}

/// What a path under `/api/v1` or `/apis/GROUP/VERSION` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub kind: &'static Resource,
    pub namespace: Option<String>,
    pub name: Option<String>,
    pub subresource: Option<String>,
}

impl Target {
    /// `None` when no known kind is named.
    pub(super) fn parse(path: &str) -> Option<Target> {
        let parts: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(decode).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let find = |plural: &str| {
            RESOURCES.iter().find(|kind| kind.group == group && kind.version == version && kind.plural == plural)
        };
        let text = |part: Option<&&str>| part.map(|part| (*part).to_owned());
        let (namespace, plural, rest) = match rest {
            ["namespaces", namespace, plural, rest @ ..] if !matches!(*plural, "status" | "finalize") => {
                (Some((*namespace).to_owned()), *plural, rest)
            }
            [plural, rest @ ..] => (None, *plural, rest),
            [] => return None,
        };
        let kind = find(plural)?;
        let too_deep = rest.len() > 2;
        // A namespaced object has no address without its namespace; a cluster-wide one has none inside a namespace.
        let misplaced =
            (namespace.is_some() && !kind.namespaced) || (kind.namespaced && namespace.is_none() && !rest.is_empty());
        if too_deep || misplaced {
            return None;
        }
        Some(Target { kind, namespace, name: text(rest.first()), subresource: text(rest.get(1)) })
    }
}

/// How the client wants objects shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Whole,
    Table,
    Metadata,
}

impl Shape {
    /// The first form in `Accept` that we can make.
    pub(super) fn of(accept: &str) -> Shape {
        for media in accept.split(',') {
            let mut parts = media.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default();
            let parameter = |wanted: &str| {
                media
                    .split(';')
                    .filter_map(|part| part.trim().split_once('='))
                    .find(|(name, _)| *name == wanted)
                    .map(|pair| pair.1)
            };
            match (kind, parameter("as"), parameter("v")) {
                ("application/json", Some("Table"), Some("v1")) => return Shape::Table,
                ("application/json", Some("PartialObjectMetadata" | "PartialObjectMetadataList"), Some("v1")) => {
                    return Shape::Metadata;
                }
                ("application/json" | "*/*" | "application/*", None, _) => return Shape::Whole,
                _ => {}
            }
        }
        Shape::Whole
    }
}

/// Undoes percent encoding; what is not valid stays as it is.
pub(super) fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let words = |path: &str| {
            Target::parse(path).map(|target| {
                let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
                let (namespace, name) = (or_dash(target.namespace), or_dash(target.name));
                format!("{} {namespace} {name} {}", target.kind.plural, or_dash(target.subresource))
            })
        };
        let check = |path: &str, expected: &str| assert_eq!(words(path).as_deref(), Some(expected), "{path}");
        check("/api/v1/pods", "pods - - -");
        check("/api/v1/namespaces/a/pods/b/log", "pods a b log");
        check("/api/v1/namespaces/a", "namespaces - a -");
        check("/api/v1/namespaces/a/status", "namespaces - a status");
        check("/apis/pingcap.com/v1alpha1/namespaces/a%62/tidbclusters/x", "tidbclusters ab x -");
        for path in [
            "/api/v1/things",
            "/apis/apps/v1beta1/statefulsets",
            "/api/v1/pods/b",
            "/api/v1/namespaces/a/nodes",
            "/api",
        ] {
            assert_eq!(words(path), None, "{path}");
        }
    }

    #[test]
    fn accept_headers() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(Shape::of(kubectl), Shape::Table);
        assert_eq!(Shape::of("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"), Shape::Metadata);
        assert_eq!(Shape::of("application/vnd.kubernetes.protobuf, application/json"), Shape::Whole);
        assert_eq!(Shape::of(""), Shape::Whole);
    }

    #[test]
    fn queries() {
        let query = Query::parse("labelSelector=a%3Db%2Cc&watch=1&ports=1&ports=2&dryRun=All&empty=");
        assert_eq!(query.get("labelSelector"), Some("a=b,c"));
        assert!(query.flag("watch") && query.dry_run());
        assert_eq!(query.all("ports").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(query.get("empty"), None);
    }
}
