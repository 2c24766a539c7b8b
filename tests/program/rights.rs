//! The Roles that `rbac` prints: with them alone each runbook goes to its end, and for the migration each one is needed.
//!
//! The real binary on the simulated fleet, whose API servers allow exactly what was printed. Ready-made roles are held
//! against the same source. Not here: how rights follow from a plan (`runbook::plan::required_rights`).

use crate::common;
use std::collections::BTreeSet;
use std::path::Path;

use crate::lifecycle::bed::Bed;
use serde_json::{Value, json};
use tidepilot::fleet::ObjectRef;
use tidepilot::runbook::actions::right_types::Reach;
use tidepilot::runbook::plan::required_rights::needs;
use tidepilot::sim::api_server::{Ask, Rule, Rules};

/// Rules of the documents of a YAML stream.
fn rules_of(yaml: &str) -> Vec<Rule> {
    let mut rules = Vec::new();
    for document in yaml.split("---\n") {
        let Ok(value) = serde_saphyr::from_str::<Value>(document) else { continue };
        let list = |value: &Value| -> Vec<String> {
            value.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
        };
        for rule in value["rules"].as_array().into_iter().flatten() {
            rules.push(Rule {
                verbs: list(&rule["verbs"]),
                groups: list(&rule["apiGroups"]),
                resources: list(&rule["resources"]),
                names: list(&rule["resourceNames"]),
                namespaces: value["metadata"]["namespace"].as_str().map(str::to_owned).into_iter().collect(),
            });
        }
    }
    rules
}

/// The sections of what `rbac` prints: context, and the rules there.
fn printed(yaml: &str) -> Vec<(String, Vec<Rule>)> {
    let sections = yaml.split("# KubeCluster ").skip(1);
    let one = |section: &str| {
        let (context, documents) = section.split_once('\n').expect("a line with the context");
        (context.trim().to_owned(), rules_of(documents))
    };
    sections.map(one).collect()
}

/// `rbac` with these inputs: the options that it says a run has to be given, and the rules in each context.
async fn asked(bed: &Bed, runbook: &str, inputs: &[&str]) -> (Vec<String>, Vec<(String, Vec<Rule>)>) {
    let mut arguments = vec!["rbac", runbook];
    arguments.extend(inputs.iter().flat_map(|input| ["--set", input]));
    let told = bed.tool(&arguments).await.expect(0).stdout;
    let line = told.lines().find(|line| line.contains("enough for")).expect("which run it is enough for");
    let only = line.split_once("tidepilot -n ").and_then(|(_, rest)| rest.split(' ').next());
    let options = only.map(|namespace| vec!["-n".to_owned(), namespace.to_owned()]).unwrap_or_default();
    (options, printed(&told))
}

/// Allows this and nothing else in each of these contexts.
async fn allow(bed: &mut Bed, rules: &[(String, Vec<Rule>)]) {
    for (context, rules) in rules {
        bed.sim.set_rules(context, Rules::Only(rules.clone())).await.expect("a context");
    }
    bed.sim.write_kubeconfig(&bed.room.path("fleet.yaml")).expect("written");
}

async fn allow_everything(bed: &mut Bed) {
    for context in bed.sim.contexts() {
        bed.sim.set_rules(&context, Rules::AllowAll).await.expect("a context");
    }
    bed.sim.write_kubeconfig(&bed.room.path("fleet.yaml")).expect("written");
}

async fn run(bed: &Bed, options: &[String], runbook: &str, inputs: &[&str], names: &[&str]) -> common::Ran {
    let mut arguments: Vec<&str> = options.iter().map(String::as_str).collect();
    arguments.extend(["run", runbook, "--yes"]);
    arguments.extend(inputs.iter().flat_map(|input| ["--set", input]));
    arguments.extend(names.iter().flat_map(|name| ["--confirm", name]));
    bed.tool(&arguments).await
}

const ONE: &str = "tidbCluster=east/prod/one";
const TWO: &str = "tidbCluster=west/prod/two";

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_roles_are_enough_for_the_whole_life_of_a_database() {
    let mut bed = Bed::of("empty", &[]).await;
    for context in ["east", "west"] {
        bed.store(context).put("namespaces", json!({"metadata": {"name": "prod"}}));
    }
    let life: &[(&str, &[&str], &[&str])] = &[
        ("verify-network", &["first=east/prod/one", "second=west/prod/two"], &[]),
        ("issue-ca", &[ONE, "copyTo=west/prod/two"], &["one"]),
        ("issue-certificates", &[ONE, "clusterDomain=east.local"], &[]),
        ("deploy-initial-cluster", &[ONE, "clusterDomain=east.local", "version=v8.5.4", "tls=true"], &["one"]),
        ("issue-certificates", &[TWO, "clusterDomain=west.local"], &[]),
        ("join-cluster", &["join=east/prod/one", TWO, "clusterDomain=west.local"], &["two"]),
        ("monitor-across-clusters", &[ONE], &[]),
        ("transfer-pd-leader", &[ONE, "pod=one-pd-1"], &[]),
        ("restart-component", &[TWO, "component=tidb"], &["two"]),
        ("renew-certificates", &[TWO, "which=all"], &["two"]),
        ("repair-peer-urls", &[ONE], &[]),
        ("upgrade-cluster", &[ONE, "version=v8.5.7"], &["one", "two"]),
        ("leave-cluster", &[TWO, "deletePvcs=true"], &["two"]),
        ("suspend-cluster", &[ONE, "stopDatabase=true"], &["one"]),
        ("resume-cluster", &[ONE], &[]),
    ];
    let mut refused: BTreeSet<String> = BTreeSet::new();
    for (runbook, inputs, names) in life {
        allow_everything(&mut bed).await;
        let (options, rules) = asked(&bed, runbook, inputs).await;
        allow(&mut bed, &rules).await;
        let before = bed.log_length();
        let ran = run(&bed, &options, runbook, inputs, names).await;
        let log = bed.sim.log().lines();
        let forbidden: Vec<String> =
            log[before..].iter().filter(|line| line["status"] == 403).map(common::short).collect();
        assert_eq!(ran.code, 0, "{runbook}: {}\nforbidden: {forbidden:#?}\n{rules:#?}", ran.all());
        refused.extend(forbidden.into_iter().map(|line| format!("{runbook}: {line}")));
    }
    // Nothing is asked for that was not granted.
    assert_eq!(refused, BTreeSet::new());
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_roles_hold_the_way_back_of_what_is_made() {
    let mut bed = Bed::of("empty", &[]).await;
    bed.store("east").put("namespaces", json!({"metadata": {"name": "prod"}}));
    let made: &[(&str, &[&str], &[&str])] = &[
        ("issue-ca", &[ONE], &["one"]),
        ("issue-certificates", &[ONE, "clusterDomain=east.local"], &[]),
        ("deploy-initial-cluster", &[ONE, "clusterDomain=east.local", "version=v8.5.4", "tls=true"], &["one"]),
        ("monitor-across-clusters", &[ONE], &[]),
    ];
    for (runbook, inputs, names) in made {
        allow_everything(&mut bed).await;
        let (options, rules) = asked(&bed, runbook, inputs).await;
        // No PD is there to be asked before there is a TidbCluster.
        let pd = rules.iter().flat_map(|(_, rules)| rules).any(|rule| rule.resources == ["pods/portforward"]);
        assert_eq!(pd, !runbook.starts_with("issue-"), "{runbook}: {rules:#?}");
        allow(&mut bed, &rules).await;
        let known = bed.room.journals();
        run(&bed, &options, runbook, inputs, names).await.expect(0);
        // Two runs of one second are in no order by their names.
        let id = bed.room.journals().into_iter().find(|id| !known.contains(id)).expect("a run");
        let before = bed.log_length();
        let mut arguments: Vec<&str> = options.iter().map(String::as_str).collect();
        arguments.extend(["runs", "undo", &id, "--yes", "--confirm", "one"]);
        let undone = bed.tool(&arguments).await;
        let log = bed.sim.log().lines();
        let forbidden: Vec<String> =
            log[before..].iter().filter(|line| line["status"] == 403).map(common::short).collect();
        assert_eq!((undone.code, forbidden), (8, Vec::new()), "{runbook}: {}", undone.all());
        // Made once more, for those that stand on it; volumes stay behind whoever is deleted.
        for claim in bed.store("east").list("persistentvolumeclaims", Some("prod")) {
            bed.store("east").remove(
                "persistentvolumeclaims",
                "prod",
                claim["metadata"]["name"].as_str().expect("a name"),
            );
        }
        allow_everything(&mut bed).await;
        run(&bed, &[], runbook, inputs, names).await.expect(0);
    }
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_roles_are_enough_and_not_one_right_too_many() {
    let mut bed = Bed::of("default", &[]).await;
    let (runbook, inputs) =
        ("migrate-cluster-domain", ["tidbCluster=legacy/pingcap/basic", "clusterDomain=cluster1.com"]);
    let (options, rules) = asked(&bed, runbook, &inputs).await;
    let [(context, roles)] = rules.as_slice() else { panic!("one context: {rules:?}") };
    assert!(options == ["-n", "pingcap"] && context == "legacy" && roles.len() >= 8, "{options:?} {roles:?}");
    for left_out in 0..roles.len() {
        let mut fewer = roles.clone();
        let gone = fewer.remove(left_out);
        let optional = ["deployments", "customresourcedefinitions", "events", "persistentvolumes"];
        if gone.names == ["coredns"]
            || gone.verbs == ["watch"]
            || gone.resources.iter().any(|r| optional.contains(&r.as_str()))
        {
            continue;
        }
        let before = bed.log_length();
        allow(&mut bed, &[(context.clone(), fewer)]).await;
        let ran = run(&bed, &options, runbook, &inputs, &["basic"]).await;
        assert_eq!(ran.code, 4, "without {gone:?}: {}", ran.all());
        assert_eq!(bed.writes_since(before), Vec::<String>::new(), "without {gone:?}");
    }
    let before = bed.log_length();
    allow(&mut bed, &rules).await;
    run(&bed, &options, runbook, &inputs, &["basic"]).await.expect(0);
    assert_eq!(bed.writes_since(before).len(), 4, "one patch, three members");
    bed.end().await;
}

/// A fork of a runbook that asks for a second person, in the folder of whoever runs it.
fn fork(bed: &Bed, runbook: &str, shipped: &str) {
    let forked = shipped.replace("confirm: typed", "confirm: typed\n        approvers: 2");
    assert_ne!(forked, shipped);
    let folder = bed.room.path("config/tidepilot/runbooks");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join(format!("{runbook}.yaml")), forked).expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_second_person_the_policy_that_vouches_may_be_read() {
    const POLICIES: [&str; 2] = ["validatingadmissionpolicies", "validatingadmissionpolicybindings"];
    let users = "    operator: v1.6.6\n    users: [{ name: admin, access: admin }, { name: rob, access: bound }, { name: sue, access: bound }]\n";
    let bed = Bed::of("default", &[("    operator: v1.6.6\n", users)]).await;
    let (runbook, inputs) = ("restart-component", ["tidbCluster=legacy/pingcap/basic", "component=tidb"]);
    let named = |roles: &[Rule]| {
        let of = |resource: &&str| roles.iter().filter(|rule| rule.resources == [*resource]).count();
        POLICIES.iter().map(of).collect::<Vec<_>>()
    };
    // Without a second person it is a right too many.
    let (_, rules) = asked(&bed, runbook, &inputs).await;
    assert_eq!(named(&rules[0].1), [0, 0]);
    fork(&bed, runbook, include_str!("../../runbooks/restart-component.yaml"));
    let (_, rules) = asked(&bed, runbook, &inputs).await;
    let roles = &rules[0].1;
    assert_eq!(named(roles), [1, 1], "{roles:#?}");
    let policies = roles.iter().filter(|rule| POLICIES.contains(&rule.resources[0].as_str()));
    for rule in policies {
        assert_eq!(
            (rule.verbs.as_slice(), rule.names.as_slice()),
            (&["get".to_owned()][..], &["tidepilot-approvals".to_owned()][..])
        );
    }

    // As bound roles of the fleet: Rob drives with what `rbac` printed, Sue approves with the approver's role alone.
    let store = bed.store("legacy").clone();
    for document in include_str!("../../assets/rbac/approvals-policy.yaml").split("---\n") {
        let object: Value = serde_saphyr::from_str(document).expect("YAML");
        let plural = if object["kind"] == "ValidatingAdmissionPolicy" { POLICIES[0] } else { POLICIES[1] };
        store.put(plural, object);
    }
    let told =
        bed.tool(&["rbac", runbook, "--set", inputs[0], "--set", inputs[1], "--user", "rob"]).await.expect(0).stdout;
    let apply = |yaml: &str, left_out: &str| {
        for document in yaml.split("---\n") {
            let Ok(mut object) = serde_saphyr::from_str::<Value>(document) else { continue };
            let plural = match object["kind"].as_str() {
                Some("Role") => "roles",
                Some("RoleBinding") => "rolebindings",
                Some("ClusterRole") => "clusterroles",
                Some("ClusterRoleBinding") => "clusterrolebindings",
                _ => continue,
            };
            if let Some(rules) = object["rules"].as_array_mut().filter(|_| !left_out.is_empty()) {
                rules.retain(|rule| !rule["resources"].to_string().contains(left_out));
            }
            store.put(plural, object);
        }
    };
    apply(include_str!("../../assets/rbac/approver.yaml"), "");
    store.put(
        "rolebindings",
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "approvers", "namespace": "pingcap"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "tidepilot-approver"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "sue"}]}),
    );
    for user in ["rob", "sue"] {
        bed.sim.write_kubeconfig_as(Some(user), &bed.room.path(&format!("{user}.yaml"))).expect("written");
    }
    let as_user = |user: &str, arguments: &[&str]| {
        let mut command = bed.room.command(arguments);
        command.arg("--kubeconfig").arg(bed.room.path(&format!("{user}.yaml"))).arg("--context").arg("legacy");
        command.env("TIDEPILOT_STATE", bed.room.path(user));
        command.spawn().expect("the binary starts")
    };
    let go = async |user: &str, arguments: &[&str]| {
        let child = as_user(user, arguments);
        tokio::task::spawn_blocking(move || common::finish(child, common::LONG)).await.expect("no panic")
    };
    // The server's times are whole seconds, and what is written in the policy's own second is not vouched for.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    // Left out, the run goes its way and says no more than it knows; held, the server vouches.
    for (left_out, word) in [("validatingadmission", "review"), ("", "server")] {
        apply(&told, left_out);
        let before = bed.log_length();
        let mut arguments = vec!["-n", "pingcap", "run", runbook, "--yes", "--confirm", "basic"];
        arguments.extend(inputs.iter().flat_map(|input| ["--set", input]));
        go("rob", &arguments).await.expect(3);
        let folder = bed.room.path("rob").join("runs");
        let newest = || {
            let names = std::fs::read_dir(&folder).expect("a folder").flatten().map(|entry| entry.file_name());
            let names = names.map(|name| name.to_string_lossy().into_owned()).filter(|name| name.ends_with(".jsonl"));
            names.max().expect("a journal")
        };
        let id = newest().trim_end_matches(".jsonl").to_owned();
        go("sue", &["-n", "pingcap", "runs", "approve", &id, "--confirm", "basic"]).await.expect(0);
        go("rob", &["-n", "pingcap", "runs", "resume", &id, "--yes", "--confirm", "basic"]).await.expect(0);
        let journal = std::fs::read_to_string(folder.join(newest())).expect("read");
        let approved = journal.lines().find(|line| line.contains("\"approved\"")).expect("an approval");
        assert!(approved.contains(&format!("\"vouched\":\"{word}\"")), "{approved}");
        // Of what was printed nothing was lacking; what was left out was asked for once and refused.
        let log = bed.sim.log().lines();
        let forbidden: Vec<String> = log[before..]
            .iter()
            .filter(|line| line["status"] == 403 && line["dryRun"] != json!(true))
            .map(common::short)
            .collect();
        let policies = forbidden.iter().filter(|line| line.contains("validatingadmission")).count();
        assert_eq!(forbidden.len() - policies, 0, "{forbidden:#?}");
        assert_eq!(policies > 0, !left_out.is_empty(), "{forbidden:#?}");
    }
    bed.end().await;
}

/// With what `rbac read-only --user` prints, and nothing else, one looks at everything; nothing can be changed with it.
#[tokio::test(flavor = "multi_thread")]
async fn the_bindings_of_whoever_only_looks_are_enough_to_look() {
    let users = "    operator: v1.6.6\n    users: [{ name: admin, access: admin }, { name: wall, access: bound }]\n";
    let bed = Bed::of("default", &[("    operator: v1.6.6\n", users)]).await;
    for refused in [
        &["rbac", "read-only", "--set", "a=b"][..],
        &["rbac", "read-only", "--for", "east"],
        &["rbac", "read-only", "--user", "wall", "--for", "nowhere"],
    ] {
        bed.tool(refused).await.expect(64);
    }
    for context in ["east", "west", "legacy"] {
        let told = bed.tool(&["rbac", "read-only", "--user", "wall", "--for", context]).await.expect(0).stdout;
        for document in told.split("---\n") {
            let Ok(object) = serde_saphyr::from_str::<Value>(document) else { continue };
            let plural = match object["kind"].as_str() {
                Some("ClusterRole") => "clusterroles",
                Some("RoleBinding") => "rolebindings",
                Some("ClusterRoleBinding") => "clusterrolebindings",
                None => continue,
                Some(other) => panic!("{other} in {document}"),
            };
            bed.store(context).put(plural, object);
        }
    }
    bed.sim.write_kubeconfig_as(Some("wall"), &bed.room.path("fleet.yaml")).expect("written");
    let status = bed.tool(&["status", "-o", "json"]).await.expect(0).json();
    let databases = status["databases"].as_array().expect("a list");
    assert!(databases.iter().all(|one| !one["members"].as_array().expect("members").is_empty()), "{databases:?}");
    assert_eq!(status["openRunsUnseen"], json!([]), "{status:#}");
    let found = bed.tool(&["check", "-o", "json"]).await.json();
    let unseen = found["unseen"].to_string();
    assert!(!unseen.contains("may not"), "{unseen}");
    let refused = ["run", "restart-component", "--set", "tidbCluster=legacy/pingcap/basic", "--set", "component=pd"];
    let ran = bed.tool(&[&refused[..], &["--confirm", "basic", "--yes"]].concat()).await.expect(4);
    assert!(ran.stderr.contains("may not") || ran.stdout.contains("may not"), "{} {}", ran.stdout, ran.stderr);
    bed.end().await;
}

#[test]
fn the_ready_made_roles_hold_what_the_migration_needs() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/rbac");
    let read = |name: &str| rules_of(&std::fs::read_to_string(folder.join(name)).expect("shipped"));
    let operator: Vec<Rule> = [read("read-only.yaml"), read("operator.yaml")].concat();
    let writes = |rule: &Rule| rule.verbs.iter().any(|v| !matches!(v.as_str(), "get" | "list" | "watch"));
    let writing: Vec<Rule> = read("read-only.yaml").into_iter().filter(writes).collect();
    assert!(writing.iter().all(|rule| rule.resources == ["pods/portforward"]), "{writing:?}");
    let target = ObjectRef::new("c", "n", "t");
    let action =
        |value: Value| serde_json::from_value::<tidepilot::runbook::actions::Action>(value).expect("an action");
    let patch = action(json!({"kind": "patch-tidb-cluster", "target": target, "uid": "u", "merge": {}}));
    let probe = action(json!({"kind": "probe-peer-url", "target": target, "id": "1", "pod": "p", "url": "x"}));
    let reach = Reach {
        tidb_clusters: vec![(target.clone(), true)],
        journal_in: Some(target),
        second_person_in: Some("c".into()),
        ..Reach::default()
    };
    for need in needs(["c".to_owned()].iter(), [patch, probe].iter(), &reach) {
        let right = &need.right;
        let allowed = Rules::Only(operator.clone()).allow(&Ask {
            verb: &right.verb,
            group: &right.group,
            resource: &right.resource,
            subresource: &right.subresource,
            namespace: &right.namespace,
            name: &right.name,
        });
        assert!(allowed, "{right:?}");
    }
}
