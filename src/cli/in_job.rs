//! `run --in CONTEXT/NAMESPACE` and `runs resume ID --in …`: submits a Job that drives the run, and follows it.
//!
//! Everything is decided here: the plan is shown, the gates that nothing answers are named, and a person agrees. From then
//! on the run needs this machine no more; what is printed is its record. Not here: looking and creating
//! (`app::driver::jobs`), what the pod does ([`super::job`]).

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;

use super::face::{FaceArgs, RunOutput, Said, answer, drive, finish, flagged, told};
use super::plan::sealed;
use super::shared_options::{Connect, Language, PdAccessArg};
use super::signals::{Signals, asked};
use super::{complain, note, print};
use crate::app::driver::jobs::{Followed, ToDrive};
use crate::app::driver::telling::RunTeller;
use crate::app::driver::{Driver, GateAnswer, now};
use crate::app::exit::Exit;
use crate::app::message::{RunEnd, RunMessage};
use crate::client::jobs::access::Unknown;
use crate::client::jobs::manifest::Order;
use crate::counted::counted;
use crate::report;
use crate::runbook::actions::requests::{manifest, quote};
use crate::runbook::plan::digest::digest;
use crate::runbook::plan::{Confirm, Gate, Plan, answers};

/// Between two looks at the record.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Looks at the Job after the run is over, for the words of its pod.
const LAST_LOOKS: usize = 5;

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
    #[arg(long, value_name = "NAME", requires = "place", default_value = "tidepilot-access")]
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

/// A context may have slashes of its own; a namespace has none.
fn place(text: &str) -> Result<Place, String> {
    match text.rsplit_once('/') {
        Some((context, namespace)) if !context.is_empty() && !namespace.is_empty() => {
            Ok(Place { context: context.to_owned(), namespace: namespace.to_owned() })
        }
        _ => Err(format!("expected CONTEXT/NAMESPACE, found {text:?}")),
    }
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
    follow_on(args, face, connect, driver, ToDrive::new(plan), teller).await
}

/// Prints what would be submitted.
pub async fn dry_run(args: &InArgs, face: &FaceArgs, connect: &Connect, driver: &Driver, plan: Plan) -> ExitCode {
    let order = match order(args, face, connect, driver, &ToDrive::new(plan)).await {
        Ok(order) => order,
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
    let read = connect.links().and_then(|links| Ok((links, connect.shelf()?, face.notify.notifier()?)));
    let (links, shelf, notifier) = match read {
        Ok(read) => read,
        Err(sentence) => return connect.refuse(&sentence, super::USAGE),
    };
    let mut teller = RunTeller::of(notifier, &folder, id);
    let driver = Driver::new(links, folder).with_shelf(shelf);
    let found: Arc<Mutex<Option<ToDrive>>> = Arc::default();
    let (slot, own, run) = (Arc::clone(&found), driver.clone(), id.to_owned());
    let end = drive(face, &mut teller, |ears| async move {
        match own.to_hand_over(&run, ears).await {
            Ok(to_drive) => {
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(to_drive);
                RunEnd { run, ..RunEnd::default() }
            }
            Err(ended) => ended,
        }
    })
    .await;
    let Some(to_drive) = found.lock().unwrap_or_else(PoisonError::into_inner).take() else {
        return finish(&end, face, connect, &teller).await;
    };
    let mut face = face.clone();
    if let Some(gate) = &to_drive.gate {
        let by_flag = flagged(&face, gate, &mut BTreeSet::new());
        match answer(&face, gate, by_flag).await {
            GateAnswer::Text(text) => face.answers.push((gate.id.clone(), text)),
            GateAnswer::NotYet | GateAnswer::No => {
                let need = gate.text.as_ref().map_or("--yes".to_owned(), |text| format!("--confirm {}", quote(text)));
                let sentence =
                    format!("nothing was submitted and the run is as it was: {} (needs {need})", gate.question);
                return connect.refuse(&sentence, Exit::AtGate.code());
            }
        }
    }
    follow_on(args, &face, connect, &driver, to_drive, &mut teller).await
}

/// Submits, follows, asks at gates, and submits again.
async fn follow_on(
    args: &InArgs,
    face: &FaceArgs,
    connect: &Connect,
    driver: &Driver,
    mut to_drive: ToDrive,
    teller: &mut RunTeller,
) -> ExitCode {
    let mut face = face.clone();
    let mut known = to_drive.begun.as_ref().map_or(0, |(records, _)| *records);
    let mut agreed = to_drive.begun.is_some();
    loop {
        let order = match submitted(args, &face, connect, driver, &to_drive, agreed).await {
            Ok(order) => order,
            Err((sentence, code)) => return connect.refuse(&sentence, code.code()),
        };
        agreed = true;
        let place = format!("{}/{}", order.context, order.namespace);
        match follow(driver, &order, &to_drive.plan, &face, teller, &mut known).await {
            Came::Left => {
                let stop = format!(
                    "kubectl --context {} -n {} delete job {}",
                    quote(&order.context),
                    quote(&order.namespace),
                    order.name
                );
                complain(&connect.repeat(&format!(
                    "left; run {} goes on in {place} as Job {}. `tidepilot runs show {} --follow` shows it from anywhere, `{stop}` has it come to a safe stop",
                    order.run, order.name, order.run
                )));
                return ExitCode::from(Exit::Paused.code());
            }
            Came::Over(end) => {
                teller.ended(&end);
                return finish(&end, &face, connect, teller).await;
            }
            Came::AtGate(end, gate, followed) => {
                let said = match &gate {
                    Some(gate) => answer(&face, gate, None).await,
                    None => GateAnswer::NotYet,
                };
                let (Some(gate), GateAnswer::Text(text)) = (gate, said) else {
                    let resume = format!(
                        "`tidepilot runs resume {} --in {}` asks and has a Job go on",
                        order.run,
                        quote(&place)
                    );
                    let end = RunEnd { sentence: format!("{}; {resume}", end.sentence), ..end };
                    teller.ended(&end);
                    return finish(&end, &face, connect, teller).await;
                };
                face.answers.push((gate.id, text));
                to_drive.begun = Some((followed.records.len(), followed.mark));
            }
        }
    }
}

/// Makes the order, says what will happen, asks, and creates the objects.
async fn submitted(
    args: &InArgs,
    face: &FaceArgs,
    connect: &Connect,
    driver: &Driver,
    to_drive: &ToDrive,
    agreed: bool,
) -> Result<Order, (String, Exit)> {
    let refused = |sentence: String| (sentence, Exit::Refused);
    let order = order(args, face, connect, driver, to_drive).await.map_err(refused)?;
    for sentence in access(driver, &order, &to_drive.plan).await.map_err(refused)? {
        complain(&sentence);
    }
    driver.rehearse_job(&order).await.map_err(|why| refused(format!("nothing was submitted: {why}")))?;
    let place = format!("{}/{}", order.context, order.namespace);
    if !agreed {
        for sentence in stops(&to_drive.plan, face) {
            complain(&report::plain(&sentence));
        }
        let question = format!("Submit it as Job {} in {place}?", order.name);
        let gate = Gate { id: "submit".into(), step: "submit".into(), question, text: None, short: None };
        let by_flag = flagged(face, &gate, &mut BTreeSet::new());
        if answer(face, &gate, by_flag).await.text().is_none() {
            return Err((format!("nothing was submitted: {} (needs --yes)", gate.question), Exit::AtGate));
        }
    }
    driver.submit(&order).await.map_err(|why| refused(format!("{why}; look into {place}")))?;
    if face.output == RunOutput::Text {
        note(&format!("run {} was submitted to {place} as Job {}; Ctrl-C leaves it there\n", order.run, order.name));
    }
    Ok(order)
}

/// What is submitted. `Err`: one sentence.
async fn order(
    args: &InArgs,
    face: &FaceArgs,
    connect: &Connect,
    driver: &Driver,
    to_drive: &ToDrive,
) -> Result<Order, String> {
    let Some(place) = &args.place else { return Err("there is no --in".to_owned()) };
    let plan = &to_drive.plan;
    if let Some(sentence) = driver.not_by_job(plan) {
        return Err(sentence);
    }
    if connect.pd_ca.is_some() {
        return Err("--pd-ca, --pd-cert and --pd-key are files of this machine and do not go with a Job".to_owned());
    }
    let records = to_drive.begun.as_ref().map_or(0, |(records, _)| *records);
    Ok(Order {
        run: to_drive.run.clone(),
        runbook: plan.runbook.clone(),
        target: plan.target.to_string(),
        context: place.context.clone(),
        namespace: place.namespace.clone(),
        name: Order::name_of(&to_drive.run, records),
        plan: sealed(plan).map_err(|error| error.to_string())?.to_string(),
        document: plan.document.as_ref().map(|document| (document.file.clone(), document.text.clone())),
        image: args.image.clone().unwrap_or_else(|| format!("tidepilot:{}", env!("CARGO_PKG_VERSION"))),
        pull_secret: args.image_pull_secret.clone(),
        kubeconfig_secret: args.kubeconfig_secret.clone(),
        user: driver.submitter(&place.context).await,
        arguments: arguments(face, connect, to_drive),
    })
}

/// What the pod is told: the plan's digest, its contexts, and what was answered.
fn arguments(face: &FaceArgs, connect: &Connect, to_drive: &ToDrive) -> Vec<String> {
    let plan = &to_drive.plan;
    let mut all = vec![format!("--digest={}", digest(plan))];
    all.extend(plan.contexts.iter().map(|context| format!("--context={context}")));
    all.extend(connect.namespace.clone().or_else(|| only_namespace(plan)).map(|only| format!("--namespace={only}")));
    all.extend(connect.pd_access.map(|how| format!("--pd-access={}", PdAccessArg::word(how))));
    let lang = if connect.chinese() { Language::Zh } else { Language::En };
    all.push(format!("--lang={}", if lang == Language::Zh { "zh" } else { "en" }));
    all.extend(to_drive.begun.iter().map(|(_, mark)| format!("--after={mark}")));
    all.extend(face.yes.then(|| "--yes".to_owned()));
    all.extend(face.confirm.iter().map(|text| format!("--confirm={text}")));
    all.extend(face.answers.iter().map(|(gate, text)| format!("--answer={gate}={text}")));
    all
}

/// The namespace of everything that the plan is about, where it is one: with the roles that `rbac` prints then, nothing
/// outside may be listed.
fn only_namespace(plan: &Plan) -> Option<String> {
    let of_database = plan.basis.keys().filter_map(|name| name.strip_prefix("TidbCluster ")?.split('/').nth(1));
    let of_steps = plan.steps.iter().map(|step| step.action.target().namespace.as_str());
    let all: BTreeSet<&str> = of_database.chain(of_steps).chain([plan.target.namespace.as_str()]).collect();
    match all.len() {
        1 => all.first().map(|only| (*only).to_owned()),
        _ => None,
    }
}

/// What is known of the Job's kubeconfig, a sentence each. `Err`: with it nothing could be driven.
async fn access(driver: &Driver, order: &Order, plan: &Plan) -> Result<Vec<String>, String> {
    let access = match driver.job_access(order).await {
        Ok(access) => access,
        Err(Unknown::Bad(why)) => return Err(format!("nothing was submitted: {why}")),
        Err(Unknown::Unseen(why)) => {
            return Ok(vec![format!(
                "warning: whether the Secret {} has what the run needs is not known: {why}",
                order.kubeconfig_secret
            )]);
        }
    };
    let missing: Vec<&str> =
        plan.contexts.iter().filter(|context| !access.contains_key(*context)).map(String::as_str).collect();
    if !missing.is_empty() {
        return Err(format!(
            "nothing was submitted: the kubeconfig in Secret {} has no context {}",
            order.kubeconfig_secret,
            missing.join(", ")
        ));
    }
    let ends = plan.contexts.iter().filter_map(|context| Some((context, access.get(context).copied()??)));
    let Some((context, end)) = ends.min_by_key(|(_, end)| *end) else { return Ok(Vec::new()) };
    let left = end.duration_since(now()).as_secs();
    if left <= 0 {
        return Err(format!(
            "nothing was submitted: the token for {context} in Secret {} ended {end}",
            order.kubeconfig_secret
        ));
    }
    let longest: u64 = plan.steps.iter().filter(|step| !step.already_so).map(|step| step.total_s).sum();
    let short = u64::try_from(left).is_ok_and(|left| left < longest);
    Ok(short
        .then(|| {
            format!(
                "warning: the token for {context} ends {end}, in {}; the steps may take up to {} in all. A new one in Secret {} is picked up by the run",
                hours(left.unsigned_abs()),
                hours(longest),
                order.kubeconfig_secret
            )
        })
        .into_iter()
        .collect())
}

fn hours(seconds: u64) -> String {
    match seconds / 60 {
        minutes @ 0..=90 => counted(usize::try_from(minutes).unwrap_or_default(), "minute"),
        minutes => counted(usize::try_from(minutes / 60).unwrap_or_default(), "hour"),
    }
}

/// Where the run will stop for a person, since nothing that was given answers there.
fn stops(plan: &Plan, face: &FaceArgs) -> Vec<String> {
    let mut gates = BTreeSet::new();
    let mut all = Vec::new();
    for step in plan.steps.iter().filter(|step| !step.already_so) {
        let (gate, needs) = match &step.confirm {
            Confirm::None => continue,
            Confirm::Plain { gate } if !face.yes => (gate, "--yes".to_owned()),
            Confirm::Typed { gate, text, short }
                if !face.confirm.iter().any(|given| answers(Some(text), short.as_deref(), given)) =>
            {
                (gate, format!("--confirm {}", quote(text)))
            }
            Confirm::Plain { .. } | Confirm::Typed { .. } => continue,
        };
        if gates.insert(gate.clone()) {
            all.push(format!("it will stop before {} and wait for a person ({needs} answers now)", step.id));
        }
    }
    all
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
                RunOutput::Json => print(&(report::run::json(record).unwrap_or_default() + "\n")),
            }
        }
        *known = followed.records.len().max(*known);
        let trouble = followed.unseen.clone().or_else(|| followed.job.trouble.clone());
        if let Some(sentence) = trouble.filter(|sentence| said.is_new(sentence, Instant::now())) {
            note(&(report::run::waiting(now(), &sentence) + "\n"));
        }
        let ended = followed.job.ended.clone();
        if let Some((code, word)) = driver.over(&followed.records) {
            last_looks += 1;
            if ended.is_some() || last_looks > LAST_LOOKS || followed.job.gone {
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
    let place = format!("{}/{}", order.context, order.namespace);
    let run = order.run.clone();
    let open = !followed.records.is_empty();
    let resume = match open {
        true => format!("; `tidepilot runs resume {run} --in {}` has a Job go on with it", quote(&place)),
        false => String::new(),
    };
    let job = &followed.job;
    let (code, sentence) = match &job.ended {
        _ if job.gone => {
            (Exit::Paused, format!("Job {} was deleted from {place}; its lease lapses by itself{resume}", order.name))
        }
        Some(ended) => (Exit::of_run(ended.code).unwrap_or(Exit::Internal), ended.sentence.clone()),
        None => {
            let why = job.trouble.clone().unwrap_or_else(|| "its pod left no word".to_owned());
            (
                if open { Exit::Paused } else { Exit::Internal },
                format!("Job {} in {place} is over: {why}{resume}", order.name),
            )
        }
    };
    let end = RunEnd { run: if open { run } else { String::new() }, code, sentence, ..RunEnd::default() };
    match code {
        Exit::AtGate => Came::AtGate(end, driver.question(&followed.records), Box::new(followed)),
        _ => Came::Over(end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_split_at_its_last_slash() {
        let found = place("arn:aws:eks:eu-west-1:1:cluster/east/ops").expect("a place");
        assert_eq!((found.context.as_str(), found.namespace.as_str()), ("arn:aws:eks:eu-west-1:1:cluster/east", "ops"));
        for bad in ["east", "/ops", "east/", ""] {
            assert!(place(bad).is_err(), "{bad}");
        }
    }
}
