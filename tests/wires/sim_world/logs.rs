//! What containers print and what happens to pods, as kubectl gets it: follow, previous, since, tail, timestamps, events.

use std::process::Stdio;
use std::time::Duration;

use tidepilot::sim::{Sim, SimOptions};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::sim_world::wires::eventually;

struct Bed {
    pub(super) sim: Sim,
    directory: tempfile::TempDir,
}

impl Bed {
    /// `None` where there is no kubectl.
    async fn start(speed: f64) -> Option<Bed> {
        let found = std::process::Command::new("kubectl").args(["version", "--client"]).output().is_ok();
        if !found {
            assert_ne!(std::env::var("CI").ok().as_deref(), Some("true"), "kubectl is missing");
            return None;
        }
        let sim = Sim::start(SimOptions { speed, ..SimOptions::default() }).await.expect("a fleet");
        let directory = tempfile::tempdir().expect("a folder");
        sim.write_kubeconfig(&directory.path().join("kubeconfig")).expect("written");
        Some(Bed { sim, directory })
    }

    fn kubectl(&self, arguments: &str) -> Command {
        let mut command = Command::new("kubectl");
        command.env("KUBECONFIG", self.directory.path().join("kubeconfig")).env("HOME", self.directory.path());
        command.args("--context legacy -n pingcap".split(' ')).args(arguments.split(' '));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    async fn run(&self, arguments: &str) -> (bool, String, String) {
        let output = self.kubectl(arguments).output().await.expect("kubectl runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.success(), text(&output.stdout), text(&output.stderr))
    }

    async fn ok(&self, arguments: &str) -> String {
        let (good, output, errors) = self.run(arguments).await;
        assert!(good, "{arguments}: {errors}");
        output
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_reads_and_follows_logs() {
    let Some(bed) = Bed::start(50.0).await else { return };
    let all = bed.ok("logs basic-pd-0").await;
    assert!(all.contains("[\"Welcome to Placement Driver (PD)\"]"), "{all}");
    let lines = all.lines().count();
    assert_eq!(bed.ok("logs basic-pd-0 --tail 2").await.lines().count(), 2);
    assert_eq!(bed.ok("logs basic-pd-0 --tail 0").await, "");
    let dated = bed.ok("logs basic-pd-0 --timestamps --tail 1").await;
    let time = dated.split(' ').next().and_then(|time| time.parse::<jiff::Timestamp>().ok());
    assert!(time.is_some(), "{dated}");
    assert!(bed.ok("logs basic-pd-0 --since 1h").await.lines().count() >= lines);
    assert!(bed.ok("logs basic-pd-0 --since-time 2100-01-01T00:00:00Z").await.is_empty());
    assert_eq!(bed.ok("logs basic-pd-0 --limit-bytes 5").await.len(), 5);

    // Nothing ran before, there is no such container, and no such pod.
    for (arguments, words) in [
        ("logs basic-pd-0 --previous", "previous terminated container \"pd\" in pod \"basic-pd-0\" not found"),
        ("logs basic-pd-0 -c nope", "container nope is not valid for pod basic-pd-0"),
        ("logs basic-pd-9", "pods \"basic-pd-9\" not found"),
    ] {
        let (good, _, errors) = bed.run(arguments).await;
        assert!(!good && errors.contains(words), "{arguments}: {errors}");
    }

    // Who follows sees the change of a member, and the end of the container ends the following.
    let mut child = bed.kubectl("logs -f basic-pd-1 --tail 1").spawn().expect("kubectl starts");
    let mut followed = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut next = async || {
        let line = tokio::time::timeout(Duration::from_secs(20), followed.next_line()).await.expect("in time");
        line.expect("readable")
    };
    assert!(next().await.is_some());
    let members = bed.sim.database("basic").expect("a Database");
    let first = &members[0];
    bed.sim.set_peer_url("basic", first.id, "http://basic-pd-0.elsewhere:2380").expect("a leader took it");
    loop {
        let line = next().await.expect("it goes on");
        if line.contains("[\"updated member\"]") {
            assert!(line.contains(&format!("{:x}", first.id)) && line.contains("elsewhere:2380"), "{line}");
            break;
        }
    }
    bed.sim.set_peer_url("basic", first.id, &first.peer_urls[0]).expect("put back");
    assert!(bed.sim.kill_process("legacy", "pingcap", "basic-pd-1").expect("a context"), "it ran");
    while next().await.is_some() {}
    assert!(child.wait().await.expect("an end").success());

    // The run that was killed is the previous one, once the next has begun.
    eventually("the container again", || async {
        let (good, output, _) = bed.run("logs basic-pd-1 --previous").await;
        let again = bed.run("logs basic-pd-1").await.1;
        (good && output.contains("updated member") && !again.contains("updated member")).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_has_not_started_has_no_log() {
    let Some(bed) = Bed::start(0.001).await else { return };
    // Behind the first tick, which would write over it, time stands still.
    tokio::time::sleep(Duration::from_millis(300)).await;
    bed.sim.store("legacy").expect("a context").edit("pods", "pingcap", "basic-tikv-0", |pod| {
        pod["status"]["containerStatuses"][0]["state"] =
            serde_json::json!({"waiting": {"reason": "ContainerCreating"}});
    });
    let (good, _, errors) = bed.run("logs basic-tikv-0").await;
    let words = "container \"tikv\" in pod \"basic-tikv-0\" is waiting to start: ContainerCreating";
    assert!(!good && errors.contains(words), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn leaders_are_told_by_those_whom_they_concern() {
    let Some(bed) = Bed::start(50.0).await else { return };
    let before = bed.sim.leader("basic").expect("a leader");
    let members = bed.sim.database("basic").expect("a Database");
    let pod = |id: u64| members.iter().find(|member| member.id == id).map(|member| member.name.clone());
    let name = pod(before).expect("a name");
    let name = name.split('.').next().expect("a pod").to_owned();
    assert!(bed.sim.kill_process("legacy", "pingcap", &name).expect("a context"));
    eventually("another leader of PD", || async {
        let all = bed.ok("logs -l app.kubernetes.io/component=pd --tail -1").await;
        let term = all.lines().any(|line| line.contains("became leader at term"));
        (term && all.matches("[\"PD leader is ready to serve\"]").count() >= 1 && all.contains("lost leader"))
            .then_some(())
    })
    .await;
    eventually("the stores heard of it", || async {
        bed.ok("logs basic-tikv-0").await.contains("connected to PD member").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_lists_the_events_of_a_restart() {
    let Some(bed) = Bed::start(50.0).await else { return };
    assert!(bed.sim.kill_process("legacy", "pingcap", "basic-tikv-1").expect("a context"));
    let asked = "get events --field-selector involvedObject.kind=Pod,involvedObject.name=basic-tikv-1";
    let wanted = ["Scheduled", "Pulled", "Created", "Started", "BackOff"];
    eventually("what the kubelet says", || async {
        let events = bed.ok(asked).await;
        wanted.iter().all(|word| events.contains(word)).then_some(())
    })
    .await;
    assert!(!bed.ok(asked).await.contains("basic-tikv-0"));
    bed.ok("delete pod basic-tikv-1 --wait=false").await;
    eventually("a new pod", || async {
        let events = bed.ok("get events").await;
        events.contains("SuccessfulCreate").then_some(())
    })
    .await;
}
