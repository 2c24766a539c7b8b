//! What is submitted for `run --in`: the order of a Job with its arguments, and what is said before of its kubeconfig, of
//! what its pod will see, and of where the run will stop. Nothing is created here.
//!
//! Not here: asking, submitting and following ([`super`]), the objects (`client::jobs::manifest`).

use std::collections::BTreeSet;

use super::super::plan::sealed;
use super::super::shared_options::{Connect, Language, PdAccessArg};
use super::{Laptop, usual_image};
use crate::app::driver::job_submit::ToDrive;
use crate::app::driver::now;
use crate::client::jobs::kubeconfig_secret::{Access, Unknown};
use crate::client::jobs::manifest::Order;
use crate::pluralize::counted;
use crate::runbook::plan::Plan;
use crate::runbook::plan::digest::{digest, moved, tidb_clusters};
use crate::runbook::plan::overrule;

/// An order, and what is to be said of it before it is submitted.
pub(super) struct Ordered {
    pub order: Order,
    /// The contexts that the pod has.
    pub contexts: Vec<String>,
    pub warnings: Vec<String>,
}

/// What is submitted, whatever its Secret holds. `Err`: one sentence.
async fn order(laptop: &Laptop<'_>, to_drive: &ToDrive) -> Result<Order, String> {
    let Laptop { args, connect, driver, .. } = laptop;
    let Some(place) = &args.place else { return Err("there is no --in".to_owned()) };
    let plan = &to_drive.plan;
    if let Some(sentence) = driver.not_by_job(plan) {
        return Err(sentence);
    }
    if connect.pd_ca.is_some() {
        return Err("--pd-ca, --pd-cert and --pd-key are files of this machine and do not go with a Job".to_owned());
    }
    let records = to_drive.begun.as_ref().map_or(0, |(records, _)| *records);
    let mut order = Order {
        run: to_drive.run.clone(),
        runbook: plan.runbook.clone(),
        target: plan.target.to_string(),
        context: place.context.clone(),
        namespace: place.namespace.clone(),
        name: Order::name_of(&to_drive.run, records),
        plan: sealed(plan).map_err(|error| error.to_string())?.to_string(),
        document: plan.document.as_ref().map(|document| (document.file.clone(), document.text.clone())),
        image: args.image.clone().unwrap_or_else(usual_image),
        pull_secret: args.image_pull_secret.clone(),
        kubeconfig_secret: args.kubeconfig_secret.clone(),
        user: driver.submitter(&place.context).await,
        arguments: Vec::new(),
    };
    order.name = driver.free_name(&order).await;
    Ok(order)
}

/// The order as its Secret lets it be carried out. `answer`: what a person has just answered. `Err`: one sentence.
pub(super) async fn ordered(
    laptop: &Laptop<'_>,
    to_drive: &ToDrive,
    answer: Option<&(String, String)>,
) -> Result<Ordered, String> {
    let mut order = order(laptop, to_drive).await?;
    let plan = &to_drive.plan;
    let (held, warnings) = match laptop.driver.job_access(&order).await {
        Ok(held) => {
            let warnings = access(&held, &order, plan)?;
            (Some(held), warnings)
        }
        Err(Unknown::Bad(why)) => return Err(format!("nothing was submitted: {why}")),
        Err(Unknown::Unseen(why)) => (
            None,
            vec![format!(
                "warning: whether the Secret {} has what the run needs is not known: {why}",
                order.kubeconfig_secret
            )],
        ),
    };
    let contexts = contexts(laptop, plan, held.as_ref());
    order.arguments = arguments(laptop, to_drive, &contexts, answer);
    Ok(Ordered { order, contexts, warnings })
}

/// The contexts of the pod: those of the plan, and what else this session and the Secret's kubeconfig both have. Checks
/// look at more than what is written to.
fn contexts(laptop: &Laptop<'_>, plan: &Plan, held: Option<&Access>) -> Vec<String> {
    let own = laptop.driver.contexts();
    let more = own.iter().filter(|context| held.is_some_and(|held| held.contains_key(*context)));
    plan.contexts.iter().chain(more.filter(|context| !plan.contexts.contains(context))).cloned().collect()
}

/// Plans once more with what the pod will see: a plan that it cannot make again would be submitted for nothing. `Err`:
/// one sentence.
pub(super) async fn seen_by_pod(connect: &Connect, contexts: &[String], plan: &Plan) -> Result<(), String> {
    let narrow = Connect {
        contexts: contexts.to_vec(),
        namespace: connect.namespace.clone().or_else(|| only_namespace(plan)),
        ..connect.clone()
    };
    let driver = narrow.driver(narrow.links()?)?;
    let seen = driver.plan_accepting(&plan.runbook, &plan.given(), &overrule::of_plan(plan), true).await;
    let moved = match &seen {
        Ok(seen) => moved(plan, seen),
        Err(sentence) => vec![sentence.clone()],
    };
    if moved.is_empty() {
        return Ok(());
    }
    let namespace = narrow.namespace.map(|namespace| format!(", namespace {namespace}")).unwrap_or_default();
    Err(format!(
        "nothing was submitted: with what the Job will see (contexts {}{namespace}) the plan is another: {}. The contexts that \
         its checks look at have to be in the Secret's kubeconfig",
        contexts.join(", "),
        moved.join("; ")
    ))
}

/// What the pod is told: the plan's digest, its contexts, and what was answered.
fn arguments(
    laptop: &Laptop<'_>,
    to_drive: &ToDrive,
    contexts: &[String],
    answer: Option<&(String, String)>,
) -> Vec<String> {
    let Laptop { face, connect, .. } = laptop;
    let plan = &to_drive.plan;
    let mut all = vec![format!("--digest={}", digest(plan))];
    all.extend(contexts.iter().map(|context| format!("--context={context}")));
    all.extend(connect.namespace.clone().or_else(|| only_namespace(plan)).map(|only| format!("--namespace={only}")));
    all.extend(connect.pd_access.map(|how| format!("--pd-access={}", PdAccessArg::word(how))));
    let lang = if connect.chinese() { Language::Zh } else { Language::En };
    all.push(format!("--lang={}", if lang == Language::Zh { "zh" } else { "en" }));
    all.extend(to_drive.begun.iter().map(|(_, mark)| format!("--after={mark}")));
    all.extend(face.yes.then(|| "--yes".to_owned()));
    all.extend(face.confirm.iter().map(|text| format!("--confirm={text}")));
    all.extend(answer.iter().map(|(gate, text)| format!("--answer={gate}={text}")));
    all
}

/// The namespace of everything that the plan is about, where it is one: with the roles that `rbac` prints then, nothing
/// outside may be listed.
fn only_namespace(plan: &Plan) -> Option<String> {
    let of_database = tidb_clusters(plan);
    let of_database = of_database.iter().map(|of| of.namespace.as_str());
    let of_steps = plan.steps.iter().map(|step| step.action.target().namespace.as_str());
    let all: BTreeSet<&str> = of_database.chain(of_steps).chain([plan.target.namespace.as_str()]).collect();
    match all.len() {
        1 => all.first().map(|only| (*only).to_owned()),
        _ => None,
    }
}

/// What is known of the Job's kubeconfig, a sentence each. `Err`: with it nothing could be driven.
fn access(access: &Access, order: &Order, plan: &Plan) -> Result<Vec<String>, String> {
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
