//! The client room on real wires: the simulated fleet's API servers, port-forwards and PD behind them.
//!
//! Each test looks at the server's own request log for what was really sent. Not here: pure tables (in their files),
//! real etcd (`tests/wires/etcd.rs`), the run's engine.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidepilot::client::kube::pod_probe::{probe, resolv_domain};
use tidepilot::client::kube::rights::{Right, denied};
use tidepilot::client::write::{perform, rehearse};
use tidepilot::client::{ConnectOptions, Limits, Links, ProbePermit, WritePermit, assemble, targets};
use tidepilot::fleet::closer_look::{Extra, Extras};
use tidepilot::fleet::database::database_of;
use tidepilot::fleet::object_kind::{Lookup, ObjectId, ObjectKind};
use tidepilot::fleet::pd::{MemberId, MembershipApi};
use tidepilot::fleet::{Crd, Fleet, Freshness, ObjectKey, ObjectRef, rollout};
use tidepilot::runbook::action_types::Answer;
use tidepilot::runbook::actions::Action;
use tidepilot::runbook::actions::{PatchTidbCluster, ProbePeerUrl, UpdatePeerUrl};
use tidepilot::sim::{Sim, SimOptions};

const RUN: &str = "r-1";

pub struct World {
    pub(super) sim: Sim,
    kubeconfig: PathBuf,
    _dir: tempfile::TempDir,
}

impl World {
    pub(super) async fn start(scenario: &str) -> Self {
        let options = SimOptions { scenario: scenario.into(), speed: 100.0, ..SimOptions::default() };
        let sim = Sim::start(options).await.expect("the simulated fleet starts");
        let dir = tempfile::tempdir().expect("temporary directory");
        let kubeconfig = dir.path().join("config");
        std::fs::write(&kubeconfig, sim.kubeconfig().to_string()).expect("written");
        Self { sim, kubeconfig, _dir: dir }
    }

    pub(super) fn options(&self) -> ConnectOptions {
        let limits = Limits { request: Duration::from_secs(2), look: Duration::from_secs(3), ..Limits::default() };
        ConnectOptions { kubeconfig: vec![self.kubeconfig.clone()], limits, ..ConnectOptions::default() }
    }

    fn links(&self) -> Links {
        links(self.options())
    }

    /// Requests of the log as `METHOD path`, writes to PD and Kubernetes only.
    pub(super) fn writes(&self) -> Vec<Value> {
        let reads = |line: &Value| {
            let (method, path) = (line["method"].as_str().unwrap_or(""), line["path"].as_str().unwrap_or(""));
            let asks = path.ends_with("/selfsubjectaccessreviews") || path.ends_with("/member/list");
            (matches!(method, "GET" | "HEAD") && !path.ends_with("/exec"))
                || asks
                || path.ends_with("/maintenance/status")
        };
        self.sim.log().lines().into_iter().filter(|line| !reads(line)).collect()
    }
}

pub fn links(options: ConnectOptions) -> Links {
    Links::new(targets(&options).expect("a good kubeconfig"), options)
}

pub fn target() -> ObjectRef {
    ObjectRef::new("legacy", "pingcap", "basic")
}

fn uid(fleet: &Fleet) -> String {
    fleet.tidb_cluster(&target()).expect("seen").metadata.uid.clone()
}

fn patch(fleet: &Fleet, merge: Value) -> Action {
    Action::PatchTidbCluster(PatchTidbCluster { target: target(), uid: uid(fleet), merge })
}

async fn fleet_of(links: &Links) -> Fleet {
    assemble(links.look(None).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_look_sees_everything() {
    let world = World::start("default").await;
    let fleet = fleet_of(&world.links()).await;
    assert_eq!(fleet.clusters.keys().collect::<Vec<_>>(), ["east", "legacy", "west"]);
    for cluster in fleet.clusters.values() {
        assert_eq!((&cluster.freshness, &cluster.message), (&Freshness::Live, &None), "{}", cluster.context);
        assert_eq!(cluster.crd, Crd::Served { across_k8s: Some(true) });
        assert!(cluster.uid.is_some() && cluster.operator_version.as_deref() == Some("v1.6.6"), "{cluster:?}");
        for (pod, view) in &cluster.pd {
            let answer = view.answer.as_ref().unwrap_or_else(|why| panic!("{pod}: {why}"));
            let (api, members) = match cluster.context.as_str() {
                "legacy" => (MembershipApi::V2, 3),
                _ => (MembershipApi::V3, 3),
            };
            assert_eq!((answer.api, answer.members.len()), (Some(api), members));
            assert!(answer.leader.is_some() && answer.self_id.is_some() && answer.healthy == Some(true), "{answer:?}");
            assert!(answer.gaps.is_empty() && answer.version.is_some(), "{answer:?}");
        }
        // What all members share is asked of one of them.
        let answers = cluster.pd.values().filter_map(|view| view.answer.as_ref().ok());
        let told: Vec<_> = answers.filter(|answer| answer.pd_leads.is_some()).collect();
        let [told] = told.as_slice() else { panic!("{told:?}") };
        assert!(told.pd_leads == Some(true) && !told.stores.is_empty() && told.max_replicas == Some(3), "{told:?}");
        assert_eq!(told.health.len(), 3, "{told:?}");
    }
    assert_eq!(fleet.clusters["legacy"].cluster_domain(), Some("cluster1.com"));
    let database = database_of(&fleet, &target()).expect("the database");
    assert_eq!((database.id.as_deref(), database.members.len()), (Some("7218830945512086113"), 3));
    assert!(database.members.iter().all(|member| member.place.is_known() && member.healthy == Some(true)));
    assert!(world.writes().is_empty(), "{:?}", world.writes());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closer_look_sees_the_extras_and_only_reads() {
    let world = World::start("tls").await;
    let links = world.links();
    let fleet = assemble(links.look_closer(None, &Extras::all()).await);
    for cluster in fleet.clusters.values() {
        let more = &cluster.more;
        assert!(more.lacking.is_empty(), "{:?}", more.lacking);
        let operator = more.operator.as_ref().expect("seen");
        assert!(operator.deployments.iter().any(|one| one.available == 1), "{operator:?}");
        assert!(more.claims.is_some() && more.events.is_some());
    }
    // Each Database's leader was asked once; its rules and counts came whole.
    let details: Vec<_> = fleet.clusters.values().flat_map(|cluster| cluster.more.pd.values()).collect();
    assert_eq!(details.len(), 2, "{details:?}");
    for one in details {
        assert!(one.tikv_needed() == Some(3) && one.regions.len() == 4, "{one:?}");
    }
    let secret = |name: &str| {
        let at = ObjectRef::new("east", "prod", name);
        fleet.sight(&ObjectId::new(ObjectKind::Secret, &at)).and_then(Lookup::present).is_some()
    };
    assert!(secret("prod-east-pd-cluster-secret") && secret("prod-east-cluster-client-secret"));
    assert!(world.writes().is_empty(), "{:?}", world.writes());

    let plain = World::start("default").await;
    let fleet = assemble(plain.links().look_closer(None, &Extras::from_iter([Extra::Events])).await);
    let more = &fleet.clusters["legacy"].more;
    assert!(more.events.is_some() && more.claims.is_none() && more.operator.is_none(), "only what was asked for");
    let asked = plain.sim.log().lines();
    let path = |line: &Value| line["path"].as_str().unwrap_or_default().to_owned();
    assert!(!asked.iter().any(|line| path(line).ends_with("/persistentvolumeclaims")));
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_and_hanging_contexts_cost_only_themselves() {
    let world = World::start("unreachable").await;
    let begun = Instant::now();
    let changes = world.links().look(None).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let of = |context: &str| changes.iter().filter(|change| change.context == context).count();
    assert_eq!((of("west"), of("legacy")), (3, 3), "only what is configured (address and CA) and the connection");
    let fleet = assemble(changes);
    let said = |context: &str| {
        let cluster = &fleet.clusters[context];
        (cluster.freshness.clone(), cluster.message.clone().unwrap_or_default(), cluster.server.clone())
    };
    assert!(fleet.clusters["east"].freshness.is_live() && fleet.clusters["east"].pd.len() == 2);
    let (freshness, message, server) = said("west");
    assert!(freshness == Freshness::Unreachable && message.contains("refuses connections"), "{message}");
    assert!(message.contains(&server), "{message}");
    let (freshness, message, server) = said("legacy");
    assert!(freshness == Freshness::Unreachable && message.contains("did not answer within"), "{message}");
    assert!(message.contains(&server), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn read_only_gives_no_permit_and_sends_nothing() {
    let world = World::start("default").await;
    let armed = world.links();
    let locked = links(ConnectOptions { read_only_contexts: BTreeSet::from(["legacy".to_owned()]), ..world.options() });
    let fleet = fleet_of(&locked).await;
    assert_eq!(fleet.clusters["legacy"].pd.len(), 3, "PD is read through tunnels in read-only mode too");
    assert!(fleet.clusters["legacy"].pd.values().all(|view| view.answer.is_ok()));
    assert!(WritePermit::for_run(&locked, RUN, ["legacy"]).expect_err("refused").contains("read-only"));
    assert!(ProbePermit::for_contexts(&locked, ["legacy"]).expect_err("refused").contains("read-only"));
    assert!(WritePermit::for_run(&locked, RUN, ["east"]).is_ok());

    // A permit of another session does not open it either: the links themselves refuse.
    let permit = WritePermit::for_run(&armed, RUN, ["legacy"]).expect("armed");
    let look_inside = ProbePermit::for_contexts(&armed, ["legacy"]).expect("armed");
    let merge = json!({"spec": {"acrossK8s": true}});
    let action = patch(&fleet, merge.clone());
    assert!(rehearse(&locked, &permit, RUN, &action).await.expect_err("refused").contains("read-only"));
    assert!(matches!(perform(&locked, &permit, RUN, &action, &fleet).await, Answer::Refused { .. }));
    let pod = ObjectRef::new("legacy", "pingcap", "basic-pd-0");
    let why = resolv_domain(&locked, &look_inside, &pod).await.expect_err("refused");
    assert!(why.contains("read-only"), "{why}");

    // Nor does a permit for another context, or for another run.
    let elsewhere = WritePermit::for_run(&armed, RUN, ["east"]).expect("armed");
    assert!(matches!(perform(&armed, &elsewhere, RUN, &action, &fleet).await, Answer::Refused { .. }));
    assert!(matches!(perform(&armed, &permit, "r-2", &action, &fleet).await, Answer::Refused { .. }));
    assert!(world.writes().is_empty(), "{:?}", world.writes());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_migration_by_hand() {
    let world = World::start("default").await;
    let links = world.links();
    let permit = WritePermit::for_run(&links, RUN, ["legacy"]).expect("armed");
    let inside = ProbePermit::for_contexts(&links, ["legacy"]).expect("armed");
    let mut fleet = fleet_of(&links).await;
    let pod = ObjectRef::new("legacy", "pingcap", "basic-pd-0");
    assert_eq!(resolv_domain(&links, &inside, &pod).await.as_deref(), Ok("cluster1.com"));

    let before = rollout::revisions(&fleet.clusters["legacy"], fleet.tidb_cluster(&target()).expect("seen"));
    let action = patch(&fleet, json!({"spec": {"acrossK8s": true, "clusterDomain": "cluster1.com"}}));
    let rehearsed = rehearse(&links, &permit, RUN, &action).await.expect("a dry run").expect("a patch has one");
    assert_eq!(rehearsed.pointer("/spec/clusterDomain"), Some(&json!("cluster1.com")));
    assert!(fleet_of(&links).await.tidb_cluster(&target()).expect("seen").domain().is_none(), "nothing was stored");
    let answer = perform(&links, &permit, RUN, &action, &fleet).await;
    assert!(matches!(answer, Answer::Accepted { status: 200, .. }), "{answer:?}");
    // Decided on the look before that: somebody has set the same field since.
    let over = patch(&fleet, json!({"spec": {"clusterDomain": "other.com"}}));
    let answer = perform(&links, &permit, RUN, &over, &fleet).await;
    assert!(matches!(&answer, Answer::Refused { reason } if reason.contains("since it was looked at")), "{answer:?}");

    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        fleet = fleet_of(&links).await;
        let (cluster, tc) = (&fleet.clusters["legacy"], fleet.tidb_cluster(&target()).expect("seen"));
        let rolled = rollout::revisions(cluster, tc).get("pd") != before.get("pd");
        if rolled && rollout::rollout(cluster, tc).iter().all(|component| component.settled) {
            break;
        }
        assert!(Instant::now() < deadline, "the rollout never ended: {:?}", rollout::rollout(cluster, tc));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    let members = database_of(&fleet, &target()).expect("the database").members;
    assert!(members.iter().all(|member| member.drift), "names moved, peerURLs stay: {members:?}");
    for member in &members {
        let pod = member.place.pod().expect("joined").to_owned();
        let url = member.expected_peer_url.clone().expect("computed");
        let action =
            Action::ProbePeerUrl(ProbePeerUrl { target: target(), id: member.id, pod: pod.clone(), url: url.clone() });
        let lines = probe(&links, &inside, &action, &fleet).await;
        assert!(lines.len() == 2 && lines.iter().all(|line| line.good()), "{lines:?}");
        let update = |from: Vec<String>, to: &str| {
            Action::UpdatePeerUrl(UpdatePeerUrl {
                target: target(),
                id: member.id,
                pod: pod.clone(),
                from,
                to: vec![to.to_owned()],
                restores: false,
            })
        };
        let now = member.peer_urls.clone();
        for (wrong, why) in [
            (update(now.clone(), "http://basic-pd-9.basic-pd-peer.pingcap.svc:2380/"), "nothing after the port"),
            (update(now.clone(), "https://x:2380"), "expected http://"),
            (update(now.clone(), "http://elsewhere:2380"), "for this pod"),
            (update(vec!["http://old:2380".into()], &url), "plan again"),
        ] {
            let answer = perform(&links, &permit, RUN, &wrong, &fleet).await;
            assert!(matches!(&answer, Answer::Refused { reason } if reason.contains(why)), "{answer:?}, wanted {why}");
        }
        let answer = perform(&links, &permit, RUN, &update(now, &url), &fleet).await;
        assert!(matches!(answer, Answer::Accepted { status: 204, .. }), "{answer:?}");
    }
    let after = database_of(&fleet_of(&links).await, &target()).expect("the database");
    assert!(after.members.iter().all(|member| !member.drift), "{after:?}");

    let sent: Vec<String> = world
        .writes()
        .iter()
        .filter(|line| !line["path"].as_str().is_some_and(|path| path.ends_with("/exec")))
        .map(|line| format!("{} {}", line["method"].as_str().unwrap_or(""), line["dryRun"]))
        .collect();
    assert_eq!(sent, ["PATCH true", "PATCH false", "PUT null", "PUT null", "PUT null"]);
    let lines = world.writes();
    let query = lines.iter().find_map(|line| line["query"].as_str().filter(|query| query.contains("fieldManager")));
    assert!(query.is_some_and(|query| query.contains("tidepilot%2Fr-1") && query.contains("Strict")), "{query:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn mutual_tls_through_the_tunnel() {
    let world = World::start("tls").await;
    let links = world.links();
    let fleet = fleet_of(&links).await;
    let views: Vec<_> = fleet.clusters.values().flat_map(|cluster| &cluster.pd).collect();
    assert_eq!(views.len(), 6);
    for (pod, view) in views {
        assert!(view.answer.is_ok(), "{pod}: {:?}", view.answer);
    }
    // Without the Secret there is a sentence, not a plain-text attempt.
    world.sim.store("legacy").expect("known").remove("secrets", "pingcap", "basic-cluster-client-secret");
    let fleet = fleet_of(&world.links()).await;
    let view = &fleet.clusters["legacy"].pd[&ObjectKey::new("pingcap", "basic-pd-0")];
    assert!(
        view.answer.as_ref().expect_err("no secret").contains("there is no Secret pingcap/basic-cluster-client-secret")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_are_unknown_and_refusals_are_not() {
    let world = World::start("default").await;
    let mut options = world.options();
    options.limits.write = Duration::from_secs(1);
    let links = links(options);
    let permit = WritePermit::for_run(&links, RUN, ["legacy"]).expect("armed");
    let fleet = fleet_of(&links).await;
    let faults = world.sim.faults("legacy").expect("known");

    let typo = patch(&fleet, json!({"spec": {"clusterDomian": "x"}}));
    let answer = perform(&links, &permit, RUN, &typo, &fleet).await;
    assert!(matches!(&answer, Answer::Refused { reason } if reason.contains("clusterDomian")), "{answer:?}");
    let other = Action::PatchTidbCluster(PatchTidbCluster {
        target: target(),
        uid: "another".into(),
        merge: json!({"spec": {"acrossK8s": true}}),
    });
    let answer = perform(&links, &permit, RUN, &other, &fleet).await;
    assert!(matches!(&answer, Answer::Refused { reason } if reason.contains("another object")), "{answer:?}");

    // The server takes the PATCH and falls silent: slow enough for the read before it, too slow for the write.
    faults.set_latency(Some(Duration::from_millis(1500)));
    let action = patch(&fleet, json!({"spec": {"acrossK8s": true}}));
    let answer = perform(&links, &permit, RUN, &action, &fleet).await;
    assert!(matches!(&answer, Answer::Unknown { reason } if reason.contains("did not answer")), "{answer:?}");
    faults.set_latency(None);

    let member = &database_of(&fleet, &target()).expect("the database").members[0];
    let ghost = Action::UpdatePeerUrl(UpdatePeerUrl {
        target: target(),
        id: MemberId(7),
        pod: member.place.pod().expect("joined").to_owned(),
        from: member.peer_urls.clone(),
        to: member.peer_urls.clone(),
        restores: false,
    });
    let answer = perform(&links, &permit, RUN, &ghost, &fleet).await;
    assert!(matches!(&answer, Answer::Refused { reason } if reason.contains("has no member 7")), "{answer:?}");
    assert!(world.writes().iter().all(|line| line["method"] != "PUT"), "{:?}", world.writes());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_login_is_bounded_and_its_own_context_s_trouble() {
    let world = World::start("default").await;
    let mut kubeconfig = world.sim.kubeconfig();
    let user = kubeconfig["contexts"][0]["context"]["user"].as_str().expect("a user").to_owned();
    let context = kubeconfig["contexts"][0]["name"].as_str().expect("a name").to_owned();
    for entry in kubeconfig["users"].as_array_mut().expect("users") {
        if entry["name"] == user.as_str() {
            entry["user"] = json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "sleep",
                "args": ["60"], "interactiveMode": "IfAvailable"}});
        }
    }
    std::fs::write(&world.kubeconfig, kubeconfig.to_string()).expect("written");
    for (plugin_ms, expected) in [(300, "was stopped"), (60_000, "still running")] {
        let mut options = world.options();
        options.limits.plugin = Duration::from_millis(plugin_ms);
        let begun = Instant::now();
        let fleet = fleet_of(&links(options)).await;
        assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
        let cluster = &fleet.clusters[&context];
        let message = cluster.message.clone().unwrap_or_default();
        assert!(cluster.freshness == Freshness::AuthNeeded && message.contains(expected), "{cluster:?}");
        // What a plugin is given may be a secret: its arguments are not shown.
        assert!(message.contains("run `sleep ***`"), "{message}");
        assert_eq!(fleet.clusters.values().filter(|cluster| cluster.freshness.is_live()).count(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_says_so() {
    let world = World::start("default").await;
    let mut kubeconfig = world.sim.kubeconfig();
    for entry in kubeconfig["users"].as_array_mut().expect("users") {
        entry["user"] = json!({"token": "expired"});
    }
    std::fs::write(&world.kubeconfig, kubeconfig.to_string()).expect("written");
    let fleet = fleet_of(&world.links()).await;
    for cluster in fleet.clusters.values() {
        let message = cluster.message.clone().unwrap_or_default();
        assert!(cluster.freshness == Freshness::AuthNeeded && message.contains(&cluster.server), "{cluster:?}");
    }
    let right = Right {
        context: "legacy".into(),
        verb: "create".into(),
        group: String::new(),
        resource: "pods".into(),
        subresource: "portforward".into(),
        namespace: "pingcap".into(),
        name: String::new(),
    };
    let told = denied(&world.links(), std::slice::from_ref(&right)).await;
    assert!(told.len() == 1 && told[0].contains("could not ask"), "{told:?}");
    std::fs::write(&world.kubeconfig, world.sim.kubeconfig().to_string()).expect("written");
    assert_eq!(denied(&world.links(), &[right]).await, Vec::<String>::new());
}
