//! What can go wrong with `run --in`, and what is said of it. Nothing is sent to a Database in any of these.

use std::process::Command;

use serde_json::{Value, json};

use super::node::MISSING_IMAGE;
use super::{ANSWERED, IN, RUN, World, with};
use crate::common::{LONG, finish};

#[track_caller]
fn nothing_was_sent(world: &World) {
    let log = world.sim().log().lines();
    let sent = |line: &&Value| {
        matches!(line["method"].as_str(), Some("PATCH" | "PUT" | "DELETE"))
            && line["dryRun"] != true
            && !line["path"].as_str().is_some_and(|path| path.contains("/namespaces/ops/configmaps"))
    };
    let sent: Vec<&Value> = log.iter().filter(sent).collect();
    assert!(sent.is_empty(), "{sent:#?}");
}

fn submit(world: &World, more: &[&str]) -> crate::common::Ran {
    world.laptop(&with(&[&RUN, &ANSWERED, &IN, more]))
}

#[test]
fn what_is_missing_is_named_before_anything_is_submitted() {
    let mut world = World::bare(50.0);
    world.serve();
    let none = submit(&world, &[]);
    assert!(none.code == 4 && none.all().contains("there is no Secret tidepilot-access in east/ops"), "{}", none.all());
    let contexts = world.sim().kubeconfig();
    let mut fewer = contexts.clone();
    fewer["contexts"] = json!([contexts["contexts"][0]]);
    world.secret("fewer", &fewer.to_string());
    let fewer = submit(&world, &["--kubeconfig-secret", "fewer"]);
    assert!(fewer.code == 4 && fewer.all().contains("has no context legacy"), "{}", fewer.all());
    world.secret("whole", &contexts.to_string());
    let nowhere = world.laptop(&with(&[&RUN, &ANSWERED, &["--in", "east/nowhere", "--kubeconfig-secret", "whole"]]));
    assert!(nowhere.code == 4 && nowhere.all().contains("nowhere"), "{}", nowhere.all());
    let unknown = world.laptop(&with(&[&RUN, &ANSWERED, &["--in", "north/ops", "--kubeconfig-secret", "whole"]]));
    assert!(unknown.code == 4 && unknown.all().contains("north"), "{}", unknown.all());
    let unasked = world.laptop(&with(&[&RUN, &IN, &["--kubeconfig-secret", "whole"]]));
    assert!(unasked.code == 3 && unasked.all().contains("needs --yes"), "{} {}", unasked.code, unasked.all());
    assert!(world.node().jobs().is_empty());
    nothing_was_sent(&world);
}

#[test]
fn a_token_that_has_ended_or_ends_too_soon_is_named() {
    let mut world = World::bare(50.0);
    world.serve();
    let with_end = |seconds: i64| {
        let end = tidepilot::app::driver::now().as_second() + seconds;
        let body = k8s_openapi::ByteString(json!({"exp": end}).to_string().into_bytes());
        let body = serde_json::to_value(body).expect("JSON");
        let body = body.as_str().expect("text").trim_end_matches('=').replace('+', "-").replace('/', "_");
        let mut config = world.sim().kubeconfig();
        for user in config["users"].as_array_mut().expect("a list") {
            user["user"]["token"] = json!(format!("e30.{body}.x"));
        }
        config.to_string()
    };
    world.secret("ended", &with_end(-60));
    let ended = submit(&world, &["--kubeconfig-secret", "ended"]);
    assert!(ended.code == 4 && ended.all().contains("the token for legacy in Secret ended ended"), "{}", ended.all());
    world.secret("soon", &with_end(300));
    let soon = submit(&world, &["--kubeconfig-secret", "soon"]);
    assert!(soon.all().contains("warning: the token for legacy ends"), "{}", soon.all());
    // These tokens are nobody's: the Job's pod says so, and nothing is sent.
    assert_ne!(soon.code, 0, "{}", soon.all());
    nothing_was_sent(&world);
}

#[test]
fn rights_that_are_lacking_are_told_by_the_pod_before_anything_is_sent() {
    let world = World::start();
    for role in world.store("legacy").list("roles", Some("pingcap")) {
        let name = role["metadata"]["name"].as_str().expect("a name").to_owned();
        world.store("legacy").edit("roles", "pingcap", &name, |role| {
            for rule in role["rules"].as_array_mut().into_iter().flatten() {
                if rule["resources"][0] == "tidbclusters" {
                    rule["verbs"].as_array_mut().expect("a list").retain(|verb| verb != "patch");
                }
            }
        });
    }
    let ran = submit(&world, &[]);
    assert!(ran.code == 4 && ran.all().contains("patch tidbclusters"), "{} {}\n{}", ran.code, ran.all(), world.logs());
    assert_eq!(world.node().pods().len(), 1, "it is not tried again");
    nothing_was_sent(&world);
}

#[test]
fn an_image_that_cannot_be_pulled_is_told_while_it_is_waited_for() {
    let world = World::start();
    let laptop = world.spawned(&with(&[&RUN, &ANSWERED, &IN, &["--image", MISSING_IMAGE]]));
    world.until("a pod", || world.node().pods().iter().any(|pod| pod["status"]["containerStatuses"].is_array()));
    std::thread::sleep(std::time::Duration::from_secs(3));
    let sent = Command::new("kill").args(["-INT", &laptop.id().to_string()]).status();
    assert!(sent.expect("kill is there").success());
    let ran = finish(laptop, LONG);
    assert!(ran.stderr.contains("ImagePullBackOff Back-off pulling image \"missing:1\""), "{}", ran.all());
    nothing_was_sent(&world);
}

#[test]
fn another_plan_in_the_config_map_is_not_carried_out() {
    let mut world = World::bare(50.0);
    world.grant();
    // Nobody serves the Job yet: whoever may write ConfigMaps is faster.
    let laptop = world.spawned(&with(&[&RUN, &ANSWERED, &IN]));
    world.until("the Job", || !world.store("east").list("jobs", Some("ops")).is_empty());
    world.until("its plan is owned", || {
        world
            .store("east")
            .list("configmaps", Some("ops"))
            .iter()
            .any(|map| map["metadata"]["ownerReferences"].is_array())
    });
    let file = world.room.path("other.json");
    let file = file.to_str().expect("a path");
    let other = ["plan", RUN[1], RUN[2], RUN[3], "--set", "clusterDomain=cluster1.com", "--out", file, "--lang", "zh"];
    assert_eq!(world.laptop(&other).code, 2);
    let mut other: Value = serde_json::from_str(&std::fs::read_to_string(file).expect("written")).expect("JSON");
    other["title"] = json!("something else");
    for map in world.store("east").list("configmaps", Some("ops")) {
        let name = map["metadata"]["name"].as_str().expect("a name").to_owned();
        if map["data"]["plan.json"].is_string() {
            world
                .store("east")
                .edit("configmaps", "ops", &name, |map| map["data"]["plan.json"] = json!(other.to_string()));
        }
    }
    world.serve();
    let ran = finish(laptop, LONG);
    assert!(ran.code == 4 && ran.all().contains("plan"), "{} {}", ran.code, ran.all());
    assert!(ran.all().contains("edited") || ran.all().contains("agreed to"), "{}", ran.all());
    nothing_was_sent(&world);
}

#[test]
fn a_job_that_was_deleted_is_told() {
    let world = World::bare(50.0);
    world.grant();
    let laptop = world.spawned(&with(&[&RUN, &ANSWERED, &IN]));
    world.until("the Job", || !world.store("east").list("jobs", Some("ops")).is_empty());
    let job = world.store("east").list("jobs", Some("ops"))[0]["metadata"]["name"].as_str().expect("a name").to_owned();
    world.store("east").remove("jobs", "ops", &job);
    let ran = finish(laptop, LONG);
    assert!(ran.code == 5 && ran.all().contains("was deleted from east/ops"), "{} {}", ran.code, ran.all());
    nothing_was_sent(&world);
}

#[test]
fn a_session_that_is_read_only_submits_nothing() {
    let world = World::start();
    let all = world.laptop(&with(&[&["--read-only"], &RUN, &ANSWERED, &IN]));
    assert!(all.code == 4 && all.all().contains("read-only"), "{} {}", all.code, all.all());
    // Also where only the place of the Job is read-only.
    let config = world.room.path("config").join("tidepilot");
    std::fs::create_dir_all(&config).expect("our own");
    std::fs::write(config.join("config.yaml"), "contexts:\n  east:\n    readOnly: true\n").expect("our own");
    let one = submit(&world, &[]);
    assert!(one.code == 4 && one.all().contains("read-only"), "{} {}", one.code, one.all());
    assert!(world.node().jobs().is_empty());
    nothing_was_sent(&world);
}

#[test]
fn a_step_for_two_people_is_not_left_to_a_service_account() {
    let world = World::start();
    let shipped = include_str!("../../../runbooks/migrate-cluster-domain.yaml");
    let fork = shipped.replacen("confirm: typed", "confirm: typed\n        approvers: 2", 1);
    let folder = world.room.path("config").join("tidepilot").join("runbooks");
    std::fs::create_dir_all(&folder).expect("our own");
    std::fs::write(folder.join("migrate.yaml"), fork).expect("our own");
    let ran = submit(&world, &[]);
    assert!(ran.code == 4 && ran.all().contains("needs two people"), "{} {}", ran.code, ran.all());
    nothing_was_sent(&world);
}

#[test]
fn the_cfssl_of_this_machine_is_not_looked_for_in_a_pod() {
    let world = World::start();
    let folder = format!("folder={}", world.room.path("cfssl").display());
    let inputs =
        ["run", "issue-ca", "--set", "tidbCluster=legacy/pingcap/basic", "--set", "method=cfssl", "--set", &folder];
    let ran = world.laptop(&with(&[&inputs, &["--yes"], &IN]));
    assert!(
        ran.code == 4 && ran.all().contains("method builtin, or run it without --in"),
        "{} {}",
        ran.code,
        ran.all()
    );
    assert!(world.node().jobs().is_empty());
    nothing_was_sent(&world);
}

#[test]
fn a_runbook_of_ones_own_goes_with_the_job() {
    let world = World::start();
    let shipped = include_str!("../../../runbooks/migrate-cluster-domain.yaml");
    let folder = world.room.path("config").join("tidepilot").join("runbooks");
    std::fs::create_dir_all(&folder).expect("our own");
    std::fs::write(folder.join("migrate.yaml"), format!("# ours\n{shipped}")).expect("our own");
    let ran = submit(&world, &[]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.all(), world.logs());
    assert!(ran.all().contains("comes from migrate.yaml: a fork"), "{}", ran.all());
    world.sent_once();
}

#[test]
fn the_printed_manifests_are_taken_by_kubectl() {
    let world = World::start();
    let printed = world.laptop(&with(&[&RUN, &ANSWERED, &IN, &["--dry-run", "--image-pull-secret", "registry"]]));
    assert_eq!(printed.code, 0, "{}", printed.all());
    let file = world.room.path("job.yaml");
    std::fs::write(&file, &printed.stdout).expect("our own");
    let mut command = Command::new("kubectl");
    command.env("HOME", world.room.dir.path()).arg("--kubeconfig").arg(world.room.path("kubeconfig"));
    command.args(["--context", "east", "apply", "--dry-run=server", "--validate=strict", "-f"]).arg(&file);
    match command.output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.contains("job.batch/tidepilot-"), "{said}\n{}", printed.stdout);
        }
        Err(_) if std::env::var_os("CI").is_some() => panic!("kubectl is missing"),
        Err(_) => eprintln!("left out: there is no kubectl"),
    }
    assert!(world.node().jobs().is_empty(), "a dry run submits nothing");
    nothing_was_sent(&world);
}
