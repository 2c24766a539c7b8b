//! `tidepilot job`: the command of the pod that `run --in` submits. Not for people: it takes what was decided elsewhere.
//!
//! How it ends is left in the pod's termination message, for whoever follows. Not here: what is driven and when
//! (`app::driver::job_pod`), the Job itself (`client::jobs`).

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::gate_prompts::{FaceArgs, drive, finish};
use super::plan::{decode, pair};
use super::shared_options::Connect;
use super::{complain, fail};
use crate::app::driver::job_pod::Task;
use crate::app::driver::run_notifications::RunTeller;
use crate::app::exit_codes::Exit;
use crate::client::jobs::job_status::Ended;
use crate::files;
use crate::runbook::plan::digest::digest;

#[derive(Args, Debug)]
pub struct JobArgs {
    /// Name of the run
    #[arg(long, value_name = "ID")]
    run: String,
    /// The plan that was agreed to
    #[arg(long, value_name = "FILE")]
    plan: PathBuf,
    /// Its digest: another plan is not carried out
    #[arg(long, value_name = "HASH")]
    digest: String,
    /// The Job, as others name it: CONTEXT/NAMESPACE/NAME
    #[arg(long, value_name = "JOB")]
    name: String,
    /// Go on with the run where its record has this hash
    #[arg(long, value_name = "HASH")]
    after: Option<String>,
    /// Answer one gate, by its id; repeatable
    #[arg(long = "answer", value_name = "GATE=TEXT", value_parser = pair)]
    answers: Vec<(String, String)>,
    /// Where to leave how it ended
    #[arg(long, value_name = "FILE", env = "TIDEPILOT_TERMINATION_LOG", default_value = "/dev/termination-log")]
    end: PathBuf,
    #[command(flatten)]
    face: FaceArgs,
}

pub async fn run(args: &JobArgs, connect: &Connect) -> color_eyre::Result<ExitCode> {
    let refuse = |sentence: String| {
        leave(args, Exit::Refused, &sentence);
        Ok(fail(&sentence, Exit::Refused.code()))
    };
    let plan = match decode(&args.plan) {
        Ok(plan) => plan,
        Err(sentence) => return refuse(sentence),
    };
    if digest(&plan) != args.digest {
        return refuse("the plan in the ConfigMap is not the one that was agreed to; nothing was sent".to_owned());
    }
    let face = &args.face;
    let (driver, notifier) =
        match connect.links().and_then(|links| Ok((connect.driver(links)?, face.notify.notifier()?))) {
            Ok(both) => both,
            Err(sentence) => return refuse(sentence),
        };
    let driver = driver.patience(face.patience()).in_job(&args.name);
    let task = Task {
        run: args.run.clone(),
        plan,
        job: args.name.clone(),
        after: args.after.clone(),
        answers: args.answers.clone(),
    };
    let mut teller = RunTeller::new(notifier);
    let end = drive(face, &mut teller, |channels| async move { driver.carry_on(&task, channels).await }).await;
    leave(args, end.code, &end.sentence);
    // Where the pod has its files says nothing to whoever reads its log.
    Ok(finish(&end, face, &Connect::default(), &teller).await)
}

/// Leaves the end where Kubernetes keeps it.
fn leave(args: &JobArgs, code: Exit, sentence: &str) {
    let ended = Ended { code: code.code(), sentence: sentence.to_owned() };
    if let Err(error) = files::write_into(&args.end, &ended.text()) {
        complain(&format!("the end could not be left in {}: {}", args.end.display(), files::io_words(&error)));
    }
}
