//! `run --in CONTEXT/NAMESPACE` and `runs resume ID --in …`: submits a Job that drives the run, and follows it.
//!
//! Everything is decided here: the plan is shown, the gates that nothing answers are named, and a person agrees. From then
//! on the run needs this machine no more; what is printed is its record. Not here: looking and creating
//! (`app::driver::job_submit`), what is ordered ([`job_order`]), what the pod does ([`super::job`]).

mod job_order;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;

use self::job_order::{Ordered, ordered, seen_by_pod};
use super::gate_prompts::{
    FaceArgs, RunOutput, Said, answer, drive_to_hand_over, finish, flagged, stops, told, warn_of_unused,
};
use super::shared_options::{Connect, namespace_of};
use super::signals::{Signals, asked};
use super::{complain, note, print};
use crate::app::driver::job_submit::{Followed, ToDrive};
use crate::app::driver::run_notifications::{RunTeller, UNANSWERED};
use crate::app::driver::{Driver, GateAnswer, now};
use crate::app::exit_codes::Exit;
use crate::app::message::{RunEnd, RunMessage};
use crate::client::jobs::job_status::Seen;
use crate::client::jobs::manifest::Order;
use crate::fleet::kubectl_quoting::{kubectl_in, quote};
use crate::invalid_value::Misread;
use crate::report;
use crate::runbook::actions::api_request_parts::manifest;
use crate::runbook::plan::{Gate, Plan};

/// Between two looks at the record.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Looks at the Job after the run is over, for the words of its pod.
const LAST_LOOKS: usize = 5;

/// The Secret of a Job where none is named.
const USUAL_SECRET: &str = "tidepilot-access";

#[derive(Args, Clone, Debug)]
pub struct InArgs {
    /// A Kubernetes Job in this namespace drives the run: it goes on when this machine does not
    #[arg(long = "in", value_name = "CONTEXT/NAMESPACE", value_parser = place, conflicts_with = "local_only")]
    place: Option<Place>,
    /// Image of tidepilot for the Job (default: tidepilot with this version)
    #[arg(long, value_name = "IMAGE", requires = "place")]
    image: Option<String>,
    /// Secret with which the image is pulled
    #[arg(long, value_name = "NAME", requires = "place")]
    image_pull_secret: Option<String>,
    /// Secret with the kubeconfig that the Job uses, under the key `kubeconfig` (`rbac --kubeconfig-out` makes one)
    #[arg(long, value_name = "NAME", requires = "place", default_value = USUAL_SECRET)]
    kubeconfig_secret: String,
}

/// Where the Job is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    context: String,
    namespace: String,
}

impl InArgs {
    pub fn is_given(&self) -> bool {
        self.place.is_some()
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.context, self.namespace)
    }
}

fn place(text: &str) -> Result<Place, Misread> {
    namespace_of(text).map(|(context, namespace)| Place { context, namespace })
}

/// The side of whoever submits.
#[derive(Clone, Copy)]
struct Laptop<'a> {
    args: &'a InArgs,
    face: &'a FaceArgs,
    connect: &'a Connect,
    driver: &'a Driver,
}

/// How following came to its end.
enum Came {
    Over(RunEnd),
    /// The pod stopped at this gate, which is asked here.
    AtGate(RunEnd, Option<Gate>, Box<Followed>),
    Left,
}

/// Submits a new run and follows it.
pub async fn begin(
    args: &InArgs,
    face: &FaceArgs,
    connect: &Connect,
    driver: &Driver,
    plan: Plan,
    teller: &mut RunTeller,
) -> ExitCode {
    if let Some(check) = plan.refusals().next() {
        return connect.refuse(&format!("refused by check {}: {}", check.id, check.sentence), Exit::Refused.code());
    }
    if plan.steps.iter().all(|step| step.already_so) {
        print("nothing to do: every step is already so\n");
        return ExitCode::SUCCESS;
    }
    if let Some(somebody) = driver.busy(&plan).await {
        return connect.refuse(&format!("{somebody}; nothing was submitted"), Exit::AnotherRun.code());
    }
    follow_on(Laptop { args, face, connect, driver }, ToDrive::new(plan), None, teller).await
}

/// Prints what would be submitted.
pub async fn dry_run(args: &InArgs, face: &FaceArgs, connect: &Connect, driver: &Driver, plan: Plan) -> ExitCode {
    let order = match ordered(&Laptop { args, face, connect, driver }, &ToDrive::new(plan), None).await {
        Ok(ordered) => ordered.order,
        Err(sentence) => return connect.refuse(&sentence, Exit::Refused.code()),
    };
    let manifests = order.manifests();
    for object in [&manifests.plan, &manifests.job] {
        print(&format!("---\n{}", manifest(object)));
    }
    ExitCode::SUCCESS
}

/// Has a Job go on with a run of the clusters.
pub async fn go_on(args: &InArgs, face: &FaceArgs, connect: &Connect, id: &str, folder: PathBuf) -> ExitCode {
    let read = connect.links().and_then(|links| Ok((links, connect.catalog()?, face.notify.notifier()?)));
    let (links, catalog, notifier) = match read {
        Ok(read) => read,
        Err(sentence) => return connect.refuse(&sentence, super::USAGE),
    };
    let mut teller = RunTeller::of(notifier, &folder, id);
    let driver = Driver::new(links, folder).with_catalog(catalog);
    let found: Arc<Mutex<Option<ToDrive>>> = Arc::default();
    let (slot, own, run) = (Arc::clone(&found), driver.clone(), id.to_owned());
    // What answers nothing here goes along with the Job, and is asked for there.
    let (end, unused) = drive_to_hand_over(face, &mut teller, |channels| async move {
        match own.to_hand_over(&run, channels).await {
            Ok(to_drive) => {
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(to_drive);
                RunEnd { run, ..RunEnd::default() }
            }
            Err(ended) => ended,
        }
    })
    .await;
    let Some(to_drive) = found.lock().unwrap_or_else(PoisonError::into_inner).take() else {
        warn_of_unused(&unused);
        return finish(&end, face, connect, &teller).await;
    };
    let mut given = None;
    if let Some(gate) = &to_drive.gate {
        let by_flag = flagged(face, gate, &mut BTreeSet::new());
        match put(face, gate, by_flag).await {
            GateAnswer::Text(text) => given = Some((gate.id.clone(), text)),
            // The option goes along, and answers in the pod: so the record tells it from a person's word.
            GateAnswer::Option { .. } => {}
            GateAnswer::NotYet | GateAnswer::No => {
                let need = gate.text.as_ref().map_or("--yes".to_owned(), |text| format!("--confirm {}", quote(text)));
                let sentence =
                    format!("nothing was submitted and the run is as it was: {} (needs {need})", gate.question);
                return connect.refuse(&sentence, Exit::AtGate.code());
            }
        }
    }
    follow_on(Laptop { args, face, connect, driver: &driver }, to_drive, given, &mut teller).await
}

/// Asks, until it is answered or whoever is asked wants to leave (Ctrl-C, SIGTERM): then it is left open.
async fn put(face: &FaceArgs, gate: &Gate, by_flag: Option<GateAnswer>) -> GateAnswer {
    let mut signals = Signals::register().ok();
    tokio::select! {
        said = answer(face, gate, by_flag) => said,
        _ = asked(&mut signals) => {
            note("\n");
            GateAnswer::NotYet
        }
    }
}

/// Submits, follows, asks at gates, and submits again. `given`: the answer that goes with the next Job. Each goes with one.
async fn follow_on(
    laptop: Laptop<'_>,
    mut to_drive: ToDrive,
    mut given: Option<(String, String)>,
    teller: &mut RunTeller,
) -> ExitCode {
    let Laptop { face, connect, driver, .. } = laptop;
    let mut known = to_drive.begun.as_ref().map_or(0, |(records, _)| *records);
    let mut agreed = to_drive.begun.is_some();
    loop {
        let order = match submitted(&laptop, &to_drive, given.as_ref(), agreed).await {
            Ok(order) => order,
            Err((sentence, code)) => return connect.refuse(&sentence, code.code()),
        };
        agreed = true;
        match follow(driver, &order, &to_drive.plan, face, teller, &mut known).await {
            Came::Left => return left(&order, connect),
            Came::Over(end) => {
                teller.ended(&end);
                return finish(&end, face, connect, teller).await;
            }
            Came::AtGate(end, gate, followed) => {
                let said = match &gate {
                    Some(gate) => {
                        teller.waits(gate, if face.asks() { UNANSWERED } else { Duration::ZERO });
                        put(face, gate, None).await
                    }
                    None => GateAnswer::NotYet,
                };
                let (Some(gate), Some(text)) = (gate, said.text()) else {
                    teller.ended(&end);
                    return finish(&end, face, connect, teller).await;
                };
                given = Some((gate.id, text));
                to_drive.begun = Some((followed.records.len(), followed.mark));
            }
        }
    }
}

/// Whoever followed it has left.
fn left(order: &Order, connect: &Connect) -> ExitCode {
    let Order { run, context, namespace, name, .. } = order;
    let stop = format!("{} -n {} delete job {name}", kubectl_in(context), quote(namespace));
    complain(&connect.repeat(&format!(
        "left; run {run} goes on in {context}/{namespace} as Job {name}. `tidepilot runs show {run} --follow` shows it from anywhere, `{stop}` has it come to a safe stop"
    )));
    ExitCode::from(Exit::Paused.code())
}

/// Makes the order, says what will happen, asks, and creates the objects.
async fn submitted(
    laptop: &Laptop<'_>,
    to_drive: &ToDrive,
    given: Option<&(String, String)>,
    agreed: bool,
) -> Result<Order, (String, Exit)> {
    let Laptop { face, connect, driver, .. } = *laptop;
    let refused = |sentence: String| (sentence, Exit::Refused);
    let Ordered { order, contexts, warnings } = ordered(laptop, to_drive, given).await.map_err(refused)?;
    warnings.iter().for_each(|sentence| complain(sentence));
    driver.rehearse_job(&order).await.map_err(|why| refused(format!("nothing was submitted: {why}")))?;
    let place = format!("{}/{}", order.context, order.namespace);
    if !agreed {
        seen_by_pod(connect, &contexts, &to_drive.plan).await.map_err(refused)?;
        for sentence in stops(&to_drive.plan, face) {
            complain(&report::plain(&sentence));
        }
        let question = format!("Submit it as Job {} in {place}?", order.name);
        let gate = Gate { id: "submit".into(), step: "submit".into(), question, text: None, short: None };
        let by_flag = flagged(face, &gate, &mut BTreeSet::new());
        if put(face, &gate, by_flag).await.text().is_none() {
            return Err((format!("nothing was submitted: {} (needs --yes)", gate.question), Exit::AtGate));
        }
    }
    driver.submit(&order).await.map_err(|why| refused(format!("{why}; look into {place}")))?;
    if face.output == RunOutput::Text {
        note(&format!("run {} was submitted to {place} as Job {}; Ctrl-C leaves it there\n", order.run, order.name));
    }
    Ok(order)
}

/// Prints the record as it grows, until the run is over, needs a person, or whoever looks leaves.
async fn follow(
    driver: &Driver,
    order: &Order,
    plan: &Plan,
    face: &FaceArgs,
    teller: &mut RunTeller,
    known: &mut usize,
) -> Came {
    let mut signals = Signals::register().ok();
    let mut said = Said::default();
    let mut last_looks = 0;
    let mut ended_before = false;
    loop {
        let followed = tokio::select! {
            followed = driver.follow(order, plan) => followed,
            _ = asked(&mut signals) => return Came::Left,
        };
        for record in followed.records.iter().skip(*known) {
            said = Said::default();
            teller.hear(&RunMessage::Record(Box::new(record.clone())));
            match face.output {
                RunOutput::Text => told(record),
                RunOutput::Json => print(&(report::run_lines::json(record).unwrap_or_default() + "\n")),
            }
        }
        *known = followed.records.len().max(*known);
        let trouble = followed.unseen.clone().or_else(|| followed.job.trouble.clone());
        if let Some(sentence) = trouble.filter(|sentence| said.is_new(sentence, Instant::now())) {
            note(&(report::run_lines::waiting(now(), &sentence) + "\n"));
        }
        let ended = followed.job.ended.clone();
        if let Some((code, word)) = driver.over(&followed.records) {
            last_looks += 1;
            if ended.is_some() || last_looks > LAST_LOOKS || followed.job.gone {
                // The record says that it is done; only the pod has judged what was verified.
                let not_good = code == Exit::Done && ended.as_ref().is_some_and(|it| it.code == Exit::NotGood.code());
                let code = if not_good { Exit::NotGood } else { code };
                let sentence = ended.map_or(word, |ended| ended.sentence);
                return Came::Over(RunEnd { run: order.run.clone(), code, sentence, ..RunEnd::default() });
            }
        } else if ended_before && (followed.job.finished || followed.job.gone) {
            return stopped(driver, order, followed);
        }
        // The record is read before the Job: once more, so that nothing of it is missed.
        ended_before = followed.unseen.is_none() && (followed.job.finished || followed.job.gone);
        tokio::select! {
            () = tokio::time::sleep(LOOK_AGAIN) => {}
            _ = asked(&mut signals) => return Came::Left,
        }
    }
}

/// The Job is over, and the run is not.
fn stopped(driver: &Driver, order: &Order, followed: Followed) -> Came {
    let open = !followed.records.is_empty();
    let (code, sentence) = end_of(order, open, &followed.job);
    let run = if open { order.run.clone() } else { String::new() };
    let end = RunEnd { run, code, sentence, ..RunEnd::default() };
    match code {
        Exit::AtGate => Came::AtGate(end, driver.question(&followed.records), Box::new(followed)),
        _ => Came::Over(end),
    }
}

/// What the next Job has to be given anew, where it is not what is taken without a word.
fn options(order: &Order) -> String {
    let given = [
        ("--image", Some(&order.image).filter(|image| **image != usual_image())),
        ("--image-pull-secret", order.pull_secret.as_ref()),
        ("--kubeconfig-secret", Some(&order.kubeconfig_secret).filter(|secret| *secret != USUAL_SECRET)),
    ];
    given.iter().filter_map(|(option, value)| Some(format!(" {option} {}", quote(value.as_ref()?)))).collect()
}

/// The image of a Job where none is named.
fn usual_image() -> String {
    format!("tidepilot:{}", env!("CARGO_PKG_VERSION"))
}

/// How a Job has ended whose run is not over; `open`: it has begun.
fn end_of(order: &Order, open: bool, job: &Seen) -> (Exit, String) {
    let (place, name) = (format!("{}/{}", order.context, order.namespace), &order.name);
    // The pod knows where it runs, and not with which options it was submitted.
    let short = format!("tidepilot runs resume {} --in {}", order.run, quote(&place));
    let command = format!("{short}{}", options(order));
    let resume = if open { format!("; `{command}` has a Job go on with it") } else { String::new() };
    let without_word = if open { Exit::Paused } else { Exit::Internal };
    let Some(ended) = job.ended.as_ref().filter(|_| !job.gone) else {
        if job.gone {
            return (
                Exit::Paused,
                format!(
                    "Job {name} was deleted from {place}: it comes to a safe stop and gives its lease back, which else lapses by itself{resume}"
                ),
            );
        }
        let why = job.trouble.clone().unwrap_or_else(|| "its pod left no word".to_owned());
        return (without_word, format!("Job {name} in {place} is over: {why}{resume}"));
    };
    match Exit::of_run(ended.code).unwrap_or(Exit::Internal) {
        // Whoever may write the status of pods can write this. That a run is over is said by its record or not at all.
        Exit::Done | Exit::Undone | Exit::NotGood => {
            let said = &ended.sentence;
            let sentence =
                format!("Job {name} in {place} says {said:?}, and the run's record does not say that it is over");
            (without_word, format!("{sentence}{resume}"))
        }
        // It is somebody else's by now, or this sentence has the command.
        code if code == Exit::AnotherRun => (code, ended.sentence.clone()),
        code => (
            code,
            with_options(&ended.sentence, &short, &command).unwrap_or_else(|| format!("{}{resume}", ended.sentence)),
        ),
    }
}

/// What a pod leaves is a code and one sentence, perhaps of another version; where its own line stands in there, it gets the
/// options with which the Job was submitted.
fn with_options(sentence: &str, short: &str, command: &str) -> Option<String> {
    sentence.contains(short).then(|| sentence.replace(short, command))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::jobs::job_status::Ended;

    #[test]
    fn a_place_is_split_at_its_last_slash() {
        let found = place("arn:aws:eks:eu-west-1:1:cluster/east/ops").expect("a place");
        assert_eq!((found.context.as_str(), found.namespace.as_str()), ("arn:aws:eks:eu-west-1:1:cluster/east", "ops"));
        for bad in ["east", "/ops", "east/", ""] {
            assert!(place(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_the_record_says_that_a_run_is_over() {
        let order = Order {
            run: "r".into(),
            context: "east".into(),
            namespace: "ops".into(),
            image: usual_image(),
            kubeconfig_secret: USUAL_SECRET.into(),
            ..Order::default()
        };
        let job = |code: u8, sentence: &str| Seen {
            finished: true,
            ended: Some(Ended { code, sentence: sentence.into() }),
            ..Seen::default()
        };
        for (open, code) in [(true, Exit::Paused), (false, Exit::Internal)] {
            for said in [Exit::Done, Exit::Undone, Exit::NotGood] {
                assert_eq!(end_of(&order, open, &job(said.code(), "done")).0, code, "{said:?}");
            }
        }
        let (code, sentence) = end_of(&order, true, &job(5, "paused at a"));
        assert_eq!(code, Exit::Paused);
        assert!(sentence.contains("`tidepilot runs resume r --in east/ops` has a Job go on"), "{sentence}");
        assert_eq!(end_of(&order, true, &job(6, "theirs")), (Exit::AnotherRun, "theirs".to_owned()));
        // What it was submitted with goes into the next line, the pod's own line included.
        let own = Order { image: "registry/tidepilot:9".into(), pull_secret: Some("pull".into()), ..order };
        let line = "`tidepilot runs resume r --in east/ops --image registry/tidepilot:9 --image-pull-secret pull`";
        for said in ["paused at a", "waits: `tidepilot runs resume r --in east/ops` goes on"] {
            let (_, sentence) = end_of(&own, true, &job(5, said));
            assert_eq!(sentence.matches("runs resume").count(), 1, "{sentence}");
            assert!(sentence.contains(line), "{sentence}");
        }
    }
}
