//! `tidepilot check network-prerequisites [DATABASE]`: what the networks between KubeClusters have to do, and what is seen of it.
//!
//! Sends only reads. Not here: trying names and ports from inside (`run verify-network`), which is what proves most of it.

use std::process::ExitCode;

use clap::Args;

use super::shared_options::{Connect, namespace_of};
use super::{USAGE, fail, help_texts, print};
use crate::client::{self, journal};
use crate::fleet::closer_look::Extras;
use crate::fleet::database::{Database, databases, find_by_name};
use crate::fleet::network_prerequisites::{Proof, prerequisites};
use crate::fleet::{Fleet, ObjectRef};
use crate::report::network_prerequisites::{DatabaseShown, Shown};
use crate::runbook::actions::network_probe_result::RouteProbe;
use crate::runbook::run::record::Event;
use crate::runbook::run::view;

/// The runbook whose runs are looked for.
const VERIFY: &str = "verify-network";

#[derive(Args, Debug)]
#[command(after_help = help_texts::CHECK_NETWORK)]
pub struct NetworkArgs {
    /// Name or PD cluster id of a Database (default: all)
    database: Option<String>,
    /// A place where a TidbCluster is to be; without DATABASE only such places are looked at; repeatable
    #[arg(long = "with", value_name = "CONTEXT/NAMESPACE", value_parser = namespace_of)]
    with: Vec<(String, String)>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = Form::Table)]
    output: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    Table,
    Json,
}

pub async fn run(args: &NetworkArgs, connect: &Connect) -> color_eyre::Result<ExitCode> {
    let (links, folder) = match connect.links().and_then(|links| Ok((links, connect.runs()?))) {
        Ok(both) => both,
        Err(sentence) => return Ok(fail(&sentence, USAGE)),
    };
    let observed_at = client::now();
    let fleet = client::assemble(links.look_closer(None, &Extras::default()).await);
    let asked = match asked(args, &fleet) {
        Ok(asked) => asked,
        Err(sentence) => return Ok(fail(&sentence, USAGE)),
    };
    let proofs: Vec<Proof> =
        journal::list(&folder).filter_map(|(run, read)| Some(seen(&run, &read.ok()?))).flatten().collect();
    let databases = asked.iter().map(|Asked { database, places }| DatabaseShown {
        name: database.as_ref().map(|database| database.name.clone()),
        prerequisites: match one_cluster(places) {
            true => Vec::new(),
            false => prerequisites(&fleet, database.as_ref(), places, &proofs, observed_at),
        },
    });
    let shown = Shown { databases: databases.collect() };
    print(&match args.output {
        Form::Table => shown.text(),
        Form::Json => serde_json::to_string_pretty(&crate::report::document(&shown, observed_at)?)? + "\n",
    });
    Ok(ExitCode::from(shown.exit_code()))
}

fn one_cluster(places: &[ObjectRef]) -> bool {
    places.iter().all(|place| places.first().is_some_and(|first| first.context == place.context))
}

/// A Database, or none where only places are asked about.
struct Asked {
    database: Option<Database>,
    /// Its TidbClusters, and those that are to join.
    places: Vec<ObjectRef>,
}

/// What is asked about. `Err`: one sentence.
fn asked(args: &NetworkArgs, fleet: &Fleet) -> Result<Vec<Asked>, String> {
    if let Some((strange, _)) = args.with.iter().find(|(context, _)| !fleet.clusters.contains_key(context)) {
        let known: Vec<&str> = fleet.clusters.keys().map(String::as_str).collect();
        return Err(format!("there is no context {strange:?}; there are: {}", known.join(", ")));
    }
    let new = || args.with.iter().map(|(context, namespace)| ObjectRef::new(context, namespace, ""));
    let with_new = |database: Database| {
        let places = database.tidb_clusters.iter().cloned().chain(new()).collect();
        Asked { database: Some(database), places }
    };
    if args.database.is_none() && !args.with.is_empty() {
        return Ok(vec![Asked { database: None, places: new().collect() }]);
    }
    let all = databases(fleet);
    let chosen = find_by_name::chosen(&all, args.database.as_deref()).map_err(|unknown| unknown.to_string())?;
    Ok(chosen.into_iter().cloned().map(with_new).collect())
}

/// What a run looked at, if that was its business.
fn seen(run: &str, records: &[crate::runbook::run::record::Record]) -> Vec<Proof> {
    let Some(Event::RunOpened { plan, .. }) = records.first().map(|record| &record.event) else { return Vec::new() };
    let (true, Some(last)) = (plan.runbook == VERIFY, records.last()) else { return Vec::new() };
    let Ok(shown) = view::Shown::of(records) else { return Vec::new() };
    let proof = |way: RouteProbe| Proof {
        run: run.to_owned(),
        at: last.at,
        trouble: way.trouble(),
        from: way.from,
        to: way.to,
    };
    shown.run().ways().into_iter().map(proof).collect()
}
