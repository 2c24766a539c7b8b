//! PD asked directly at its pods' addresses (`--pd-access`): on real loopback addresses, with TLS, past a wrong PD and past an
//! address that never answers.

use std::net::{IpAddr, TcpListener};
use std::time::{Duration, Instant};

use serde_json::Value;
use tidepilot::client::{ConnectOptions, Limits, Links, PdAccess, assemble, targets};
use tidepilot::fleet::pd::PdWay;
use tidepilot::fleet::{Fleet, ObjectKey};
use tidepilot::sim::{Sim, SimOptions};

struct World {
    pub(super) sim: Sim,
    pub(super) dir: tempfile::TempDir,
}

impl World {
    async fn start(scenario: &str) -> Self {
        let options = SimOptions { scenario: scenario.into(), speed: 20.0, direct: true, ..SimOptions::default() };
        let sim = Sim::start(options).await.expect("the simulated fleet starts");
        let world = Self { sim, dir: tempfile::tempdir().expect("temporary directory") };
        std::fs::write(world.dir.path().join("config"), world.sim.kubeconfig().to_string()).expect("written");
        // The listeners follow the pods.
        let address = world.address("basic-pd-0");
        let end = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect((address, 2379)).is_err() {
            assert!(Instant::now() < end, "nothing listens on {address}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        world
    }

    fn links(&self, pd_access: PdAccess) -> Links {
        let limits = Limits { request: Duration::from_secs(3), ..Limits::default() };
        let kubeconfig = vec![self.dir.path().join("config")];
        let options = ConnectOptions { kubeconfig, limits, pd_access, ..ConnectOptions::default() };
        Links::new(targets(&options).expect("a good kubeconfig"), options)
    }

    fn address(&self, pod: &str) -> IpAddr {
        let pod = self.sim.store("legacy").expect("a context").get("pods", "pingcap", pod).expect("a pod");
        pod["status"]["podIP"].as_str().expect("an address").parse().expect("an IP")
    }

    fn move_to(&self, pod: &str, address: IpAddr) {
        let told = self.sim.tell_address("legacy", "pingcap", pod, &address.to_string());
        assert!(told.expect("a context"), "no pod {pod}");
    }

    fn forwards(&self) -> Vec<Value> {
        let tunnel = |line: &Value| line["path"].as_str().is_some_and(|path| path.contains("/portforward"));
        self.sim.log().lines().into_iter().filter(tunnel).collect()
    }
}

async fn look(links: &Links) -> Fleet {
    assemble(links.look(None).await)
}

fn way(fleet: &Fleet, pod: &str) -> Result<PdWay, String> {
    let view = &fleet.clusters["legacy"].pd[&ObjectKey::new("pingcap", pod)];
    view.answer.as_ref().map(|answer| answer.way.clone()).map_err(|why| why.sentence.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_pd_is_asked_directly_with_its_certificates_and_nothing_goes_through_an_api_server() {
    for scenario in ["default", "tls"] {
        let world = World::start(scenario).await;
        let fleet = look(&world.links(PdAccess::Auto)).await;
        let mut asked = 0;
        for (pod, view) in fleet.clusters.values().flat_map(|cluster| &cluster.pd) {
            let answer = view.answer.as_ref().unwrap_or_else(|why| panic!("{pod}: {why}"));
            assert_eq!(answer.way, PdWay::Direct, "{scenario} {pod}");
            assert!(answer.gaps.is_empty() && answer.members.len() == 3, "{answer:?}");
            asked += 1;
        }
        assert!(asked == 6 && world.forwards().is_empty(), "{asked} {:?}", world.forwards());
    }
    // Who is not asked to tries nothing.
    let world = World::start("default").await;
    let fleet = look(&world.links(PdAccess::PortForward)).await;
    assert_eq!(way(&fleet, "basic-pd-0"), Ok(PdWay::PortForward));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_pd_at_the_address_is_refused() {
    let world = World::start("default").await;
    let (neighbour, stranger) = (world.address("basic-pd-1"), {
        let pods = world.sim.store("east").expect("a context").list("pods", Some("prod"));
        let pd = pods.iter().find(|pod| pod["metadata"]["name"] == "prod-east-pd-0").expect("a pod").clone();
        pd["status"]["podIP"].as_str().expect("an address").parse::<IpAddr>().expect("an IP")
    });
    for (address, wanted) in [(neighbour, "it is the member basic-pd-1"), (stranger, "its cluster id is")] {
        world.move_to("basic-pd-0", address);
        let fleet = look(&world.links(PdAccess::Auto)).await;
        match way(&fleet, "basic-pd-0") {
            Ok(PdWay::Instead(why)) => {
                assert!(why.contains("another PD answers") && why.contains(wanted), "{why}");
            }
            other => panic!("{other:?}"),
        }
        // What is told of it is told by itself.
        let view = &fleet.clusters["legacy"].pd[&ObjectKey::new("pingcap", "basic-pd-0")];
        let answer = view.answer.as_ref().expect("by port-forward");
        let itself = answer.members.iter().find(|member| Some(member.id) == answer.self_id);
        assert!(itself.is_some_and(|member| member.name.starts_with("basic-pd-0")), "{answer:?}");
        let why = way(&look(&world.links(PdAccess::Direct)).await, "basic-pd-0").expect_err("no other way");
        assert!(why.contains(wanted), "{why}");
    }
    assert_eq!(way(&look(&world.links(PdAccess::Auto)).await, "basic-pd-1"), Ok(PdWay::Direct));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_never_answers_costs_a_bounded_time_and_that_once() {
    let world = World::start("default").await;
    let octets = match world.address("basic-pd-0") {
        IpAddr::V4(address) => address.octets(),
        IpAddr::V6(_) => panic!("an IPv4 address"),
    };
    // It takes connections and says nothing.
    let mute = IpAddr::from([127, octets[1], 254, 254]);
    let _mute = TcpListener::bind((mute, 2379)).expect("a mute listener");
    world.move_to("basic-pd-0", mute);
    let links = world.links(PdAccess::Auto);
    let timed = async || {
        let begun = Instant::now();
        let fleet = look(&links).await;
        (begun.elapsed(), way(&fleet, "basic-pd-0").expect("by port-forward"))
    };
    let (first, why) = timed().await;
    assert!(matches!(&why, PdWay::Instead(why) if why.contains("within 1.5 s")), "{why:?}");
    assert!(first < Duration::from_secs(4), "{first:?}");
    let (second, _) = timed().await;
    assert!(second < first && second < Duration::from_millis(1400), "{first:?}, then {second:?}");
}
