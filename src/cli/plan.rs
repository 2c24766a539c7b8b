//! `tidepilot plan`: everything up to the first write. Exit 0 nothing to do, 2 changes to make, 4 refused.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::shared_options::{Connect, new_file};
use super::{USAGE, complain, fail, print};
use crate::app::exit_codes::Exit;
use crate::files::{self, Allowed};
use crate::invalid_value::{Misread, parser_words};
use crate::report;
use crate::runbook::plan::Plan;
use crate::runbook::plan::digest::{digest, fingerprint};
use crate::runbook::plan::overrule::{self, Accepted};
use crate::runbook::run::journal_lines::in_short;
use crate::runbook::run::open_run_status::Standing;

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
    #[arg(long, value_name = "FILE", value_parser = new_file())]
    out: Option<PathBuf>,
}

/// What a person decides against a check.
#[derive(Args, Debug)]
pub struct OverruleArgs {
    /// Overrule this check; repeatable. Only a check that refuses by a reading (what a text says), never one that rests on
    /// proof or guards quorum, identity or data
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
pub fn pair(text: &str) -> Result<(String, String), Misread> {
    let (name, value) = text.split_once('=').ok_or_else(|| Misread::new("NAME=VALUE", text))?;
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
    let exit = match (plan.refusals().count(), plan.changes()) {
        (0, 0) => Exit::Done,
        (0, _) => Exit::Changes,
        (_, _) => Exit::Refused,
    };
    exit.code()
}

/// The plan as a file.
fn encode(plan: &Plan) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(&sealed(plan)?)
}

/// The plan as a document: its digest beside it, and a seal over every value of it.
pub(super) fn sealed(plan: &Plan) -> Result<serde_json::Value, serde_json::Error> {
    let mut document = serde_json::Map::new();
    document.insert("apiVersion".into(), report::API_VERSION.into());
    if let serde_json::Value::Object(own) = serde_json::to_value(plan)? {
        document.extend(own);
    }
    let mut value = serde_json::Value::Object(document);
    value["digest"] = serde_json::Value::String(digest(plan));
    value["seal"] = serde_json::Value::String(fingerprint(&value));
    Ok(value)
}

/// Longest plan file that is read.
const LONGEST: u64 = 16 * 1024 * 1024;

/// What a file is not, and what makes one.
fn no_plan(why: &str) -> String {
    format!("it is not what `plan --out` writes ({}); write one with `tidepilot plan … --out FILE`", parser_words(why))
}

/// Reads a plan file back. Refuses one whose content is not what its digest was made of.
pub fn decode(file: &std::path::Path) -> Result<Plan, String> {
    let bad = |why: String| format!("the plan {} cannot be used: {why}", file.display());
    let text = files::read_text(file, Allowed::PlainOrPipe, LONGEST)
        .map_err(|error| format!("the plan cannot be used: {error}"))?;
    let mut value: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| bad(no_plan(&in_short(&error.to_string()))))?;
    if !value.is_object() {
        return Err(bad(no_plan("it is no object")));
    }
    let mut take = |name: &str| {
        let taken = value.as_object_mut().and_then(|map| map.shift_remove(name))?;
        taken.as_str().map(ToOwned::to_owned)
    };
    let seal = take("seal");
    let sealed = fingerprint(&value);
    let Some(noted) = value.get("digest").and_then(serde_json::Value::as_str).map(ToOwned::to_owned) else {
        return Err(bad(no_plan("it has no digest")));
    };
    // A digest of before there were seals covered neither titles nor requests: what was read may not be what was planned.
    let Some(seal) = seal else {
        let why = "it has no seal: an older tidepilot wrote it, or the seal was taken out, and what it shows may have been edited";
        return Err(bad(format!("{why}. Plan again")));
    };
    if seal != sealed {
        return Err(bad(format!(
            "its seal says {}, its content is {sealed}; it was edited. Plan again",
            in_short(&seal)
        )));
    }
    if let Some(map) = value.as_object_mut() {
        map.shift_remove("digest");
        // Plans of before there were versions have none.
        if let Some(version) = map.shift_remove("apiVersion")
            && version != report::API_VERSION
        {
            let why = format!("its apiVersion is {version}, and this tidepilot reads {:?}", report::API_VERSION);
            return Err(bad(in_short(&why)));
        }
    }
    let plan: Plan = serde_json::from_value(value).map_err(|error| bad(in_short(&parser_words(&error.to_string()))))?;
    let found = digest(&plan);
    match noted == found {
        true => Ok(plan),
        false => {
            Err(bad(format!("its digest says {}, its content is {found}; it was edited. Plan again", in_short(&noted))))
        }
    }
}

pub async fn run(args: &PlanArgs, connect: &Connect) -> color_eyre::Result<ExitCode> {
    if let Err(sentence) = connect.knows(&args.runbook, &args.set) {
        return Ok(connect.refuse(&sentence, Exit::Refused.code()));
    }
    let read = connect.links().and_then(|links| Ok((links, inputs(&args.set)?, args.overrule.read()?)));
    let (links, inputs, accepted) = match read {
        Ok(read) => read,
        Err(sentence) => return Ok(fail(&sentence, USAGE)),
    };
    let driver = connect.driver(links).map_err(color_eyre::Report::msg)?;
    let plan = match driver.plan_accepting(&args.runbook, &inputs, &accepted, true).await {
        Ok(plan) => plan,
        Err(sentence) => return Ok(connect.refuse(&sentence, Exit::Refused.code())),
    };
    if let Some(file) = &args.out {
        let written = files::write_private(file, encode(&plan)? + "\n");
        if let Err(error) = written {
            return Ok(fail(
                &format!("the plan cannot be written to {}: {}", file.display(), files::io_words(&error)),
                1,
            ));
        }
    }
    print(&match args.output {
        PlanOutput::Text => connect.with_kubeconfig(&report::plan::text(&plan)),
        PlanOutput::Json => encode(&plan)? + "\n",
        PlanOutput::Markdown => report::plan::markdown(&plan),
    });
    for run in driver.open_work(None).await.open().iter().filter(|run| is_in_the_way(run, &plan)) {
        complain(&connect.repeat(&format!("warning: this plan cannot be carried out yet: {}", run.refusal())));
    }
    Ok(ExitCode::from(code(&plan)))
}

/// An open run on the plan's Database: `tidepilot run` would refuse to begin beside it.
fn is_in_the_way(run: &Standing, plan: &Plan) -> bool {
    run.target == plan.target.to_string() || (run.database.is_some() && run.database == plan.database)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::runbook::language::document::Runbook;
    use crate::runbook::language::sample_fleet_data;
    use crate::runbook::plan::bind::bind;

    fn plan() -> Plan {
        let runbook = Runbook::shipped("migrate-cluster-domain").expect("shipped");
        let mut given = BTreeMap::from([("tidbCluster".to_owned(), sample_fleet_data::TARGET.to_owned())]);
        given.insert("clusterDomain".into(), "cluster1.com".into());
        let plans = sample_fleet_data::observations().into_iter().filter_map(|seen| bind(&runbook, &given, &seen).ok());
        plans.max_by_key(|plan| plan.steps.len()).expect("a plan")
    }

    /// Paths of every value that is no object and no list with something in it.
    fn leaves(value: &Value, path: &str, all: &mut Vec<String>) {
        let inner: Vec<(String, &Value)> = match value {
            Value::Object(map) => map
                .iter()
                .map(|(key, inner)| (format!("{path}/{}", key.replace('~', "~0").replace('/', "~1")), inner))
                .collect(),
            Value::Array(list) => list.iter().enumerate().map(|(at, inner)| (format!("{path}/{at}"), inner)).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
        };
        if inner.is_empty() {
            all.push(path.to_owned());
        }
        inner.into_iter().for_each(|(path, inner)| leaves(inner, &path, all));
    }

    /// Another value of the same type, so that it still reads as a plan wherever it can.
    fn other(value: &Value) -> Value {
        match value {
            Value::Null | Value::Object(_) => Value::String("x".into()),
            Value::Bool(bool) => Value::Bool(!bool),
            Value::Number(number) => Value::from(number.as_u64().unwrap_or(0) + 1),
            Value::Array(_) => serde_json::json!(["x"]),
            Value::String(text) if text.parse::<jiff::Timestamp>().is_ok() => {
                Value::String("2001-01-01T00:00:00Z".into())
            }
            Value::String(text) => Value::String(format!("{text}x")),
        }
    }

    #[test]
    fn whatever_is_edited_in_a_plan_file_it_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("plan.json");
        let written = encode(&plan()).expect("JSON");
        let read = |value: &Value| {
            std::fs::write(&file, value.to_string()).expect("written");
            decode(&file)
        };
        let whole: Value = serde_json::from_str(&written).expect("JSON");
        assert_eq!(read(&whole).expect("as it was written"), plan());
        let mut all = Vec::new();
        leaves(&whole, "", &mut all);
        assert!(all.len() > 300, "{}", all.len());
        let mut survive_a_new_seal = BTreeSet::new();
        for path in &all {
            let mut edited = whole.clone();
            let leaf = edited.pointer_mut(path).expect("it is there");
            *leaf = other(leaf);
            assert!(
                read(&edited).is_err_and(|why| why.contains("lan again") || why.contains("cannot be used")),
                "{path}"
            );
            // Whoever makes the seal anew still has not the digest that was reviewed.
            if path != "/seal" && path != "/digest" {
                edited.as_object_mut().expect("a plan").shift_remove("seal");
                edited["seal"] = Value::String(fingerprint(&edited));
                if read(&edited).is_ok() {
                    survive_a_new_seal.insert(path.rsplit('/').next().unwrap_or_default().to_owned());
                }
            }
        }
        let volatile = BTreeSet::from(["observedAt".to_owned(), "resourceVersion".to_owned()]);
        assert!(survive_a_new_seal.is_subset(&volatile), "{survive_a_new_seal:?}");
    }

    #[test]
    fn a_plan_file_of_before_there_were_seals_asks_for_a_new_plan() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("plan.json");
        let mut old: Value = serde_json::from_str(&encode(&plan()).expect("JSON")).expect("JSON");
        old.as_object_mut().expect("a plan").shift_remove("seal");
        std::fs::write(&file, old.to_string()).expect("written");
        assert!(decode(&file).is_err_and(|why| why.contains("older tidepilot") && why.contains("Plan again")));
    }
}
