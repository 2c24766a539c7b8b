//! `tidepilot plan`: everything up to the first write. Exit 0 nothing to do, 2 changes to make, 4 refused.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::options::Connect;
use super::{USAGE, fail, print};
use crate::app::driver::exit;
use crate::files::{self, Allowed};
use crate::report;
use crate::runbook::digest::digest;
use crate::runbook::overrule::{self, Accepted};
use crate::runbook::plan::Plan;
use crate::runbook::record::in_short;

#[derive(Args, Debug)]
pub struct PlanArgs {
    /// Name of the runbook (`tidepilot runbook list`)
    pub runbook: String,
    /// An input of the runbook; repeatable
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = pair)]
    pub set: Vec<(String, String)>,
    #[command(flatten)]
    overrule: OverruleArgs,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = PlanOutput::Text)]
    output: PlanOutput,
    /// Write the plan as JSON to this file as well, for `run --plan`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What a person decides against a check.
#[derive(Args, Debug)]
pub struct OverruleArgs {
    /// Overrule this check: only one that refuses for a reading, never proof, quorum, identity or data; repeatable
    #[arg(long, value_name = "CHECK", requires = "reason")]
    accept: Vec<String>,
    /// Why; it is journalled and shown in plan, report and approval. One for each --accept, in their order
    #[arg(long, value_name = "TEXT", requires = "accept")]
    reason: Vec<String>,
}

impl OverruleArgs {
    pub fn read(&self) -> Result<Accepted, String> {
        if self.accept.len() != self.reason.len() {
            return Err(format!(
                "each --accept needs a --reason of its own: {} and {} were given",
                self.accept.len(),
                self.reason.len()
            ));
        }
        let mut accepted = Accepted::new();
        for (check, reason) in self.accept.iter().zip(&self.reason) {
            overrule::accept(&mut accepted, check, reason)?;
        }
        Ok(accepted)
    }
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

/// The plan as a file: its digest beside it.
fn encode(plan: &Plan) -> Result<String, serde_json::Error> {
    let mut value = serde_json::to_value(plan)?;
    value["digest"] = serde_json::Value::String(digest(plan));
    serde_json::to_string_pretty(&value)
}

/// Longest plan file that is read.
const LONGEST: u64 = 16 * 1024 * 1024;

/// Reads a plan file back. Refuses one whose content is not what its digest was made of.
pub fn decode(file: &std::path::Path) -> Result<Plan, String> {
    let bad = |why: String| format!("the plan {} cannot be used: {why}", file.display());
    let text = files::read_text(file, Allowed::PlainOrPipe, LONGEST)
        .map_err(|error| format!("the plan cannot be used: {error}"))?;
    let mut value: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| bad(in_short(&error.to_string())))?;
    let noted = value.as_object_mut().and_then(|map| map.remove("digest"));
    let plan: Plan = serde_json::from_value(value).map_err(|error| bad(in_short(&error.to_string())))?;
    let found = digest(&plan);
    match noted.as_ref().and_then(serde_json::Value::as_str) {
        Some(noted) if noted == found => Ok(plan),
        Some(noted) => Err(bad(format!("its digest says {noted}, its content is {found}; it was edited. Plan again"))),
        None => Err(bad("it has no digest; write one with `tidepilot plan … --out FILE`".into())),
    }
}

pub async fn run(args: &PlanArgs, connect: &Connect) -> color_eyre::Result<ExitCode> {
    if let Err(sentence) = connect.knows(&args.runbook, &args.set) {
        return Ok(fail(&sentence, exit::REFUSED));
    }
    let read = connect.links().and_then(|links| Ok((links, inputs(&args.set)?, args.overrule.read()?)));
    let (links, inputs, accepted) = match read {
        Ok(read) => read,
        Err(sentence) => return Ok(fail(&sentence, USAGE)),
    };
    // In a read-only context nothing but reads leaves, so results are predicted instead of dry-run.
    let rehearse = !links.iter().any(|link| link.read_only());
    let driver = connect.driver(links).map_err(color_eyre::Report::msg)?;
    let plan = match driver.plan_accepting(&args.runbook, &inputs, &accepted, rehearse).await {
        Ok(plan) => plan,
        Err(sentence) => return Ok(fail(&sentence, exit::REFUSED)),
    };
    if let Some(file) = &args.out {
        files::write_private(file, encode(&plan)? + "\n")
            .map_err(|error| color_eyre::eyre::eyre!("the plan cannot be written to {}: {error}", file.display()))?;
    }
    print(&match args.output {
        PlanOutput::Text => report::plan::text(&plan),
        PlanOutput::Json => encode(&plan)? + "\n",
        PlanOutput::Markdown => report::plan::markdown(&plan),
    });
    Ok(ExitCode::from(code(&plan)))
}
