//! What a person looks at closely: logs, events and single objects, asked for only while they are on the screen.
//!
//! [`Ask`] is what is wanted, [`News`] what comes of it. Pure data: nothing of it enters the [`super::Fleet`], and no
//! gate reads it. How it is asked for: `client::kube::logs_and_events`; how it is kept and shown: `app::logs_and_events`.

use jiff::Timestamp;
use serde_json::Value;

use super::ObjectRef;
use super::controller_revision::Revision;

/// Kinds that can be looked at as they are served. No Secret is among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Pod,
    TidbCluster,
}

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Kind::Pod => "Pod",
            Kind::TidbCluster => "TidbCluster",
        }
    }

    /// As kubectl takes it.
    pub fn short(self) -> &'static str {
        match self {
            Kind::Pod => "pod",
            Kind::TidbCluster => "tc",
        }
    }

    pub fn plural(self) -> &'static str {
        match self {
            Kind::Pod => "pods",
            Kind::TidbCluster => "tidbclusters",
        }
    }

    pub fn path(self, of: &ObjectRef) -> String {
        let prefix = match self {
            Kind::Pod => "/api/v1",
            Kind::TidbCluster => "/apis/pingcap.com/v1alpha1",
        };
        format!("{prefix}/namespaces/{}/{}/{}", of.namespace, self.plural(), of.name)
    }
}

/// One object of a kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Thing {
    pub kind: Kind,
    pub of: ObjectRef,
}

/// A namespace of a KubeCluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub context: String,
    pub namespace: String,
}

/// One pod whose log is read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogOf {
    pub pod: ObjectRef,
    /// `None`: the only one.
    pub container: Option<String>,
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Follows these; `previous`: the run before, once.
    Logs { of: Vec<LogOf>, previous: bool },
    /// Events of these namespaces; `about`: of this object alone.
    Events { places: Vec<Place>, about: Option<Thing> },
    /// These objects as they are served.
    Objects(Vec<Thing>),
    /// Former templates of the StatefulSets of these namespaces.
    Revisions(Vec<Place>),
}

/// Pods whose logs are read at once; more are not asked for, and that is said.
pub const MOST_LOGS: usize = 24;

/// What came of it. Indexes are into the list of the [`Ask`].
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    Lines {
        of: usize,
        lines: Vec<LogLine>,
    },
    /// How it stands with one log; one sentence where it is not being read.
    Log {
        of: usize,
        state: Reading,
    },
    Events {
        place: usize,
        events: Result<Vec<Happening>, String>,
    },
    Object {
        of: usize,
        object: Result<Box<Value>, String>,
    },
    Revisions {
        place: usize,
        all: Result<Vec<Revision>, String>,
    },
}

/// How it stands with reading a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    #[default]
    Asking,
    Following,
    /// Read to its end.
    Over,
    /// It is asked for again.
    Waiting(String),
    /// It is not asked for again.
    Refused(String),
}

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When the container runtime took it.
    pub at: Timestamp,
    pub text: String,
}

/// One Event of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    pub last: Timestamp,
    pub count: u64,
    pub warning: bool,
    pub reason: String,
    /// `Pod/basic-pd-0`
    pub about: String,
    pub from: String,
    pub message: String,
    pub uid: String,
}

impl Happening {
    /// From the API's JSON; `None` where no time is told.
    pub fn read(event: &Value) -> Option<Self> {
        let text = |path: &str| event.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let times = ["/series/lastObservedTime", "/lastTimestamp", "/eventTime", "/metadata/creationTimestamp"];
        let last = times.iter().find_map(|path| text(path).parse().ok())?;
        let count = ["/series/count", "/count"].iter().find_map(|path| event.pointer(path)?.as_u64()).unwrap_or(1);
        let from = ["/reportingComponent", "/source/component"].iter().map(|path| text(path));
        Some(Self {
            last,
            count: count.max(1),
            warning: text("/type") == "Warning",
            reason: text("/reason").to_owned(),
            about: format!("{}/{}", text("/involvedObject/kind"), text("/involvedObject/name")),
            from: from.into_iter().find(|from| !from.is_empty()).unwrap_or_default().to_owned(),
            message: text("/message").trim().to_owned(),
            uid: text("/metadata/uid").to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn events_of_both_forms() {
        let old = json!({"metadata": {"uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"}, "type": "Warning", "reason": "BackOff",
            "involvedObject": {"kind": "Pod", "name": "a"}, "message": " again \n", "count": 3, "lastTimestamp": "2026-01-01T00:05:00Z",
            "source": {"component": "kubelet"}, "reportingComponent": ""});
        let read = Happening::read(&old).expect("an event");
        assert_eq!(read.last.to_string(), "2026-01-01T00:05:00Z");
        assert_eq!((read.count, read.warning, read.about.as_str(), read.from.as_str()), (3, true, "Pod/a", "kubelet"));
        assert_eq!(read.message, "again");
        let new = json!({"metadata": {}, "eventTime": "2026-01-01T00:00:00.5Z", "lastTimestamp": null,
            "series": {"count": 7, "lastObservedTime": "2026-01-01T01:00:00.000000Z"}, "reportingComponent": "scheduler"});
        let read = Happening::read(&new).expect("an event");
        assert_eq!((read.count, read.last.to_string().as_str()), (7, "2026-01-01T01:00:00Z"));
        assert_eq!(Happening::read(&json!({"metadata": {}})), None);
    }
}
