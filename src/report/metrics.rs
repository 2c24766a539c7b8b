//! What a look saw as Prometheus metrics (text format 0.0.4). Pure. Not here: serving them (`cli::monitor`).
//!
//! What is not known has no sample: an absent one is to be alerted on, never taken for zero.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;

use crate::fleet::Fleet;
use crate::fleet::certificate_list::certificates;
use crate::fleet::database::{Database, databases};
use crate::fleet::quorum_after_cluster_loss::Loss;
use crate::hazards::Checked;
use crate::runbook::run::open_run_status::Standing;

/// One metric: its samples stand together under its help.
struct Metric {
    name: &'static str,
    help: &'static str,
    samples: BTreeMap<String, f64>,
}

impl Metric {
    fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, help, samples: BTreeMap::new() }
    }

    /// Two that have the same labels are one series.
    fn set(&mut self, labels: &[(&str, &str)], value: f64) {
        self.samples.insert(written(labels), value);
    }

    fn add(&mut self, labels: &[(&str, &str)]) {
        *self.samples.entry(written(labels)).or_default() += 1.0;
    }
}

fn written(labels: &[(&str, &str)]) -> String {
    let one = |(name, value): &(&str, &str)| {
        let value = super::plain(value).replace('\\', "\\\\").replace('"', "\\\"");
        format!("{name}=\"{value}\"")
    };
    match labels.is_empty() {
        true => String::new(),
        false => format!("{{{}}}", labels.iter().map(one).collect::<Vec<_>>().join(",")),
    }
}

fn number(yes: bool) -> f64 {
    if yes { 1.0 } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "counts and seconds are far below 2^52")]
fn count(count: usize) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "seconds are far below 2^52")]
fn seconds(at: Timestamp) -> f64 {
    at.as_second() as f64
}

/// Everything that was seen. `open`: the runs that are open, and whether every cluster was asked for them.
pub fn text(
    fleet: &Fleet,
    checked: &Checked,
    (open, open_whole): (&[Standing], bool),
    now: Timestamp,
    took: Duration,
) -> String {
    let mut build = Metric::new("tidepilot_build_info", "Version of tidepilot.");
    build.set(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    let mut looked = Metric::new("tidepilot_last_look_timestamp_seconds", "When the latest look ended.");
    looked.set(&[], seconds(now));
    let mut lasted = Metric::new("tidepilot_look_duration_seconds", "How long the latest look took.");
    lasted.set(&[], took.as_secs_f64());
    let mut all = vec![build, looked, lasted];
    all.extend(of_clusters(fleet));
    let databases = databases(fleet);
    all.extend(of_databases(&databases));
    all.extend(of_findings(checked));
    all.extend(of_runs(open, open_whole));
    let mut ends =
        Metric::new("tidepilot_certificate_not_after_timestamp_seconds", "When a certificate of a TidbCluster ends.");
    for one in certificates(fleet, databases.iter().flat_map(|database| &database.tidb_clusters), now) {
        if let Some(end) = one.not_after {
            let labels = [
                ("cluster", one.of.context.as_str()),
                ("namespace", &one.of.namespace),
                ("tidb_cluster", &one.of.name),
                ("secret", &one.secret),
                ("title", &one.title),
            ];
            ends.set(&labels, seconds(end));
        }
    }
    all.push(ends);
    let mut out = String::new();
    for metric in all.iter().filter(|metric| !metric.samples.is_empty()) {
        let Metric { name, help, samples } = metric;
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (labels, value) in samples {
            let _ = writeln!(out, "{name}{labels} {value}");
        }
    }
    out
}

fn of_clusters(fleet: &Fleet) -> Vec<Metric> {
    let mut up = Metric::new("tidepilot_kube_cluster_live", "1: connected, and the last answer is from just now.");
    let mut state = Metric::new("tidepilot_kube_cluster_freshness", "1 for the state that it has.");
    let mut heard = Metric::new("tidepilot_kube_cluster_heard_timestamp_seconds", "When it last answered anything.");
    for cluster in fleet.clusters.values() {
        let name = ("cluster", cluster.context.as_str());
        up.set(&[name], number(cluster.freshness.is_live()));
        state.set(&[name, ("state", cluster.freshness.word())], 1.0);
        if let Some(at) = cluster.heard {
            heard.set(&[name], seconds(at));
        }
    }
    vec![up, state, heard]
}

fn of_databases(databases: &[Database]) -> Vec<Metric> {
    let mut members = Metric::new("tidepilot_pd_members", "Voting members of PD.");
    let mut healthy = Metric::new("tidepilot_pd_members_healthy", "Members that are known to be healthy.");
    let mut tolerates =
        Metric::new("tidepilot_pd_tolerates", "Further members that may fail before PD decides nothing.");
    let mut survives = Metric::new(
        "tidepilot_pd_survives_loss",
        "1: PD keeps a majority without that KubeCluster; 0: it does not; absent where that is not known.",
    );
    let mut replicas = Metric::new(
        "tidepilot_region_replicas_in_cluster",
        "Replicas of one region that may be in that KubeCluster or on stores that are not Up, where losing it may stop regions; else, or where it is not known, absent.",
    );
    let mut quorum = Metric::new("tidepilot_pd_quorum", "1: a majority is healthy.");
    let mut drift = Metric::new("tidepilot_pd_peer_url_drift", "Members whose peerURL is not as it has to be.");
    let mut agree = Metric::new("tidepilot_pd_agree", "1: every PD pod that answered lists the same members.");
    let mut stores = Metric::new("tidepilot_stores", "Stores by their state in PD.");
    let mut unseen = Metric::new("tidepilot_database_unseen", "Things of it that could not be seen.");
    for database in databases {
        let of = [("database", database.name.as_str()), ("id", database.id.as_deref().unwrap_or_default())];
        unseen.set(&of, count(database.unseen.len()));
        // Without an answer of PD there is no membership, which is not one of nobody.
        if database.quorum.members > 0 {
            members.set(&of, count(database.quorum.members));
            healthy.set(&of, count(database.quorum.healthy));
            tolerates.set(&of, count(database.quorum.tolerate));
            quorum.set(&of, number(database.quorum.stands()));
            agree.set(&of, number(database.agree));
            // One without a member cannot be missed, and the only one is always.
            let has_member = |cluster: &str| database.members.iter().any(|one| one.place.context() == Some(cluster));
            let told = database.losses.each().filter(|(cluster, loss)| *loss != Loss::Unknown && has_member(cluster));
            for (cluster, loss) in told.filter(|_| !database.losses.of_one()) {
                survives.set(&[of[0], of[1], ("cluster", cluster)], number(loss == Loss::Survives));
            }
            drift.set(&of, count(database.members.iter().filter(|member| member.drift).count()));
        }
        for loss in database.region_losses.iter().flatten() {
            replicas.set(
                &[of[0], of[1], ("cluster", &loss.kube_cluster)],
                count(usize::try_from(loss.replicas).unwrap_or(usize::MAX)),
            );
        }
        for row in &database.stores {
            let kind = if row.store.tiflash { "tiflash" } else { "tikv" };
            stores.add(&[of[0], of[1], ("kind", kind), ("state", &row.store.state)]);
        }
    }
    vec![members, healthy, tolerates, survives, replicas, quorum, drift, agree, stores, unseen]
}

fn of_findings(checked: &Checked) -> Vec<Metric> {
    let mut findings = Metric::new(
        "tidepilot_findings",
        "What check found, by id and severity; what an open run accounts for does not count.",
    );
    let mut unknown =
        Metric::new("tidepilot_findings_unknown", "Hazards of which it could not be seen whether they are there.");
    for finding in checked.findings.iter().filter(|finding| finding.expected.is_none()) {
        let database = ("database", finding.database.as_deref().unwrap_or_default());
        match finding.unknown {
            true => unknown.add(&[database, ("id", finding.id())]),
            false => findings.add(&[database, ("id", finding.id()), ("severity", finding.severity.word())]),
        }
    }
    vec![findings, unknown]
}

/// `whole`: every place was looked into; else how many there are is not known.
fn of_runs(open: &[Standing], whole: bool) -> Vec<Metric> {
    let mut runs = Metric::new("tidepilot_open_runs", "Runs that are open, here and in the clusters.");
    let mut opened = Metric::new("tidepilot_open_run_opened_timestamp_seconds", "When an open run was opened.");
    if whole {
        runs.set(&[], count(open.len()));
    }
    for run in open.iter().filter(|run| run.opened != Timestamp::default()) {
        opened.set(&[("run", &run.run), ("runbook", &run.runbook), ("target", &run.target)], seconds(run.opened));
    }
    vec![runs, opened]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_equal_ones_are_one_series() {
        assert_eq!(written(&[("a", "x\"y\\z\n")]), "{a=\"x\\\"y\\\\z·\"}");
        let mut metric = Metric::new("m", "h");
        metric.add(&[("a", "1")]);
        metric.add(&[("a", "1")]);
        assert_eq!(metric.samples.into_iter().collect::<Vec<_>>(), [("{a=\"1\"}".to_owned(), 2.0)]);
    }

    #[test]
    fn an_empty_fleet_has_no_quorum_metric_at_all() {
        let text =
            |whole| text(&Fleet::default(), &Checked::default(), (&[], whole), Timestamp::UNIX_EPOCH, Duration::ZERO);
        let seen = text(true);
        assert!(seen.contains("tidepilot_open_runs 0\n") && !seen.contains("tidepilot_pd_quorum"), "{seen}");
        // Where the records may not be listed, none open is not what was seen.
        assert!(!text(false).contains("tidepilot_open_runs "), "{}", text(false));
    }
}
