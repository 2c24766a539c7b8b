//! The objects of a run in a cluster: an immutable ConfigMap with the plan, and the Job whose pod drives it. Pure.
//!
//! The Job's arguments carry the digest of the plan. They cannot be changed once the Job is there, so whoever may write
//! ConfigMaps cannot put another plan into its place. Not here: creating them ([`super`]).

use serde_json::{Value, json};

/// Where the files lie in the pod.
const FOLDER: &str = "/etc/tidepilot";
/// The key of the Secret with the kubeconfig.
pub const KUBECONFIG: &str = "kubeconfig";
/// On both objects: the run.
pub const JOB: &str = "tidepilot/job";
/// Pods that may fail (crash, node lost) before the Job gives up. One that is evicted does not count.
const BACKOFF: u32 = 6;
/// How long a finished Job stays, to be read: a week.
const TTL_S: u32 = 7 * 24 * 3600;
/// From SIGTERM to SIGKILL: what is under way is looked at once more, and the lease is given back.
const GRACE_S: u32 = 60;
/// Exit codes after which starting anew helps nobody: a person has to decide (`app::exit_codes`; 64: usage).
const DECIDED: [u8; 8] = [3, 4, 5, 6, 7, 8, 9, 64];

/// What a Job is made of.
#[derive(Clone, Debug, Default)]
pub struct Order {
    pub run: String,
    pub runbook: String,
    /// `CONTEXT/NAMESPACE/NAME`
    pub target: String,
    pub context: String,
    pub namespace: String,
    /// Name of the Job and of the ConfigMap.
    pub name: String,
    /// The plan's file, as `plan --out` writes it.
    pub plan: String,
    /// File name and text of a runbook that is not the shipped one.
    pub document: Option<(String, String)>,
    pub image: String,
    pub pull_secret: Option<String>,
    pub kubeconfig_secret: String,
    /// Who submits it, as the cluster knows them.
    pub user: String,
    /// Behind what every Job has: the digest, the contexts, the answers.
    pub arguments: Vec<String>,
}

/// Both objects.
#[derive(Clone, Debug)]
pub struct Manifests {
    pub plan: Value,
    pub job: Value,
}

impl Order {
    /// Name of the Job: with the number of records the run had when it was submitted, so that two people who go on with
    /// one run at one time ask for the same name.
    pub fn name_of(run: &str, records: usize) -> String {
        format!("tidepilot-{}-{records}", run.to_ascii_lowercase().replace('_', "-"))
    }

    pub fn manifests(&self) -> Manifests {
        Manifests { plan: self.config_map(), job: self.job() }
    }

    fn labels(&self) -> Value {
        json!({
            "app.kubernetes.io/name": "tidepilot", "app.kubernetes.io/managed-by": "tidepilot", JOB: self.run,
        })
    }

    fn config_map(&self) -> Value {
        let mut data = json!({"plan.json": self.plan});
        if let Some((_, text)) = &self.document {
            data["runbook.yaml"] = json!(text);
        }
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "immutable": true,
            "metadata": {"name": self.name, "namespace": self.namespace, "labels": self.labels()},
            "data": data,
        })
    }

    fn arguments(&self) -> Vec<String> {
        let own = [
            "job".to_owned(),
            format!("--run={}", self.run),
            format!("--plan={FOLDER}/plan/plan.json"),
            format!("--name={}/{}/{}", self.context, self.namespace, self.name),
            format!("--kubeconfig={FOLDER}/access/{KUBECONFIG}"),
            "--state=/tmp/tidepilot".to_owned(),
        ];
        // Kubernetes replaces $(NAME) in arguments; `$$(` stands for itself.
        own.into_iter().chain(self.arguments.iter().map(|text| text.replace("$(", "$$("))).collect()
    }

    #[expect(clippy::too_many_lines, reason = "one document")]
    fn job(&self) -> Value {
        let mut items = vec![json!({"key": "plan.json", "path": "plan.json"})];
        let mut environment = vec![json!({"name": "HOME", "value": "/tmp"})];
        if let Some((file, _)) = &self.document {
            items.push(json!({"key": "runbook.yaml", "path": format!("tidepilot/runbooks/{file}")}));
            environment.push(json!({"name": "XDG_CONFIG_HOME", "value": format!("{FOLDER}/plan")}));
        }
        let mut pod = json!({
            "restartPolicy": "Never",
            // Its own account is used for nothing: what it may do is in the kubeconfig.
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "terminationGracePeriodSeconds": GRACE_S,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{
                "name": "tidepilot",
                "image": self.image,
                "args": self.arguments(),
                "env": environment,
                "resources": {
                    "requests": {"cpu": "50m", "memory": "64Mi", "ephemeral-storage": "64Mi"},
                    "limits": {"memory": "512Mi", "ephemeral-storage": "256Mi"},
                },
                "securityContext": {
                    "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
                },
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "volumeMounts": [
                    {"name": "plan", "mountPath": format!("{FOLDER}/plan"), "readOnly": true},
                    {"name": "access", "mountPath": format!("{FOLDER}/access"), "readOnly": true},
                    {"name": "tmp", "mountPath": "/tmp"},
                ],
            }],
            "volumes": [
                {"name": "plan", "configMap": {"name": self.name, "items": items}},
                {"name": "access", "secret": {
                    "secretName": self.kubeconfig_secret, "defaultMode": 0o440,
                    "items": [{"key": KUBECONFIG, "path": KUBECONFIG}],
                }},
                {"name": "tmp", "emptyDir": {"sizeLimit": "128Mi"}},
            ],
        });
        if let Some(name) = &self.pull_secret {
            pod["imagePullSecrets"] = json!([{"name": name}]);
        }
        json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {
                "name": self.name, "namespace": self.namespace, "labels": self.labels(),
                "annotations": {
                    "tidepilot/runbook": self.runbook, "tidepilot/target": self.target, "tidepilot/user": self.user,
                },
            },
            "spec": {
                "completions": 1, "parallelism": 1, "backoffLimit": BACKOFF, "ttlSecondsAfterFinished": TTL_S,
                // The next pod comes once the one before has really ended.
                "podReplacementPolicy": "Failed",
                "podFailurePolicy": {"rules": [
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                    {"action": "FailJob", "onExitCodes": {
                        "containerName": "tidepilot", "operator": "In", "values": DECIDED,
                    }},
                ]},
                "template": {
                    "metadata": {
                        "labels": self.labels(),
                        // A node that is only scaled down is not worth a new start.
                        "annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
                    },
                    "spec": pod,
                },
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::batch::v1::Job;
    use k8s_openapi::api::core::v1::ConfigMap;
    use serde::Serialize;
    use serde::de::DeserializeOwned;

    use super::*;

    fn order() -> Order {
        Order {
            run: "20261130-010203-ab12".into(),
            runbook: "restart-component".into(),
            target: "legacy/pingcap/basic".into(),
            context: "east".into(),
            namespace: "ops".into(),
            name: Order::name_of("20261130-010203-ab12", 0),
            plan: "{}".into(),
            document: Some(("mine.yaml".into(), "id: mine".into())),
            image: "tidepilot:1".into(),
            pull_secret: Some("registry".into()),
            kubeconfig_secret: "access".into(),
            user: "ann".into(),
            arguments: vec!["--confirm=$(HOME)".into()],
        }
    }

    /// What the API's own type does not know is lost on the way through it.
    fn whole<T: DeserializeOwned + Serialize>(object: &Value) {
        let typed: T = serde_json::from_value(object.clone()).expect("the type fits");
        assert_eq!(serde_json::to_value(&typed).expect("JSON"), *object);
    }

    #[test]
    fn both_objects_have_only_fields_that_the_api_has() {
        let Manifests { plan, job } = order().manifests();
        whole::<ConfigMap>(&plan);
        whole::<Job>(&job);
    }

    #[test]
    fn a_pod_fits_the_restricted_profile_and_has_no_token_of_its_own() {
        let job = order().manifests().job;
        let pod = &job["spec"]["template"]["spec"];
        assert_eq!(pod["automountServiceAccountToken"], false);
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        let container = &pod["containers"][0]["securityContext"];
        assert_eq!(container["allowPrivilegeEscalation"], false);
        assert_eq!(container["readOnlyRootFilesystem"], true);
        assert_eq!(container["capabilities"], json!({"drop": ["ALL"]}));
    }

    #[test]
    fn a_text_of_an_argument_is_not_taken_for_a_variable() {
        let job = order().manifests().job;
        let last = job["spec"]["template"]["spec"]["containers"][0]["args"].as_array().and_then(|all| all.last());
        assert_eq!(last, Some(&json!("--confirm=$$(HOME)")));
    }

    #[test]
    fn names_are_labels_of_dns() {
        let name = Order::name_of("20261130-010203_AB12", 4711);
        assert_eq!(name, "tidepilot-20261130-010203-ab12-4711");
        assert!(name.len() <= 63);
    }
}
