//! A node for the Jobs of the simulated fleet: a Job controller and a kubelet that start the real binary.
//!
//! It does what Kubernetes does with a Job's pod template, and knows nothing of a run: files of ConfigMaps and Secrets as
//! links into a folder, arguments and environment as they stand, a termination message, `podFailurePolicy`, a new pod after a
//! failure. Only paths are others: each mount is a folder of its own, and arguments that begin with one lead there.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use k8s_openapi::ByteString;
use serde_json::{Value, json};
use tidepilot::sim::object_store::{Store, now};

/// An image that no registry has.
pub const MISSING_IMAGE: &str = "missing:1";

/// One pod's process.
struct Process {
    child: Child,
    job: String,
    folder: PathBuf,
}

type Processes = Arc<Mutex<BTreeMap<String, Process>>>;

/// Runs until it is dropped; its processes end with it.
pub struct Node {
    processes: Processes,
    over: Arc<AtomicBool>,
    work: Option<JoinHandle<()>>,
    store: Store,
    namespace: String,
    double: Arc<AtomicBool>,
}

impl Node {
    /// Serves the Jobs of one namespace. `environment`: what its pods have besides their own.
    pub fn start(store: &Store, namespace: &str, folder: &Path, environment: &[(&str, &str)]) -> Self {
        let (processes, over) = (Processes::default(), Arc::new(AtomicBool::new(false)));
        let double = Arc::new(AtomicBool::new(false));
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut kubelet = Kubelet {
            store: store.clone(),
            namespace: namespace.to_owned(),
            folder: folder.to_owned(),
            environment,
            processes: Arc::clone(&processes),
            double: Arc::clone(&double),
            made: 0,
        };
        let ended = Arc::clone(&over);
        let work = std::thread::spawn(move || {
            while !ended.load(Ordering::SeqCst) {
                kubelet.tick();
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        Self { processes, over, work: Some(work), store: store.clone(), namespace: namespace.to_owned(), double }
    }

    /// Sends a signal to every process of the node, and says how many there were.
    pub fn signal(&self, name: &str) -> usize {
        let processes = self.processes.lock().expect("not poisoned");
        for process in processes.values() {
            let sent = Command::new("kill").args([&format!("-{name}"), &process.child.id().to_string()]).status();
            assert!(sent.expect("kill is there").success(), "{name}");
        }
        processes.len()
    }

    /// Evicts every pod: its condition first, then SIGTERM.
    pub fn evict(&self) {
        for pod in self.pods() {
            let name = pod["metadata"]["name"].as_str().expect("a name").to_owned();
            let disrupted = json!({"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"});
            self.store.edit("pods", &self.namespace, &name, |pod| pod["status"]["conditions"] = json!([disrupted]));
        }
        self.signal("TERM");
    }

    /// Has every Job that is under way get one pod more beside the one that is alive.
    pub fn double(&self) {
        self.double.store(true, Ordering::SeqCst);
    }

    /// Writes the Secret into the files of running pods once more, as a kubelet does a while after it was changed.
    pub fn refresh(&self, secret: &str) {
        let found = self.store.get("secrets", &self.namespace, secret).expect("there");
        let bytes = serde_json::from_value::<ByteString>(found["data"]["kubeconfig"].clone()).expect("base64").0;
        for process in self.processes.lock().expect("not poisoned").values() {
            fs::write(process.folder.join("volumes/access/..data/kubeconfig"), &bytes).expect("our own");
        }
    }

    pub fn pods(&self) -> Vec<Value> {
        let all = self.store.list("pods", Some(&self.namespace));
        all.into_iter().filter(|pod| pod["metadata"]["labels"]["job-name"].is_string()).collect()
    }

    pub fn jobs(&self) -> Vec<Value> {
        self.store.list("jobs", Some(&self.namespace))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        if let Some(work) = self.work.take() {
            let _ = work.join();
        }
        for process in self.processes.lock().expect("not poisoned").values_mut() {
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
    }
}

struct Kubelet {
    store: Store,
    namespace: String,
    folder: PathBuf,
    environment: Vec<(String, String)>,
    processes: Processes,
    double: Arc<AtomicBool>,
    made: usize,
}

fn text<'a>(value: &'a Value, at: &str) -> &'a str {
    value.pointer(at).and_then(Value::as_str).unwrap_or_default()
}

impl Kubelet {
    fn tick(&mut self) {
        self.collect();
        for job in self.store.list("jobs", Some(&self.namespace)) {
            let finished =
                job.pointer("/status/conditions").and_then(Value::as_array).is_some_and(|all| !all.is_empty());
            if !finished {
                self.advance(&job);
            }
        }
        self.forget();
    }

    /// Starts the pod that a Job lacks.
    fn advance(&mut self, job: &Value) {
        let name = text(job, "/metadata/name");
        let own = |pod: &Value| pod["metadata"]["labels"]["job-name"] == name;
        let pods: Vec<Value> = self.store.list("pods", Some(&self.namespace)).into_iter().filter(own).collect();
        let alive = pods.iter().find(|pod| matches!(text(pod, "/status/phase"), "Pending" | "Running"));
        let one_more = alive.is_some() && self.double.swap(false, Ordering::SeqCst);
        let pod = match alive {
            Some(pod) if !one_more => pod.clone(),
            Some(_) | None => {
                self.made += 1;
                let mut pod = job["spec"]["template"].clone();
                pod["apiVersion"] = json!("v1");
                pod["kind"] = json!("Pod");
                pod["metadata"]["name"] = json!(format!("{name}-{}", self.made));
                pod["metadata"]["namespace"] = json!(self.namespace);
                pod["metadata"]["labels"]["job-name"] = json!(name);
                pod["metadata"]["creationTimestamp"] = json!(format!("2030-01-01T00:00:{:02}Z", self.made));
                pod["metadata"]["ownerReferences"] = json!([{
                    "apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": job["metadata"]["uid"], "controller": true,
                }]);
                pod["status"] = json!({"phase": "Pending"});
                self.store.put("pods", pod)
            }
        };
        let pod_name = text(&pod, "/metadata/name").to_owned();
        if text(&pod, "/status/phase") == "Pending" {
            self.begin(name, &pod_name, &pod);
        }
    }

    fn begin(&self, job: &str, pod_name: &str, pod: &Value) {
        let container = &pod["spec"]["containers"][0];
        if container["image"] == MISSING_IMAGE {
            let waiting =
                json!({"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image \"missing:1\""}});
            self.status(pod_name, json!([{"name": "tidepilot", "state": waiting}]), None);
            return;
        }
        let folder = self.folder.join(pod_name);
        let mounts = match self.mounts(pod, &folder) {
            Ok(mounts) => mounts,
            Err(why) => return self.warn(pod_name, "FailedMount", &why),
        };
        let at = |value: &str| -> String {
            let inside = |(mount, own): &(String, PathBuf)| {
                let rest = value.strip_prefix(mount.as_str())?;
                (rest.is_empty() || rest.starts_with('/')).then(|| format!("{}{rest}", own.display()))
            };
            mounts.iter().find_map(inside).unwrap_or_else(|| value.to_owned())
        };
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidepilot"));
        for argument in container["args"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            match argument.split_once('=').filter(|(name, _)| name.starts_with("--")) {
                Some((name, value)) => command.arg(format!("{name}={}", at(value))),
                None => command.arg(at(argument)),
            };
        }
        let log = fs::File::create(folder.join("log")).expect("writable");
        fs::write(folder.join("termination-log"), "").expect("writable");
        command.env_clear().current_dir(&folder);
        for entry in container["env"].as_array().into_iter().flatten() {
            command.env(text(entry, "/name"), at(text(entry, "/value")));
        }
        command
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("TIDEPILOT_TERMINATION_LOG", folder.join("termination-log"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log);
        let child = command.spawn().expect("the binary starts");
        let process = Process { child, job: job.to_owned(), folder };
        self.processes.lock().expect("not poisoned").insert(pod_name.to_owned(), process);
        self.status(
            pod_name,
            json!([{"name": "tidepilot", "state": {"running": {"startedAt": now()}}}]),
            Some("Running"),
        );
    }

    /// A folder for each mount, with the files of its volume. `Err`: what a kubelet would say.
    fn mounts(&self, pod: &Value, folder: &Path) -> Result<Vec<(String, PathBuf)>, String> {
        let volumes = pod["spec"]["volumes"].as_array().cloned().unwrap_or_default();
        let mut all = Vec::new();
        for mount in pod["spec"]["containers"][0]["volumeMounts"].as_array().into_iter().flatten() {
            let name = text(mount, "/name");
            let volume = volumes.iter().find(|volume| volume["name"] == name).ok_or("no such volume")?;
            let own = folder.join("volumes").join(name);
            let _ = fs::create_dir_all(&own);
            // As Kubernetes makes the folders of volumes.
            fs::set_permissions(&own, fs::Permissions::from_mode(0o777)).expect("our own");
            let files = if volume["configMap"].is_object() {
                let map = text(volume, "/configMap/name");
                let found = self.store.get("configmaps", &self.namespace, map);
                let found = found.ok_or_else(|| format!("configmap \"{map}\" not found"))?;
                self.items(&volume["configMap"]["items"], |key| Some(found["data"][key].as_str()?.as_bytes().to_vec()))?
            } else if volume["secret"].is_object() {
                let secret = text(volume, "/secret/secretName");
                let found = self.store.get("secrets", &self.namespace, secret);
                let found = found.ok_or_else(|| format!("secret \"{secret}\" not found"))?;
                self.items(&volume["secret"]["items"], |key| {
                    Some(serde_json::from_value::<ByteString>(found["data"][key].clone()).ok()?.0)
                })?
            } else {
                Vec::new()
            };
            for (path, bytes) in files {
                let kept = own.join("..data").join(&path);
                fs::create_dir_all(kept.parent().expect("a folder")).expect("our own");
                fs::write(&kept, bytes).expect("our own");
                let link = own.join(&path);
                fs::create_dir_all(link.parent().expect("a folder")).expect("our own");
                let _ = fs::remove_file(&link);
                symlink(&kept, &link).expect("our own");
            }
            all.push((text(mount, "/mountPath").to_owned(), own));
        }
        Ok(all)
    }

    fn items(&self, items: &Value, of: impl Fn(&str) -> Option<Vec<u8>>) -> Result<Vec<(String, Vec<u8>)>, String> {
        let one = |item: &Value| {
            let key = text(item, "/key");
            let bytes = of(key).ok_or_else(|| format!("references non-existent key: {key}"))?;
            Ok((text(item, "/path").to_owned(), bytes))
        };
        items.as_array().into_iter().flatten().map(one).collect()
    }

    fn warn(&self, pod: &str, reason: &str, message: &str) {
        self.store.put(
            "events",
            json!({
                "apiVersion": "v1", "kind": "Event", "type": "Warning", "reason": reason, "message": message,
                "metadata": {"name": format!("{pod}.1"), "namespace": self.namespace},
                "involvedObject": {"kind": "Pod", "name": pod, "namespace": self.namespace},
            }),
        );
    }

    fn status(&self, pod: &str, containers: Value, phase: Option<&str>) {
        self.store.edit("pods", &self.namespace, pod, |pod| {
            pod["status"]["containerStatuses"] = containers;
            if let Some(phase) = phase {
                pod["status"]["phase"] = json!(phase);
            }
        });
    }

    /// Writes down which processes have ended, and what that means for their Jobs.
    fn collect(&self) {
        let mut processes = self.processes.lock().expect("not poisoned");
        let ended: Vec<String> = processes
            .iter_mut()
            .filter_map(|(pod, process)| process.child.try_wait().expect("a child").is_some().then(|| pod.clone()))
            .collect();
        for name in ended {
            let Some(mut process) = processes.remove(&name) else { continue };
            let status = process.child.wait().expect("ended");
            let code = status.code().unwrap_or(137);
            let said = fs::read_to_string(process.folder.join("termination-log")).unwrap_or_default();
            let log = fs::read_to_string(process.folder.join("log")).unwrap_or_default();
            let said = if said.is_empty() && code != 0 { log } else { said };
            let terminated = json!({"terminated": {"exitCode": code, "message": said}});
            let phase = if code == 0 { "Succeeded" } else { "Failed" };
            self.status(&name, json!([{"name": "tidepilot", "state": terminated}]), Some(phase));
            self.judge(&process.job, &name, code);
        }
    }

    fn judge(&self, job: &str, pod: &str, code: i32) {
        let Some(found) = self.store.get("jobs", &self.namespace, job) else { return };
        let pod = self.store.get("pods", &self.namespace, pod).unwrap_or_default();
        let condition = if code == 0 {
            json!({"type": "Complete", "status": "True"})
        } else {
            let rules = found["spec"]["podFailurePolicy"]["rules"].as_array().cloned().unwrap_or_default();
            let rule = rules.iter().find(|rule| {
                let conditions = rule["onPodConditions"].as_array().cloned().unwrap_or_default();
                let has = |wanted: &Value| {
                    let all = pod["status"]["conditions"].as_array().into_iter().flatten();
                    all.into_iter().any(|one| one["type"] == wanted["type"] && one["status"] == wanted["status"])
                };
                let codes = rule["onExitCodes"]["values"].as_array().cloned().unwrap_or_default();
                conditions.iter().any(has) || codes.contains(&json!(code))
            });
            let failed = found["status"]["failed"].as_u64().unwrap_or(0) + 1;
            let limit = found["spec"]["backoffLimit"].as_u64().unwrap_or(6);
            match rule.map(|rule| text(rule, "/action").to_owned()).as_deref() {
                Some("Ignore") => return,
                Some("FailJob") => json!({"type": "Failed", "status": "True", "reason": "PodFailurePolicy",
                    "message": format!("exit code {code} matching FailJob rule")}),
                _ if failed > limit => json!({"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded",
                    "message": "Job has reached the specified backoff limit"}),
                _ => {
                    self.store.edit("jobs", &self.namespace, job, |job| job["status"]["failed"] = json!(failed));
                    return;
                }
            }
        };
        self.store.edit("jobs", &self.namespace, job, |job| job["status"]["conditions"] = json!([condition]));
    }

    /// A Job that was deleted takes its pods with it.
    fn forget(&self) {
        let processes = self.processes.lock().expect("not poisoned");
        for process in processes.values() {
            if self.store.get("jobs", &self.namespace, &process.job).is_none() {
                let _ = Command::new("kill").args(["-TERM", &process.child.id().to_string()]).status();
            }
        }
    }
}
