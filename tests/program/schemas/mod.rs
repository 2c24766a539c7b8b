//! Every object that a shipped runbook creates, held against the real CRDs: strict, so that no field is misspelt.
//!
//! The CRDs lie beside the repository (`../shared/crds`); in CI a missing one is a failure, elsewhere the test says that
//! it was left out. The validator knows as much of structural schemas as these CRDs use. Neighbour: [`server`], the same objects
//! by kubectl's dry run. Not here: whether the objects do what they should (`issuing.rs`, `spanning.rs`).

mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};
use tidepilot::fleet::object_kind::{Lookup, ObjectId, ObjectKind};
use tidepilot::fleet::{Change, Crd, Fleet, Freshness, ObjectRef, What};
use tidepilot::runbook::Observation;
use tidepilot::runbook::actions::Action;
use tidepilot::runbook::actions::CreateObject;
use tidepilot::runbook::language::document::Runbook;
use tidepilot::runbook::plan::bind::bind;

/// The schema of one kind's version; `None`: the file is not there, which was said.
#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
fn schema(file: &str, version: &str) -> Option<Value> {
    // Beside the repository, or beside the folder that it lies in.
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let places = ["..", "../.."].map(|up| here.join(up).join("shared/crds").join(file));
    let Some(text) = places.iter().find_map(|path| std::fs::read_to_string(path).ok()) else {
        assert!(std::env::var("CI").is_err(), "the schema {file} is missing");
        eprintln!("left out: the schema {file} is not there");
        return None;
    };
    let mut options = serde_saphyr::Options::default();
    options.budget = None;
    let crd: Value = serde_saphyr::from_str_with_options(&text, options).expect("YAML");
    let versions = crd["spec"]["versions"].as_array().expect("versions").iter();
    let found =
        versions.filter(|one| one["name"] == version).map(|one| one["schema"]["openAPIV3Schema"].clone()).next();
    Some(found.unwrap_or_else(|| panic!("{file} has no version {version}")))
}

/// What is wrong with a value; empty: valid.
fn faults(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, value, "", &mut found);
    found
}

fn check(schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let open = schema["x-kubernetes-preserve-unknown-fields"] == true;
    if schema["x-kubernetes-int-or-string"] == true {
        if !value.is_string() && !value.is_i64() && !value.is_u64() {
            found.push(format!("{at}: expected a number or a text, found {value}"));
        }
        return pattern(schema, value, at, found);
    }
    if value.is_null() && schema["nullable"] == true {
        return;
    }
    let fits = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some(other) => panic!("the validator does not know type {other} ({at})"),
        None => true,
    };
    if !fits {
        return found.push(format!("{at}: expected {}, found {value}", schema["type"]));
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        found.push(format!("{at}: expected one of {}, found {value}", schema["enum"]));
    }
    pattern(schema, value, at, found);
    for (bound, wrong) in [("minimum", -1.0), ("maximum", 1.0)] {
        if let (Some(bound), Some(number)) = (schema[bound].as_f64(), value.as_f64())
            && (number - bound) * wrong > 0.0
        {
            found.push(format!("{at}: {number} is beyond {bound}"));
        }
    }
    for field in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.is_object() && value.get(field).is_none() {
            found.push(format!("{at}: lacks {field}"));
        }
    }
    for (name, part) in value.as_object().into_iter().flatten() {
        let inside = format!("{at}/{name}");
        match (schema["properties"].get(name), schema.get("additionalProperties")) {
            (Some(known), _) => check(known, part, &inside, found),
            (None, Some(any)) if any.is_object() => check(any, part, &inside, found),
            (None, Some(Value::Bool(true))) => {}
            // What every object has.
            (None, _) if at.is_empty() && matches!(name.as_str(), "apiVersion" | "kind" | "metadata") => {}
            (None, _) if at == "/metadata" || open => {}
            (None, _) => found.push(format!("{inside}: unknown field")),
        }
    }
    for (index, part) in value.as_array().into_iter().flatten().enumerate() {
        if schema["items"].is_object() {
            check(&schema["items"], part, &format!("{at}[{index}]"), found);
        }
    }
}

/// Lengths and the one pattern that these CRDs put on what we write: quantities.
fn pattern(schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let Some(text) = value.as_str() else { return };
    if schema["maxLength"].as_u64().is_some_and(|most| text.chars().count() as u64 > most) {
        found.push(format!("{at}: longer than {}", schema["maxLength"]));
    }
    if schema["minLength"].as_u64().is_some_and(|least| (text.chars().count() as u64) < least) {
        found.push(format!("{at}: shorter than {}", schema["minLength"]));
    }
    match schema["pattern"].as_str() {
        Some(quantity) if quantity.starts_with("^(\\+|-)?(([0-9]+(\\.[0-9]*)?)|") => {
            let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
            let known = ["", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
            if unit.len() == text.len() || !known.contains(&unit) {
                found.push(format!("{at}: {text:?} is no quantity"));
            }
        }
        Some(other) => panic!("the validator does not know pattern {other} ({at})"),
        None => {}
    }
}

#[test]
fn the_validator_bites() {
    let schema = json!({"type": "object", "required": ["spec"], "properties": {"spec": {"type": "object", "required": ["n"],
        "properties": {"n": {"type": "integer", "minimum": 1}, "e": {"type": "string", "enum": ["a"]},
            "q": {"x-kubernetes-int-or-string": true, "pattern": "^(\\+|-)?(([0-9]+(\\.[0-9]*)?)|x"},
            "l": {"type": "array", "items": {"type": "string"}}, "m": {"type": "object", "additionalProperties": {"type": "string"}},
            "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}}});
    let base = json!({"apiVersion": "v1", "kind": "X", "metadata": {"name": "x"}, "spec": {"n": 1, "q": "10Gi", "open": {"z": 1}, "m": {"k": "v"}}});
    assert_eq!(faults(&schema, &base), Vec::<String>::new());
    let cases = [
        ("/spec/n", json!("1"), "expected \"integer\""),
        ("/spec/n", json!(0), "beyond"),
        ("/spec/e", json!("b"), "expected one of"),
        ("/spec/q", json!("ten"), "no quantity"),
        ("/spec/q", json!({}), "a number or a text"),
        ("/spec/l", json!([1]), "/spec/l[0]"),
        ("/spec/m", json!({"k": 1}), "/spec/m/k"),
        ("/spec/typo", json!(1), "unknown field"),
    ];
    for (at, bad, why) in cases {
        let mut value = base.clone();
        value["spec"][at.trim_start_matches("/spec/")] = bad;
        let found = faults(&schema, &value);
        assert!(found.len() == 1 && found[0].contains(why), "{at}: {found:?}");
    }
    assert!(faults(&schema, &json!({"spec": {}}))[0].contains("lacks n"));
}

/// Two empty KubeClusters with cert-manager, and everything that was asked for absent but the namespaces.
fn empty(cert_manager: &str) -> Observation {
    let mut fleet = Fleet::default();
    for context in ["east", "west"] {
        let mut say = |what| fleet.apply(Change { context: context.into(), at: jiff::Timestamp::UNIX_EPOCH, what });
        say(What::Connection { freshness: Freshness::Live, message: None });
        say(What::Identity { uid: Some(context.into()), version: Some("v1.33.4".into()) });
        say(What::Crd(Crd::Served { across_k8s: Some(true) }));
        say(What::Operator { version: Some("v1.6.6".into()) });
        say(What::Dns(tidepilot::fleet::dns::Dns::of(&format!("{context}.local"))));
        say(What::TidbClusters(Vec::new()));
        say(What::Claims(Vec::new()));
        say(What::Events(Vec::new()));
        say(What::CertManager(vec![cert_manager.into()]));
        let namespace = ObjectId::new(ObjectKind::Namespace, &ObjectRef::new(context, "", "prod"));
        let (kind, key) = namespace.key();
        say(What::Object {
            kind,
            key,
            sight: Box::new(Lookup::Present(json!({"metadata": {"name": "prod", "uid": "n"}}))),
        });
    }
    Observation { at: jiff::Timestamp::UNIX_EPOCH, fleet, denied: Some(Vec::new()) }
}

/// The objects that a plan would create. Whether its checks pass is of no matter here.
#[track_caller]
fn created(runbook: &str, sets: &[(&str, &str)], seen: &Observation) -> Vec<(ObjectKind, Value)> {
    let document = Runbook::shipped(runbook).expect("ships");
    let given: BTreeMap<String, String> = sets.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let plan = bind(&document, &given, seen).unwrap_or_else(|error| panic!("{runbook}: {error}"));
    assert!(!plan.steps.is_empty(), "{runbook}: {:?}", plan.refusals().collect::<Vec<_>>());
    let objects = plan.steps.iter().filter_map(|step| match &step.action {
        Action::CreateObject(CreateObject { object_kind, object, .. }) => Some((*object_kind, object.clone())),
        _ => None,
    });
    objects.collect()
}

/// Everything is optional that can be, and then nothing is.
fn all_objects(cert_manager: &str) -> Vec<(ObjectKind, Value)> {
    let seen = empty(cert_manager);
    let one = ("tidbCluster", "east/prod/one");
    let by = ("method", "cert-manager");
    let mut all = created("issue-ca", &[one, by, ("copyTo", "west/prod/two")], &seen);
    all.extend(created(
        "issue-certificates",
        &[
            one,
            by,
            ("clusterDomain", "east.local"),
            ("mysql", "true"),
            ("components", "pd,tikv,tidb,tiflash,ticdc,tiproxy,pump"),
        ],
        &seen,
    ));
    all.extend(created("issue-certificates", &[one, by], &seen));
    all
}

#[test]
fn cert_manager_objects_are_valid() {
    let files = [
        (ObjectKind::Issuer, "cert-manager.io_issuers.yaml"),
        (ObjectKind::Certificate, "cert-manager.io_certificates.yaml"),
    ];
    for (kind, file) in files {
        let Some(schema) = schema(file, "v1") else { continue };
        let objects: Vec<Value> =
            all_objects("v1").into_iter().filter(|(found, _)| *found == kind).map(|(_, object)| object).collect();
        assert!(objects.len() >= 3, "{kind:?}: {}", objects.len());
        for object in objects {
            assert_eq!(faults(&schema, &object), Vec::<String>::new(), "{object:#}");
        }
    }
}

#[test]
fn an_ancient_cert_manager_gets_its_own_form() {
    let all = all_objects("v1alpha2");
    for (kind, object) in &all {
        assert!(matches!(kind, ObjectKind::IssuerV1alpha2 | ObjectKind::CertificateV1alpha2), "{object:#}");
        if *kind == ObjectKind::CertificateV1alpha2 {
            // A CA has its common name alone, so that it is never called like what it signs.
            let expected = if object["spec"]["isCA"] == true { Value::Null } else { json!(["PingCAP"]) };
            assert_eq!(object["spec"]["organization"], expected, "{object:#}");
            assert!(object["spec"].get("subject").is_none());
        }
    }
    assert!(all.len() > 15, "{}", all.len());
}

#[test]
fn a_ca_is_renewed_in_time_and_with_its_key() {
    for (days, before) in [("30", "240h"), ("60", "480h"), ("61", "720h"), ("3650", "720h")] {
        let sets = [("tidbCluster", "east/prod/one"), ("method", "cert-manager"), ("days", days)];
        let all = created("issue-ca", &sets, &empty("v1"));
        let (_, ca) = all.iter().find(|(kind, _)| *kind == ObjectKind::Certificate).expect("a Certificate");
        let spec = &ca["spec"];
        assert_eq!(spec["renewBefore"], before, "{days} days");
        let hours = |field: &str| -> u64 {
            spec[field].as_str().and_then(|text| text.trim_end_matches('h').parse().ok()).expect("hours")
        };
        assert!(hours("renewBefore") < hours("duration"), "{days} days");
        // Copies of it lie in other clusters, and nobody carries a new key there.
        assert_eq!(spec["privateKey"]["rotationPolicy"], "Never");
    }
}

/// The TidbCluster of [`empty`]'s east, bootstrapped.
fn with_initial(tls: bool) -> Observation {
    let mut seen = empty("v1");
    let mut say = |what| {
        seen.fleet.apply(Change { context: "east".into(), at: jiff::Timestamp::UNIX_EPOCH, what });
    };
    let tc = json!({
        "metadata": {"name": "one", "namespace": "prod", "uid": "one", "resourceVersion": "1"},
        "spec": {"version": "v8.5.4", "acrossK8s": true, "clusterDomain": "east.local", "tlsCluster": {"enabled": tls},
            "imagePullSecrets": [{"name": "corp"}],
            "pd": {"replicas": 3, "maxFailoverCount": 0, "baseImage": "registry.corp/pd"},
            "tikv": {"replicas": 3, "maxFailoverCount": 0, "baseImage": "registry.corp/tikv"}},
        "status": {"clusterID": "42"},
    });
    say(What::TidbClusters(vec![serde_json::from_value(tc).expect("a TidbCluster")]));
    seen
}

#[test]
fn tidb_clusters_that_join_are_valid() {
    let Some(schema) = schema("pingcap.com_tidbclusters.yaml", "v1alpha1") else { return };
    let sets = [("join", "east/prod/one"), ("tidbCluster", "west/prod/two")];
    let more = [
        ("clusterDomain", "west.local"),
        ("tlsClient", "true"),
        ("tikvReplicas", "3"),
        ("tidbReplicas", "2"),
        ("tiflashReplicas", "2"),
        ("ticdcReplicas", "1"),
        ("storageClass", "fast"),
    ];
    for (sets, tls) in [(sets.to_vec(), false), ([&sets[..], &more[..]].concat(), true)] {
        let objects = created("join-cluster", &sets, &with_initial(tls));
        let (_, object) = objects.iter().find(|(kind, _)| *kind == ObjectKind::TidbCluster).expect("one joins");
        assert_eq!(object["spec"]["cluster"]["clusterDomain"], "east.local");
        // From the registry of the Database, which may be the only one that can be reached.
        assert_eq!(object["spec"]["imagePullSecrets"], json!([{"name": "corp"}]));
        for component in ["pd", "tikv"] {
            assert_eq!(object["spec"][component]["baseImage"], format!("registry.corp/{component}"));
        }
        assert_eq!(object["spec"]["tlsCluster"]["enabled"] == true, tls, "{object:#}");
        assert_eq!(faults(&schema, object), Vec::<String>::new(), "{object:#}");
    }
}

#[test]
fn tidb_clusters_are_valid() {
    // TiDB Operator 1.6, and 1.3 that is still in use.
    for file in ["pingcap.com_tidbclusters.yaml", "tidb-operator-1.3/pingcap.com_tidbclusters.yaml"] {
        let Some(schema) = schema(file, "v1alpha1") else { return };
        deployed_are_valid(file, &schema);
    }
}

fn deployed_are_valid(file: &str, schema: &Value) {
    let seen = empty("v1");
    let one = [("tidbCluster", "east/prod/one"), ("version", "v8.5.7"), ("clusterDomain", "east.local")];
    let more = [
        ("tls", "true"),
        ("tlsClient", "true"),
        ("tiflashReplicas", "2"),
        ("ticdcReplicas", "1"),
        ("storageClass", "fast"),
    ];
    for sets in [one.to_vec(), [&one[..], &more[..]].concat()] {
        let objects = created("deploy-initial-cluster", &sets, &seen);
        assert!(objects.iter().any(|(kind, _)| *kind == ObjectKind::TidbCluster), "{objects:?}");
        for (_, object) in objects.iter().filter(|(kind, _)| *kind == ObjectKind::TidbCluster) {
            assert_eq!(faults(schema, object), Vec::<String>::new(), "{file}: {object:#}");
        }
    }
}

/// The same, with one Database across both.
fn spanning() -> Observation {
    let mut seen = empty("v1");
    let joined = json!({"name": "prod-east", "namespace": "prod", "clusterDomain": "east.local"});
    for (context, name, cluster) in [("east", "prod-east", None), ("west", "prod-west", Some(joined))] {
        let mut spec = json!({"version": "v8.5.7", "acrossK8s": true, "clusterDomain": format!("{context}.local")});
        if let Some(cluster) = cluster {
            spec["cluster"] = cluster;
        }
        let tc = json!({"metadata": {"namespace": "prod", "name": name, "uid": name}, "spec": spec, "status": {"clusterID": "42"}});
        let what = What::TidbClusters(vec![serde_json::from_value(tc).expect("the API's shape")]);
        seen.fleet.apply(Change { context: context.into(), at: jiff::Timestamp::UNIX_EPOCH, what });
    }
    seen
}

#[test]
fn tidb_monitors_are_valid() {
    let Some(schema) = schema("pingcap.com_tidbmonitors.yaml", "v1alpha1") else { return };
    let seen = spanning();
    let one = [("tidbCluster", "east/prod/prod-east")];
    let more = [("storage", "10Gi"), ("storageClass", "fast"), ("grafanaSecret", "grafana")];
    let push = [("method", "remote-write"), ("remoteWriteUrl", "http://receiver"), ("remoteWriteSecret", "push")];
    let bucket = [("objectStorageSecret", "bucket"), ("retention", "15d")];
    for more in [&[][..], &more[..], &push[..], &bucket[..], &[("method", "federation")][..]] {
        let sets = [&one[..], more].concat();
        let objects = created("monitor-across-clusters", &sets, &seen);
        let monitors: Vec<_> = objects.iter().filter(|(kind, _)| *kind == ObjectKind::TidbMonitor).collect();
        assert_eq!(monitors.len(), 2, "{objects:?}");
        for (_, object) in monitors {
            assert_eq!(faults(&schema, object), Vec::<String>::new(), "{object:#}");
        }
    }
}

/// A Prometheus reads what was made for it: every other one of the Database is a target.
#[test]
fn a_federation_asks_every_prometheus() {
    let sets = [("tidbCluster", "east/prod/prod-east"), ("method", "federation")];
    let objects = created("monitor-across-clusters", &sets, &spanning());
    let mut prometheus = objects.iter().filter(|(kind, _)| *kind == ObjectKind::Deployment).map(|(_, object)| object);
    let pod = &prometheus.next_back().expect("a Deployment")["spec"]["template"]["spec"]["containers"][0];
    // What its shell writes, by a shell.
    let script = pod["args"][0]
        .as_str()
        .expect("a script")
        .replace("/prometheus/federation.yml; exec prometheus", "/dev/stdout; true");
    let mut shell = std::process::Command::new("sh");
    for variable in pod["env"].as_array().expect("variables") {
        let text = |field: &str| variable[field].as_str().expect("a text").to_owned();
        shell.env(text("name"), text("value"));
    }
    let out = shell.args(["-ec", &script]).output().expect("a shell");
    let text = String::from_utf8(out.stdout).expect("text");
    let read: Value = serde_saphyr::from_str(&text).expect("YAML");
    let job = &read["scrape_configs"][0];
    let targets = ["prod-east-prometheus.prod.svc.east.local:9090", "prod-west-prometheus.prod.svc.west.local:9090"];
    assert_eq!(job["static_configs"][0]["targets"], json!(targets), "{text}");
    assert_eq!(
        (&job["params"]["match[]"], &job["honor_labels"]),
        (&json!([r#"{__name__=~".+"}"#]), &json!(true)),
        "{text}"
    );
}

/// The lint's lists of fields are those of the CRD.
#[test]
fn the_fields_that_the_lint_knows_are_the_crd_s() {
    use tidepilot::hazards::lint::unknown_fields::{COMPONENT, REFERENCE, SPEC};
    let Some(crd) = schema("pingcap.com_tidbclusters.yaml", "v1alpha1") else { return };
    let spec = &crd["properties"]["spec"]["properties"];
    let of = |schema: &Value| -> BTreeSet<String> {
        schema["properties"].as_object().expect("fields").keys().cloned().collect()
    };
    let own = |fields: &[&str]| -> BTreeSet<String> { fields.iter().map(|field| (*field).to_owned()).collect() };
    assert_eq!(own(&SPEC), of(&crd["properties"]["spec"]));
    assert_eq!(own(&REFERENCE), of(&spec["cluster"]));
    let components = ["pd", "tikv", "tidb", "tiflash", "ticdc", "pump", "tiproxy", "discovery"];
    assert_eq!(own(&COMPONENT), components.iter().flat_map(|component| of(&spec[*component])).collect());
}
