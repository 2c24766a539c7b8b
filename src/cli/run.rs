//! `tidepilot run`: plan, then drive, from the command line, or have a Job drive it (`--in`).

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::gate_prompts::{FaceArgs, RunOutput, drive, finish, stops};
use super::plan::{OverruleArgs, code, decode, inputs, pair, sealed};
use super::run_in_job::{self, InArgs};
use super::shared_options::Connect;
use super::{USAGE, complain, fail, note, print};
use crate::app::driver::run_notifications::RunTeller;
use crate::app::exit_codes::Exit;
use crate::pluralize::{counted, has};
use crate::report;
use crate::runbook::plan::digest;
use crate::runbook::plan::overrule;
use crate::runbook::recorded_text_translation;

#[derive(Args, Debug)]
pub struct RunArgs {
    /// Name of the runbook (`tidepilot runbook list`)
    #[arg(required_unless_present = "plan")]
    runbook: Option<String>,
    /// An input of the runbook; repeatable
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    #[command(flatten)]
    overrule: OverruleArgs,
    /// Run exactly this plan (`plan --out FILE`): looks again, and refuses when something has moved
    #[arg(long, value_name = "FILE", conflicts_with_all = ["runbook", "set", "accept"])]
    plan: Option<PathBuf>,
    /// Stop after the plan, like `tidepilot plan`
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    place: InArgs,
    #[command(flatten)]
    sharing: SharingArgs,
    #[command(flatten)]
    face: FaceArgs,
}

/// Whether others are to know of a run.
#[derive(Args, Clone, Debug)]
pub struct SharingArgs {
    /// Take no lease and keep the journal on this machine only: nobody else is kept out, and nobody else can go on
    #[arg(long)]
    pub local_only: bool,
}

impl SharingArgs {
    /// Says what `--local-only` loses.
    pub fn warn(&self) {
        if self.local_only {
            complain(
                "--local-only: no lease keeps a second operator out, and the journal is on this machine only; \
                 if it is lost, nobody can take the run over, and `tidepilot status` is all there is to find out what was left half done",
            );
        }
    }
}

#[expect(clippy::too_many_lines, reason = "the command from its arguments to its exit code")]
pub async fn run(args: &RunArgs, connect: &Connect) -> color_eyre::Result<ExitCode> {
    let reviewed = match args.plan.as_deref().map(decode).transpose() {
        Ok(reviewed) => reviewed,
        Err(sentence) => return Ok(connect.refuse(&sentence, Exit::Refused.code())),
    };
    if let Some(Err(sentence)) = args.runbook.as_ref().map(|runbook| connect.knows(runbook, &args.set)) {
        return Ok(connect.refuse(&sentence, Exit::Refused.code()));
    }
    let read = connect
        .links()
        .and_then(|links| Ok((links, inputs(&args.set)?, args.overrule.read()?, args.face.notify.notifier()?)));
    let (links, inputs, accepted, notifier) = match read {
        Ok(read) => read,
        Err(sentence) => return Ok(fail(&sentence, USAGE)),
    };
    let (runbook, inputs, accepted) = match &reviewed {
        Some(plan) => (plan.runbook.clone(), plan.given(), overrule::of_plan(plan)),
        // clap lets neither be missing.
        None => (args.runbook.clone().unwrap_or_default(), inputs, accepted),
    };
    let read_only = |who: &str| {
        let sentence = format!("{who} read-only, so nothing was sent; `tidepilot plan` shows what a run would do");
        Ok(connect.refuse(&sentence, Exit::Refused.code()))
    };
    // With every context read-only there is nothing to look for.
    if links.iter().next().is_some() && links.iter().all(|link| link.read_only()) {
        return read_only("every connected context is");
    }
    let barred: BTreeSet<String> =
        links.iter().filter(|link| link.read_only()).map(|link| link.context().to_owned()).collect();
    let driver = connect.driver(links).map_err(color_eyre::Report::msg)?.local_only(args.sharing.local_only);
    let plan = match driver.plan_accepting(&runbook, &inputs, &accepted, true).await {
        Ok(plan) => plan,
        Err(sentence) => return Ok(connect.refuse(&sentence, Exit::Refused.code())),
    };
    // A context that this run has nothing to do with may well be read-only.
    if let Some(context) = plan.contexts.iter().find(|context| barred.contains(*context)) {
        return read_only(&format!("context {context} is"));
    }
    if let Some(reviewed) = &reviewed {
        let moved = digest::moved(&recorded_text_translation::plan(reviewed, connect.lang()), &plan);
        for sentence in &moved {
            complain(&report::plain(&format!("moved: {sentence}")));
        }
        if !moved.is_empty() {
            let sentence = format!(
                "{} {} moved since the plan of {}, so nothing was sent; plan again and review it",
                counted(moved.len(), "thing"),
                has(moved.len()),
                reviewed.observed_at
            );
            return Ok(connect.refuse(&sentence, Exit::Refused.code()));
        }
    }
    if args.face.output == RunOutput::Text && !args.dry_run {
        note(&connect.with_kubeconfig(&report::plan::text(&plan)));
    }
    if args.dry_run && args.place.is_given() {
        return Ok(run_in_job::dry_run(&args.place, &args.face, connect, &driver, plan).await);
    }
    if args.dry_run {
        print(&match args.face.output {
            RunOutput::Text => connect.with_kubeconfig(&report::plan::text(&plan)),
            RunOutput::Json => sealed(&plan)?.to_string() + "\n",
        });
        return Ok(ExitCode::from(code(&plan)));
    }
    if let Some(sentence) = args.face.confirm.iter().find_map(|given| plan.ambiguous(given)) {
        return Ok(connect.refuse(&format!("nothing was sent: {sentence}"), Exit::Refused.code()));
    }
    let mut teller = RunTeller::new(notifier);
    if args.place.is_given() {
        return Ok(run_in_job::begin(&args.place, &args.face, connect, &driver, plan, &mut teller).await);
    }
    args.sharing.warn();
    // Before anything is sent: what a script left out is learnt in time.
    if !args.face.asks() && plan.refusals().next().is_none() {
        for stop in stops(&plan, &args.face) {
            complain(&report::plain(&stop));
        }
    }
    let driver = driver.patience(args.face.patience());
    let end = drive(&args.face, &mut teller, |channels| async move { driver.start(plan, channels).await }).await;
    Ok(finish(&end, &args.face, connect, &teller).await)
}
