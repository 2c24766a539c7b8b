//! `tidepilot status` as a table for people. The document itself is [`super::status`]'s.

use super::status::{Status, TidbClusterStatus};
use super::table::table;
use crate::fleet::database::Database;
use crate::fleet::pd::PdWay;
use crate::fleet::regions_after_cluster_loss;
use crate::pluralize::{counted, total};
use crate::runbook::run::open_run_status::{self, Standing};

impl Status {
    /// The table for people. `wide` adds URLs and ids.
    pub fn text(&self, wide: bool) -> String {
        let mut out = String::new();
        let runs: Vec<Standing> = self.open_runs.iter().map(|open| open.run.clone()).collect();
        let rows: Vec<Vec<String>> = self
            .kube_clusters
            .iter()
            .map(|cluster| {
                let named = |tc: &TidbClusterStatus| match tc.suspended.as_slice() {
                    [] => format!("{}/{}", tc.namespace, tc.name),
                    titles => format!("{}/{} ({} suspended)", tc.namespace, tc.name, titles.join(", ")),
                };
                let tcs: Vec<String> = cluster.tidb_clusters.iter().map(named).collect();
                vec![
                    cluster.context.clone(),
                    cluster.freshness.to_owned(),
                    cluster.version.clone().unwrap_or_else(dash),
                    cluster.operator_version.clone().or(cluster.operator.map(ToOwned::to_owned)).unwrap_or_else(dash),
                    if tcs.is_empty() { dash() } else { tcs.join(",") },
                    cluster.message.clone().unwrap_or_default(),
                ]
            })
            .collect();
        out.push_str(&table(&["KUBECLUSTER", "FRESHNESS", "VERSION", "OPERATOR", "TIDBCLUSTERS", "MESSAGE"], &rows));
        for database in &self.databases {
            out.push('\n');
            out.push_str(&database_text(database, wide, &runs));
        }
        if !runs.is_empty() {
            out.push('\n');
            out.push_str(&super::run_lines::open(&runs));
        }
        for unseen in &self.open_runs_unseen {
            out.push_str(&super::plain(&format!("NOTE    open runs could not be looked for in {unseen}")));
            out.push('\n');
        }
        let wrong = self.problems.iter().map(|problem| format!("WRONG   {problem}"));
        for (index, line) in wrong.chain(self.unseen.iter().map(|unseen| format!("UNSEEN  {unseen}"))).enumerate() {
            let gap = if index == 0 { "\n" } else { "" };
            out.push_str(&format!("{gap}{}\n", super::plain(&line)));
        }
        out
    }
}

/// "PD 3/3, tolerates 1; losing cluster east: no quorum".
pub fn quorum_sentence(database: &Database) -> String {
    if database.members.is_empty() {
        return "PD not seen".into();
    }
    let quorum = database.quorum;
    let mut sentence = format!("PD {}/{}, tolerates {}", quorum.healthy, quorum.members, quorum.tolerate);
    if !quorum.stands() {
        sentence.push_str("; quorum not seen to stand");
        return sentence;
    }
    // With one KubeCluster that has all of it, it goes without saying.
    if let Some(loss) = database.losses.sentence().filter(|_| !database.losses.of_one()) {
        sentence.push_str(&format!("; {loss}"));
    }
    sentence
}

#[expect(clippy::too_many_lines, reason = "one page from top to bottom")]
fn database_text(database: &Database, wide: bool, runs: &[Standing]) -> String {
    let id = database.id.as_deref().unwrap_or("id not known");
    let mut out = super::plain(&format!("Database {} ({id}): {}", database.name, quorum_sentence(database)));
    out.push('\n');
    let rows: Vec<Vec<String>> = database
        .members
        .iter()
        .map(|member| {
            let health = match member.healthy {
                Some(true) => "healthy",
                Some(false) => "UNHEALTHY",
                None if member.leaderless => "no leader yet",
                None => "unknown",
            };
            let mut row = vec![
                if member.name.is_empty() {
                    "(never started)".into()
                } else {
                    member.place.pod().unwrap_or(&member.name).to_owned()
                },
                member.place.context().unwrap_or("not connected").to_owned(),
                member.pod_phase.clone().unwrap_or_else(dash),
                health.to_owned(),
                if member.leader { "leader".into() } else { String::new() },
                match (&member.expected_peer_url, member.drift) {
                    (Some(expected), true) => format!("DRIFT: {} (expected {expected})", member.peer_urls.join(",")),
                    (Some(_), false) => member.peer_urls.join(","),
                    (None, _) => format!("{} (expected not known)", member.peer_urls.join(",")),
                },
            ];
            if wide {
                row.insert(0, member.id.hex());
                row.push(member.client_urls.join(","));
                row.push(member.name.clone());
            }
            row
        })
        .collect();
    let header: &[&str] = if wide {
        &["ID", "MEMBER", "KUBECLUSTER", "POD", "HEALTH", "ROLE", "PEERURL", "CLIENTURL", "NAME"]
    } else {
        &["MEMBER", "KUBECLUSTER", "POD", "HEALTH", "ROLE", "PEERURL"]
    };
    out.push_str(&table(header, &rows));
    if wide && !database.stores.is_empty() {
        out.push('\n');
        out.push_str(&stores_text(database));
    }
    let up = database.stores.iter().filter(|row| row.store.is_up()).count();
    if !database.stores.is_empty() {
        out.push_str(&format!("Stores: {up} of {} Up", database.stores.len()));
        if let Some(replicas) = database.max_replicas {
            out.push_str(&format!(", max-replicas {replicas}"));
        }
        out.push_str(&regions(database));
        // With one KubeCluster that has all of it, it goes without saying.
        let regions = database.region_losses.as_ref().filter(|_| !database.losses.of_one());
        if let Some(loss) = regions.and_then(|losses| regions_after_cluster_loss::sentence(losses)) {
            out.push_str(&super::plain(&format!("; {loss}")));
        }
        out.push('\n');
    }
    for line in ways(database) {
        out.push_str(&super::plain(&line));
        out.push('\n');
    }
    for problem in &database.problems {
        out.push_str(&super::plain(&match open_run_status::explained(runs, database, problem) {
            Some(run) => format!("WAIT    {problem} ({})", run.expected()),
            None => format!("WRONG   {problem}"),
        }));
        out.push('\n');
    }
    for unseen in &database.unseen {
        out.push_str(&super::plain(&format!("UNSEEN  {unseen}")));
        out.push('\n');
    }
    out
}

/// How PD was asked, where it was asked directly or was to be; a line each.
pub fn ways(database: &Database) -> Vec<String> {
    let direct = database.members.iter().filter(|member| member.pd_access == Some(PdWay::Direct)).count();
    let instead = database.members.iter().filter_map(|member| match &member.pd_access {
        Some(PdWay::Instead(why)) => Some(why),
        Some(PdWay::Direct | PdWay::PortForward) | None => None,
    });
    let instead: Vec<&String> = instead.collect();
    let mut lines = Vec::new();
    if direct > 0 {
        lines.push(format!("PD was asked directly: {direct} of {}", counted(database.members.len(), "member")));
    }
    if let Some(first) = instead.first() {
        let members = counted(instead.len(), "member");
        lines.push(format!("PD was asked by port-forward after a direct try: {members} ({first})"));
    }
    lines
}

/// `, 1500 regions in 4500 peers`: a region has one leader, and a peer in each store that holds a copy of it. Nothing where PD
/// has told no number yet.
fn regions(database: &Database) -> String {
    let peers = total(database.stores.iter().map(|row| row.store.region_count));
    let leaders = total(database.stores.iter().map(|row| row.store.leader_count));
    if peers == 0 {
        return String::new();
    }
    format!(", {} with a leader in {}", counted(leaders, "region"), counted(peers, "peer"))
}

fn stores_text(database: &Database) -> String {
    let rows: Vec<Vec<String>> = database
        .stores
        .iter()
        .map(|row| {
            vec![
                row.store.id.to_string(),
                row.place.pod().map_or_else(dash, str::to_owned),
                row.place.context().unwrap_or("not connected").to_owned(),
                if row.store.tiflash { "TiFlash".into() } else { "TiKV".into() },
                row.store.state.clone(),
                row.store.leader_count.to_string(),
                row.store.region_count.to_string(),
                row.store.version.clone(),
                row.store.address.clone(),
            ]
        })
        .collect();
    table(&["STORE", "POD", "KUBECLUSTER", "KIND", "STATE", "LEADERS", "PEERS", "VERSION", "ADDRESS"], &rows)
}

fn dash() -> String {
    "-".into()
}
