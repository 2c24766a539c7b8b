//! One JSON line for every request that reached a simulated server.
//!
//! Kept in memory for tests and, when a file is given, appended there as well. It records; it judges nothing.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

/// Lines kept in memory; a file gets them all.
const MEMORY_LIMIT: usize = 200_000;

/// A request to a simulated Kubernetes API server.
#[derive(Clone, Debug)]
pub struct KubeRequest {
    pub kube_cluster: String,
    pub method: String,
    pub path: String,
    pub query: String,
    pub status: u16,
    pub dry_run: bool,
    /// The User-Agent header; empty where there was none.
    pub agent: String,
}

/// A request to a simulated PD.
#[derive(Clone, Debug)]
pub struct PdRequest {
    pub kube_cluster: String,
    pub pod: String,
    pub method: String,
    pub path: String,
    pub status: u16,
    /// The User-Agent header; empty where there was none.
    pub agent: String,
}

#[derive(Debug)]
struct Lines {
    memory: Vec<Value>,
    file: Option<File>,
}

/// The log of one simulated fleet. Clones share it.
#[derive(Clone, Debug)]
pub struct RequestLog(Arc<Mutex<Lines>>);

impl RequestLog {
    /// A log in memory, and in a file (truncated) when one is named.
    pub fn new(file: Option<PathBuf>) -> io::Result<Self> {
        let file = file.map(File::create).transpose()?;
        Ok(Self(Arc::new(Mutex::new(Lines { memory: Vec::new(), file }))))
    }

    pub fn kube(&self, request: KubeRequest) {
        let KubeRequest { kube_cluster, method, path, query, status, dry_run, agent } = request;
        self.add(json!({
            "kubeCluster": kube_cluster, "method": method, "path": path, "query": query, "status": status, "dryRun": dry_run,
            "agent": agent,
        }));
    }

    pub fn pd(&self, request: PdRequest) {
        let PdRequest { kube_cluster, pod, method, path, status, agent } = request;
        self.add(json!({"kubeCluster": kube_cluster, "pod": pod, "method": method, "path": path, "status": status, "agent": agent}));
    }

    /// Everything so far, oldest first.
    pub fn lines(&self) -> Vec<Value> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).memory.clone()
    }

    fn add(&self, line: Value) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &mut lines.file {
            // A full disk must not stop the simulated fleet.
            let _ = file.write_all(format!("{line}\n").as_bytes());
        }
        if lines.memory.len() < MEMORY_LIMIT {
            lines.memory.push(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_the_documented_fields() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("log");
        let log = RequestLog::new(Some(path.clone())).expect("a writable file");
        log.pd(PdRequest {
            kube_cluster: "east".into(),
            pod: "pd-0".into(),
            method: "GET".into(),
            path: "/health".into(),
            status: 200,
            agent: "curl/8".into(),
        });
        let text = std::fs::read_to_string(path).expect("the file just written");
        assert_eq!(
            text.trim(),
            r#"{"kubeCluster":"east","pod":"pd-0","method":"GET","path":"/health","status":200,"agent":"curl/8"}"#
        );
        assert_eq!(log.lines().len(), 1);
    }
}
