//! `tidepilot diagnose [DATABASE]`: what interrupted work lies around, and what finishes or undoes it. Only reads.
//!
//! Exit 0: nothing; 2: something; 3: nothing found, but something could not be seen. Not here: what counts as interrupted work
//! ([`crate::fleet::interrupted_work`]), the text ([`crate::report::diagnose`]).

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::shared_options::Connect;
use super::{USAGE, fail, print};
use crate::app::driver::open_runs::OpenWork;
use crate::client;
use crate::client::Links;
use crate::client::kube::leftover_probe_pods::{self, ProbePod};
use crate::client::share::find_run_records;
use crate::client::share::orphaned_leases;
use crate::fleet::Fleet;
use crate::fleet::closer_look::Extra;
use crate::fleet::database::{Database, databases, find_by_name};
use crate::fleet::interrupted_work::{Diagnosis, Leftover, diagnose};
use crate::fleet::kubectl_quoting::{kubectl, quote};
use crate::fleet::not_seen::{NotSeen, NotSeenKind};
use crate::report::{self, plain};
use crate::runbook::run::open_run_status::{self, Standing};

#[derive(Args, Debug)]
pub struct DiagnoseArgs {
    /// Name or PD cluster id of a Database (default: all)
    database: Option<String>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = DiagnoseOutput::Text)]
    output: DiagnoseOutput,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DiagnoseOutput {
    Text,
    Json,
}

pub async fn run(args: &DiagnoseArgs, connect: &Connect) -> color_eyre::Result<ExitCode> {
    let links = match connect.links() {
        Ok(links) => links,
        Err(sentence) => return Ok(fail(&sentence, USAGE)),
    };
    let asked = |db: &Database| args.database.as_ref().is_none_or(|asked| db.is_called(asked));
    let observed_at = client::now();
    let mut fleet = links.look_settled(&[Extra::Pd].into_iter().collect(), asked).await;
    let mut found = diagnose(&fleet, args.database.as_deref());
    if let Err(unknown) = find_by_name::chosen(&databases(&fleet), args.database.as_deref()) {
        return Ok(fail(&unknown.to_string(), USAGE));
    }
    if let Some(asked) = &args.database {
        keep_only(&mut fleet, asked);
    }
    let mut work = connect.open_work(&links, &fleet).await;
    note_orphans(&links, &fleet, &mut work, &mut found).await;
    note_probes(&links, &fleet, &mut found).await;
    found.unseen.extend(
        work.unseen
            .iter()
            .map(|sentence| NotSeen::new(NotSeenKind::RunsUnread, [], format!("open runs not seen in {sentence}"))),
    );
    let all = databases(&fleet);
    let near = |run: &Standing| {
        args.database.is_none() || all.iter().any(|db| found.databases.contains(&db.name) && run.concerns(db))
    };
    let open: Vec<Standing> = work.open().into_iter().filter(|run| near(run)).collect();
    open_run_status::into_diagnosis(&open, &all, &mut found);
    match args.output {
        DiagnoseOutput::Json => print(&(serde_json::to_string_pretty(&report::document(&found, observed_at)?)? + "\n")),
        DiagnoseOutput::Text => {
            for leftover in &mut found.leftovers {
                leftover.remedy = leftover.remedy.reworded(connect.repeat(&leftover.remedy));
            }
            print(&report::diagnose::text(&found));
            for database in all.iter().filter(|database| found.databases.contains(&database.name)) {
                for line in report::status_text::ways(database) {
                    print(&format!("{}: {}\n", plain(&database.name), plain(&line)));
                }
            }
        }
    }
    Ok(ExitCode::from(match (found.leftovers.is_empty(), found.unseen.is_empty()) {
        (false, _) => 2,
        (true, false) => 3,
        (true, true) => 0,
    }))
}

/// Leases lie in the namespaces of the chosen Database's TidbClusters only.
fn keep_only(fleet: &mut Fleet, asked: &str) {
    let own = databases(fleet).into_iter().filter(|database| database.is_called(asked));
    let own: Vec<_> = own.flat_map(|database| database.tidb_clusters).collect();
    for cluster in fleet.clusters.values_mut() {
        let context = cluster.context.clone();
        cluster.tidb_clusters.retain(|key, _| own.iter().any(|of| of.context == context && of.key() == *key));
    }
}

/// Leases that nobody renews.
async fn note_orphans(links: &Links, fleet: &Fleet, work: &mut OpenWork, found: &mut Diagnosis) {
    let (orphans, unreadable) = orphaned_leases::orphans(links, fleet).await;
    work.note_orphans(&orphans);
    // The run that a lease belongs to is told itself, with what goes on with it.
    let known = |run: &str| !run.is_empty() && work.runs.iter().any(|known| known.open && known.run == run);
    for orphan in orphans.into_iter().filter(|orphan| !known(&orphan.run)) {
        let recorded = work.runs.iter().any(|run| run.run == orphan.run)
            || !find_run_records::find(links, Some(&orphan.run)).await.heads.is_empty();
        let remedy = match recorded {
            true => "tidepilot runs list # the run that it belongs to; resume it or take it over".to_owned(),
            // Its answer was lost, or its process died, before there was a record.
            false => format!(
                "# no record of run {} is known: nothing of it was sent. Nothing has to be done: the next run watches the lease for {} s and takes it",
                orphan.run, orphan.watched_s
            ),
        };
        found.leftovers.push(Leftover {
            kind: "orphaned-lease",
            database: orphan.database,
            at: orphan.lease.to_string(),
            sentence: format!(
                "held by {} and not renewed for {} s: its process is gone or stopped",
                orphan.holder, orphan.watched_s
            ),
            remedy: remedy.into(),
        });
    }
    found.unseen.extend(unreadable.into_iter().map(|why| NotSeen::new(NotSeenKind::LeasesUnread, [], why)));
}

/// Probe pods that a run left.
async fn note_probes(links: &Links, fleet: &Fleet, found: &mut Diagnosis) {
    let (probes, unreadable) = leftover_probe_pods::probe_pods(links, fleet).await;
    for ProbePod { pod, run, state } in probes {
        let kubectl = format!("{} delete pod,service {}", kubectl(&pod), quote(&pod.name));
        found.leftovers.push(Leftover {
            kind: "probe-pod",
            database: String::new(),
            at: pod.to_string(),
            sentence: format!("the probe pod of run {run} is there still ({state})"),
            remedy: format!("when that run is not under way: tidepilot runs undo {run} # or: {kubectl}").into(),
        });
    }
    found.unseen.extend(unreadable.into_iter().map(|why| NotSeen::new(NotSeenKind::PodsUnread, [], why)));
}
