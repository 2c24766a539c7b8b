//! With mutual TLS: certificates that the migration could not live with are renewed in place first, and the everyday
//! runbooks do their work as they do without.

use std::collections::BTreeSet;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use tidepilot::client::certificates;
use tidepilot::client::certificates::signing::{self, Ask};
use tidepilot::fleet::certificate_facts::Usage;

use crate::common::{database, members, no_drift};
use crate::lifecycle::bed::Bed;

const BASIC: &str = "tidbCluster=legacy/pingcap/basic";
const DOMAIN: &str = "clusterDomain=cluster1.com";
const WEST: &str = "tidbCluster=west/prod/prod-west";

/// Signs the certificate of a component anew, without any name under the cluster's own domain.
fn forget_the_domain(bed: &Bed, component: &str) {
    let name = format!("basic-{component}-cluster-secret");
    let ca = certificates::values(&bed.object("legacy", "secrets", "pingcap", "basic-ca-secret").expect("the CA"));
    let old = certificates::facts(&certificates::values(
        &bed.object("legacy", "secrets", "pingcap", &name).expect("a certificate"),
    ));
    let old = old.certificate.expect("a certificate");
    let hosts: Vec<String> = old.dns_names.iter().chain(&old.ip_addresses).cloned().collect();
    let hosts: Vec<String> = hosts.into_iter().filter(|host| !host.ends_with(".cluster1.com")).collect();
    let usages = BTreeSet::from([Usage::Server, Usage::Client]);
    let ask = Ask { common_name: "TiDB", organization: None, hosts: &hosts, usages, days: 300 };
    #[allow(clippy::disallowed_methods, reason = "the binary judges by the real clock")]
    let made = signing::certificate(&ask, "basic-ca-secret", &ca, jiff::Timestamp::now()).expect("signed");
    bed.edit("legacy", "secrets", "pingcap", &name, |secret| secret["data"] = made.data());
}

/// Fingerprint of the certificate in a Secret of `legacy`.
fn print_of(bed: &Bed, name: &str) -> String {
    let secret = bed.object("legacy", "secrets", "pingcap", name).expect("it is there");
    certificates::facts(&certificates::values(&secret)).certificate.expect("a certificate").fingerprint
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_without_the_domain_are_renewed_before_the_migration() {
    let bed = Bed::of("tls", &[]).await;
    for component in ["pd", "tikv"] {
        forget_the_domain(&bed, component);
    }
    let until = bed.log_length();
    // Hazard 20: PD would restart under a name that its certificate does not have.
    let refused = bed.run("migrate-cluster-domain", &[BASIC, DOMAIN], &["basic"]).await.expect(4);
    for words in [
        "basic-pd-peer.pingcap.svc.cluster1.com",
        "basic-tikv-peer.pingcap.svc.cluster1.com",
        "renew-certificates with clusterDomain=cluster1.com",
    ] {
        assert!(refused.all().contains(words), "{words}: {}", refused.all());
    }
    for (inputs, words) in [
        (vec![BASIC, DOMAIN, "commonName=PD"], "would not be let in"),
        (vec![BASIC, "clusterDomain=cluster2.com"], "the names would match no pod"),
        (vec![BASIC, DOMAIN, "caOf=legacy/pingcap/other"], "There is no CA to sign with"),
        (vec![BASIC, DOMAIN, "method=cfssl"], "no folder was given"),
    ] {
        let ran = bed.run("renew-certificates", &inputs, &["basic"]).await.expect(4);
        assert!(ran.all().contains(words), "{inputs:?}: {}", ran.all());
    }
    assert_eq!(bed.writes_since(until), Vec::<String>::new());

    let kept = ["basic-tidb-cluster-secret", "basic-cluster-client-secret"].map(|name| print_of(&bed, name));
    let old = ["pd", "tikv"].map(|component| print_of(&bed, &format!("basic-{component}-cluster-secret")));
    bed.run("renew-certificates", &[BASIC, DOMAIN], &["basic"]).await.expect(0);
    let sent = bed.writes_since(until);
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert!(sent.iter().all(|line| line.contains("PATCH") && line.contains("/secrets/basic-")), "{sent:?}");
    let now = ["pd", "tikv"].map(|component| print_of(&bed, &format!("basic-{component}-cluster-secret")));
    assert!(now[0] != old[0] && now[1] != old[1]);
    assert_eq!(kept, ["basic-tidb-cluster-secret", "basic-cluster-client-secret"].map(|name| print_of(&bed, name)));
    // No value of a key has left the Secret.
    let run = bed.room.journals().pop().expect("a journal");
    let journal = std::fs::read_to_string(bed.room.runs().join(format!("{run}.jsonl"))).expect("readable");
    assert!(!journal.contains("PRIVATE KEY") && !journal.contains("LS0tLS1CRUdJTi"), "a key is in the journal");
    let until = bed.log_length();
    let again = bed.run("renew-certificates", &[BASIC, DOMAIN], &["basic"]).await.expect(0);
    assert!(again.all().contains("nothing to do"), "{}", again.all());
    assert_eq!(bed.writes_since(until), Vec::<String>::new());

    bed.run("migrate-cluster-domain", &[BASIC, DOMAIN], &["basic"]).await.expect(0);
    no_drift(database(&bed.status().await, "basic"), 3);

    // What cert-manager keeps is left to it, and so is everything where another CA would sign.
    let annotate = |value: Value| {
        move |secret: &mut Value| secret["metadata"]["annotations"] = json!({"cert-manager.io/certificate-name": value})
    };
    bed.edit("legacy", "secrets", "pingcap", "basic-pd-cluster-secret", annotate(json!("basic-pd")));
    let until = bed.log_length();
    let ran = bed.run("renew-certificates", &[BASIC, "which=all"], &["basic"]).await.expect(4);
    assert!(ran.all().contains("cert-manager keeps"), "{}", ran.all());
    bed.edit("legacy", "secrets", "pingcap", "basic-pd-cluster-secret", |secret| {
        secret["metadata"]["annotations"] = json!({});
    });
    let ask = Ask { common_name: "other", organization: None, hosts: &[], usages: BTreeSet::new(), days: 300 };
    #[allow(clippy::disallowed_methods, reason = "the binary judges by the real clock")]
    let other = signing::authority(&ask, jiff::Timestamp::now()).expect("a CA");
    bed.edit("legacy", "secrets", "pingcap", "basic-ca-secret", |secret| secret["data"] = other.data());
    let ran = bed.run("renew-certificates", &[BASIC, "which=all"], &["basic"]).await.expect(4);
    assert!(ran.all().contains("Not every component of the Database trusts"), "{}", ran.all());
    assert_eq!(bed.writes_since(until), Vec::<String>::new());
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_was_killed_goes_on_and_replaces_none_twice() {
    let killed = async |records: usize| {
        let bed = Bed::of("tls", &[]).await;
        let inputs = [BASIC, "which=all"];
        let (run, _) = bed.killed("renew-certificates", &inputs, &["basic"], records).await;
        bed.tool(&["runs", "resume", &run, "--yes", "--confirm", "basic"]).await.expect(0);
        let taken = bed.writes_since(0);
        assert_eq!(taken.len(), 4, "killed at record {records}: {taken:?}");
        bed.end().await;
    };
    futures::join!(killed(4), killed(7));
}

/// Another CA, in the three steps that keep everybody talking: both in every `ca.crt`, new certificates, the old one out.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_authority_is_brought_in_beside_the_old_one() {
    let bed = Bed::of("tls", &[]).await;
    let ask = Ask { common_name: "new", organization: None, hosts: &[], usages: BTreeSet::new(), days: 3_000 };
    #[allow(clippy::disallowed_methods, reason = "the binary judges by the real clock")]
    let now = jiff::Timestamp::now();
    let new = signing::authority(&ask, now).expect("a CA");
    let both = |context: &str| {
        for secret in bed.store(context).list("secrets", Some("prod")) {
            let name = secret["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            if !name.ends_with("-ca-secret") && secret["data"]["ca.crt"].is_string() {
                let old = certificates::values(&secret).remove("ca.crt").expect("just seen");
                let bundle = new.clone().trusting(&old, now).data();
                bed.edit(context, "secrets", "prod", &name, |secret| {
                    secret["data"]["ca.crt"] = bundle["ca.crt"].clone()
                });
            }
        }
    };
    let authorities = |context: &str, name: &str| {
        let secret = bed.object(context, "secrets", "prod", name).expect("it is there");
        certificates::facts(&certificates::values(&secret)).authorities.len()
    };
    bed.edit("east", "secrets", "prod", "prod-east-ca-secret", |secret| secret["data"] = new.data());
    both("east");
    let until = bed.log_length();
    let inputs = ["tidbCluster=east/prod/prod-east", "which=all"];
    // West does not know the new one yet: its components would refuse those of east.
    let refused = bed.run("renew-certificates", &inputs, &["prod-east"]).await.expect(4);
    assert!(refused.all().contains("west/prod/prod-west: prod-west-pd-cluster-secret"), "{}", refused.all());
    assert_eq!(bed.writes_since(until), Vec::<String>::new());
    both("west");
    bed.run("renew-certificates", &inputs, &["prod-east"]).await.expect(0);
    // Who has a certificate of the old one is trusted still.
    assert_eq!(authorities("east", "prod-east-pd-cluster-secret"), 2);
    let checked = bed.tool(&["check", "prod-east", "-o", "json"]).await.json();
    // That its records lie unguarded is a word, and nothing that is wrong.
    let wrong = checked["findings"].as_array().expect("a list").iter().filter(|one| one["severity"] != "info");
    assert_eq!(wrong.count(), 0, "{checked:#}");
    assert_eq!(database(&bed.status().await, "prod-east")["problems"], json!([]));
    bed.end().await;
}

/// Stale peerURLs as in [`crate::lifecycle::repair`], with the scheme of TLS.
const STALE: (&str, &str) = (
    "    tidbClusters: [east/prod/prod-east, west/prod/prod-west]",
    "    tidbClusters: [east/prod/prod-east, west/prod/prod-west]\n    stalePeerUrls:\n      prod-east-pd-1: https://prod-east-pd-1.prod-east-pd-peer.prod.svc:2380\n      prod-west-pd-0: https://prod-west-pd-0.prod-west-pd-peer.prod.svc:2380",
);

#[tokio::test(flavor = "multi_thread")]
async fn the_everyday_runbooks_work_with_tls() {
    let bed = Bed::of("tls", &[STALE]).await;
    let repair = async || {
        bed.run("repair-peer-urls", &[WEST], &[]).await.expect(0);
        no_drift(database(&bed.status().await, "prod-east"), 3);
        let leader = |status: &Value| {
            let all = members(database(status, "prod-east"));
            all.iter().find(|one| one["leader"] == true).and_then(|one| one["pod"].as_str()).map(str::to_owned)
        };
        let now = leader(&bed.status().await).expect("a leader");
        let to = if now == "prod-east-pd-1" { "prod-east-pd-0" } else { "prod-east-pd-1" };
        let pod = format!("pod={to}");
        bed.run("transfer-pd-leader", &["tidbCluster=east/prod/prod-east", &pod], &[]).await.expect(0);
        assert_eq!(leader(&bed.status().await).as_deref(), Some(to));
        bed.run("restart-component", &[WEST, "component=tidb"], &["prod-west"]).await.expect(0);
    };
    let alone = async || {
        bed.enable_alone().await.expect(0);
        bed.run("suspend-cluster", &[BASIC, "stopDatabase=true"], &["basic"]).await.expect(0);
        bed.run("resume-cluster", &[BASIC], &[]).await.expect(0);
        let status = bed.status().await;
        assert_eq!(database(&status, "basic")["problems"], json!([]));
        no_drift(database(&status, "basic"), 3);
    };
    futures::join!(repair(), alone());
    bed.end().await;
}

/// What PD's own port shows, by a handshake with each pod, is what the Secret holds.
async fn every_pd_serves_its_secret(bed: &Bed) -> bool {
    let secret =
        certificates::values(&bed.object("legacy", "secrets", "pingcap", "basic-pd-cluster-secret").expect("there"));
    let kept = CertificateDer::from_pem_slice(&secret["tls.crt"]).expect("a certificate");
    let pods = ["basic-pd-0", "basic-pd-1", "basic-pd-2"].map(|pod| bed.sim.served("legacy", "pingcap", pod));
    let served = futures::future::join_all(pods).await;
    served.iter().all(|served| served.as_deref() == Some(kept.as_ref()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_is_done_when_pd_serves_it_and_its_plan_names_what_it_replaces() {
    let bed = Bed::of("tls", &[]).await;
    let old = print_of(&bed, "basic-pd-cluster-secret");
    let planned = bed.tool(&["plan", "renew-certificates", "--set", BASIC, "--set", "which=all"]).await;
    assert!(planned.all().contains(&old), "the old one's fingerprint: {}", planned.all());
    assert!(!planned.all().contains("change issued: (not set)"), "{}", planned.all());
    assert!(every_pd_serves_its_secret(&bed).await);
    bed.run("renew-certificates", &[BASIC, "which=all"], &["basic"]).await.expect(0);
    let new = print_of(&bed, "basic-pd-cluster-secret");
    assert!(new != old && every_pd_serves_its_secret(&bed).await, "the Secret alone is no proof");
    bed.end().await;
}

/// The one name by which the operator asks PD: without it the migration would be sent, and nothing would ever roll.
fn forget_the_operators_name(bed: &Bed) {
    let name = "basic-pd-cluster-secret";
    let ca = certificates::values(&bed.object("legacy", "secrets", "pingcap", "basic-ca-secret").expect("the CA"));
    let old = certificates::facts(&certificates::values(
        &bed.object("legacy", "secrets", "pingcap", name).expect("a certificate"),
    ));
    let old = old.certificate.expect("a certificate");
    let hosts: Vec<String> = old.dns_names.iter().chain(&old.ip_addresses).cloned().collect();
    let hosts: Vec<String> = hosts.into_iter().filter(|host| host != "basic-pd.pingcap.svc.cluster1.com").collect();
    let usages = BTreeSet::from([Usage::Server, Usage::Client]);
    let ask = Ask { common_name: "TiDB", organization: None, hosts: &hosts, usages, days: 300 };
    #[allow(clippy::disallowed_methods, reason = "the binary judges by the real clock")]
    let made = signing::certificate(&ask, "basic-ca-secret", &ca, jiff::Timestamp::now()).expect("signed");
    bed.edit("legacy", "secrets", "pingcap", name, |secret| secret["data"] = made.data());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_by_which_the_operator_asks_is_missed_before_there_is_no_way_back() {
    let bed = Bed::of("tls", &[]).await;
    forget_the_operators_name(&bed);
    let until = bed.log_length();
    let refused = bed.run("migrate-cluster-domain", &[BASIC, DOMAIN], &["basic"]).await.expect(4);
    assert!(refused.all().contains("basic-pd.pingcap.svc.cluster1.com"), "{}", refused.all());
    assert_eq!(bed.writes_since(until), Vec::<String>::new());

    // Somebody sets the domain by hand all the same.
    bed.edit("legacy", "tidbclusters", "pingcap", "basic", |tc| {
        tc["spec"]["acrossK8s"] = json!(true);
        tc["spec"]["clusterDomain"] = json!("cluster1.com");
    });
    let blind =
        || bed.object("legacy", "tidbclusters", "pingcap", "basic").expect("there")["status"]["pd"]["synced"] == false;
    let began = std::time::Instant::now();
    while !blind() {
        assert!(began.elapsed() < std::time::Duration::from_secs(30), "the operator is not blinded");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let checked = bed.tool(&["check", "basic", "-o", "json"]).await.expect(2).json();
    let first = &checked["findings"][0];
    assert_eq!((&first["id"], &first["severity"]), (&json!("san-missing"), &json!("high")), "{checked:#}");
    let said = first["sentence"].as_str().expect("a sentence");
    assert!(said.contains("TiDB Operator asks PD by basic-pd.pingcap.svc.cluster1.com"), "{said}");
    bed.end().await;
}

/// A migration stands still because of a certificate that somebody put there meanwhile (a backup, GitOps), before the operator
/// has come far. The run that stands there, and how to go on with it.
async fn stands_still(bed: &Bed) -> String {
    let (waiting, running) = bed.killed("migrate-cluster-domain", &[BASIC, DOMAIN], &["basic"], 6).await;
    assert!(running, "it was killed too late");
    forget_the_operators_name(bed);
    waiting
}

/// The cure, started beside the run that waits, passes as soon as that one is stopped.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waits_lets_through_what_it_waits_for() {
    let bed = Bed::of("tls", &[]).await;
    let waiting = stands_still(&bed).await;
    let resume = ["runs", "resume", &waiting, "--yes", "--confirm", "basic"];
    let driven = bed.interrupted(&resume, Duration::from_secs(6));
    let beside = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        bed.run("renew-certificates", &[BASIC], &["basic"]).await
    };
    let (driven, beside) = futures::join!(driven, beside);
    let driven = driven.expect(5);
    assert!(driven.all().contains("lacks the name basic-pd.pingcap.svc.cluster1.com"), "{}", driven.all());
    beside.expect(0);
    bed.tool(&resume).await.expect(0);
    no_drift(database(&bed.status().await, "basic"), 3);
    bed.end().await;
}

/// Each of the two may be killed, neither locks the other out, and nothing but the cure passes.
#[tokio::test(flavor = "multi_thread")]
async fn both_the_run_that_waits_and_its_cure_may_be_killed() {
    let bed = Bed::of("tls", &[]).await;
    let waiting = stands_still(&bed).await;
    let resume = ["runs", "resume", &waiting, "--yes", "--confirm", "basic"];
    // Killed before the end of its patch was noted: it is brought to its wait, and stopped there.
    bed.interrupted(&resume, Duration::from_secs(5)).await.expect(5);
    let other = bed.run("suspend-cluster", &[BASIC, "stopDatabase=true"], &["basic"]).await;
    assert!(matches!(other.code, 4 | 6), "{}", other.all());
    let (curing, _) = bed.killed("renew-certificates", &[BASIC], &["basic"], 4).await;
    let again = bed.interrupted(&resume, Duration::from_secs(3)).await;
    assert_ne!(again.code, 6, "the open cure does not lock the waiting run out: {}", again.all());
    bed.tool(&["runs", "resume", &curing, "--yes", "--confirm", "basic"]).await.expect(0);
    bed.tool(&resume).await.expect(0);
    no_drift(database(&bed.status().await, "basic"), 3);
    assert!(every_pd_serves_its_secret(&bed).await);
    bed.end().await;
}

/// PD of the first TidbCluster with a list of names.
pub const LISTED: &str = "pd: { replicas: 2, maxFailoverCount: 0, config: { security: { cert-allowed-cn: [TiDB] } }";
