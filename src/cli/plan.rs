//! `tidepilot plan`: everything up to the first write. Exit 0 nothing to do, 2 changes to make, 4 refused.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::options::Connect;
use super::{USAGE, fail, print};
use crate::app::driver::{Driver, exit};
use crate::report;
use crate::runbook::plan::Plan;

#[derive(Args, Debug)]
pub struct PlanArgs {
    /// Name of the runbook (`tidepilot runbook list`)
    pub runbook: String,
    /// An input of the runbook; repeatable
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = pair)]
    pub set: Vec<(String, String)>,
    #[arg(short, long, value_enum, default_value_t = PlanOutput::Text)]
    output: PlanOutput,
    /// Write the plan as JSON to this file as well
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PlanOutput {
    Text,
    Json,
    Markdown,
}

/// Reads `NAME=VALUE`.
pub fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("expected NAME=VALUE, found {text:?}"))?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Inputs by name; the same name twice is an error.
pub fn inputs(pairs: &[(String, String)]) -> Result<BTreeMap<String, String>, String> {
    let mut inputs = BTreeMap::new();
    for (name, value) in pairs {
        if inputs.insert(name.clone(), value.clone()).is_some() {
            return Err(format!("input {name} is given twice"));
        }
    }
    Ok(inputs)
}

/// Exit code of a plan by itself.
pub fn code(plan: &Plan) -> u8 {
    match (plan.refusals().count(), plan.changes()) {
        (0, 0) => exit::DONE,
        (0, _) => exit::CHANGES,
        (_, _) => exit::REFUSED,
    }
}

pub async fn run(args: &PlanArgs, connect: &Connect) -> color_eyre::Result<ExitCode> {
    let (links, inputs) = match connect.links().and_then(|links| Ok((links, inputs(&args.set)?))) {
        Ok(both) => both,
        Err(sentence) => return Ok(fail(&sentence, USAGE)),
    };
    // In a read-only context nothing but reads leaves, so results are predicted instead of dry-run.
    let rehearse = !links.iter().any(|link| link.read_only());
    let driver = Driver::new(links, connect.runs().map_err(color_eyre::Report::msg)?);
    let plan = match driver.plan(&args.runbook, &inputs, rehearse).await {
        Ok(plan) => plan,
        Err(sentence) => return Ok(fail(&sentence, exit::REFUSED)),
    };
    if let Some(file) = &args.out {
        std::fs::write(file, serde_json::to_string_pretty(&plan)?)?;
    }
    print(&match args.output {
        PlanOutput::Text => report::plan::text(&plan),
        PlanOutput::Json => serde_json::to_string_pretty(&plan)? + "\n",
        PlanOutput::Markdown => report::plan::markdown(&plan),
    });
    Ok(ExitCode::from(code(&plan)))
}
