//! What is left of a run as a shell script with kubectl and curl: nobody is locked in at the worst moment.
//!
//! Pure: plan and records in, text out. The script looks before it writes, waits for each port-forward and ends it,
//! and can be run again. It does not evaluate the runbook's conditions; they are printed beside the step for a
//! person to judge. Not here: the single lines of a plan ([`super::action::Action::command`]).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value;

use super::action::{Action, Answer, Reversibility};
use super::forward;
use super::network::probe_at;
use super::plan::{Condition, Plan, PlannedStep};
use super::record::{Event, Record};
use super::requests::{quote, update_request};
use crate::counted::counted;
use crate::fleet::ObjectRef;
use crate::fleet::pd::MembershipApi;
use crate::fleet::tidbcluster::Component;

/// The script for every step that no record has completed. `undoing`: the steps that put back what was sent, once a
/// person has chosen that.
pub fn remaining(run: &str, plan: &Plan, undoing: Option<&[PlannedStep]>, records: &[Record]) -> String {
    let mut done = BTreeSet::new();
    let mut befores: BTreeMap<&str, &Value> = BTreeMap::new();
    let mut sent = BTreeSet::new();
    let mut approved = BTreeSet::new();
    for record in records {
        // An approval is for one attempt: the next one needs another.
        match &record.event {
            Event::Approved { step: Some(step), .. } => drop(approved.insert(step.as_str())),
            Event::Intent { step, .. } => drop(approved.remove(step.as_str())),
            _ => {}
        }
        if let Event::Completed { step, .. } = &record.event {
            done.insert(step.as_str());
        } else if let Event::Intent { step, before, .. } = &record.event {
            befores.entry(step).or_insert(before);
            sent.insert(step.as_str());
        } else if let Event::Returned { step, answer: Answer::Refused { .. }, .. } = &record.event {
            sent.remove(step.as_str());
        }
    }
    let all = undoing.unwrap_or(&plan.steps);
    let left: Vec<&PlannedStep> = all.iter().filter(|step| !done.contains(step.id.as_str())).collect();
    let mut out = String::from("#!/bin/sh\n");
    let target = comment(&plan.target.to_string());
    let _ = writeln!(out, "# What is left of run {}: {} on {target}", comment(run), comment(&plan.title));
    if undoing.is_some() {
        out.push_str("# The run is being undone: these steps put back what it sent.\n");
    }
    if left.is_empty() {
        out.push_str("# Nothing: every step is completed.\n");
        return out;
    }
    let _ = writeln!(
        out,
        "# {} of {}. Read it before you run it; end the run first, so that only one of",
        left.len(),
        counted(all.len(), "step")
    );
    out.push_str(
        "# you and tidepilot works. The values are from the journal; what is so already is left alone.\nset -eu\n",
    );
    let membership = |step: &&PlannedStep| matches!(step.action, Action::UpdatePeerUrl { .. });
    if left.iter().any(membership) {
        let tls = left.iter().any(|step| matches!(&step.action, Action::UpdatePeerUrl { to, .. } if to.iter().any(|url| url.starts_with("https"))));
        prelude(&mut out, plan, tls);
    }
    for step in left {
        let _ = write!(out, "\n# {} [{}]", comment(&step.title), comment(&step.id));
        out.push_str(match step.reversibility {
            Reversibility::Irreversible => " — NO WAY BACK\n",
            Reversibility::Free | Reversibility::Compensable => "\n",
        });
        if sent.contains(step.id.as_str()) {
            out.push_str("# It was sent once and its end is not known: look first.\n");
        }
        for pre in &step.pre {
            let _ = writeln!(out, "# {}", held("stop here if", pre));
        }
        if step.approvers > 1 && !approved.contains(step.id.as_str()) {
            guarded(&mut out, run, step, plan, &befores);
        } else {
            one(&mut out, step, plan, &befores);
        }
        for post in &step.post {
            let _ = writeln!(out, "# {}", held("not good yet as long as", post));
        }
    }
    out
}

fn kubectl(of: &ObjectRef) -> String {
    format!("kubectl --context {} -n {}", quote(&of.context), quote(&of.namespace))
}

/// A step that a second person has to approve is no line that is ready to be sent: it is a comment, and the script ends.
fn guarded(out: &mut String, run: &str, step: &PlannedStep, plan: &Plan, befores: &BTreeMap<&str, &Value>) {
    let mut lines = String::new();
    one(&mut lines, step, plan, befores);
    let _ = writeln!(
        out,
        "# A second person has to approve it first: another user runs `tidepilot runs approve {}` and sees what it is.\n\
         # By hand, likewise: another person reads the lines behind #: and agrees; then take the marks and the next line away.",
        comment(run)
    );
    let told = format!("{}: a second person has to approve it first", comment(&step.id));
    let _ = writeln!(out, "echo {} >&2; exit 1", quote(&told));
    for line in lines.lines() {
        let _ = writeln!(out, "#: {line}");
    }
}

fn one(out: &mut String, step: &PlannedStep, plan: &Plan, befores: &BTreeMap<&str, &Value>) {
    match &step.action {
        Action::PatchTidbCluster { target, uid, merge } => {
            // The uid makes the server refuse another object of the same name.
            let mut body = merge.clone();
            if let Some(root) = body.as_object_mut() {
                root.entry("metadata").or_insert_with(|| Value::Object(serde_json::Map::new()))["uid"] =
                    Value::String(uid.clone());
            }
            let _ = writeln!(
                out,
                "{} patch tidbclusters.pingcap.com {} --type merge -p {}",
                kubectl(target),
                quote(&target.name),
                quote(&body.to_string())
            );
        }
        Action::WaitRollout { target, since, component } => {
            wait(out, target, since.as_deref(), *component, step.total_s, plan, befores);
        }
        Action::ProbePeerUrl { target, pod, url, .. } => {
            let host = url.split("://").nth(1).and_then(|rest| rest.split(':').next()).unwrap_or_default();
            let others = pods(plan, target);
            let from: Vec<&String> = others.iter().filter(|other| *other != pod).collect();
            let from = if from.is_empty() { vec![pod] } else { from };
            for other in from {
                let exec = format!("{} exec {} -c pd --", kubectl(target), quote(other));
                let tls = if url.starts_with("https") {
                    " --ca-certificate=/var/lib/pd-tls/ca.crt --certificate=/var/lib/pd-tls/tls.crt --private-key=/var/lib/pd-tls/tls.key"
                } else {
                    ""
                };
                let _ = writeln!(out, "{exec} nslookup {}", quote(host));
                let _ = writeln!(out, "{exec} wget -qO- -T 5{tls} {}", quote(&format!("{url}/version")));
            }
        }
        Action::UpdatePeerUrl { target, id, pod, from, to, .. } => {
            let api = membership_api(step).unwrap_or(MembershipApi::V3);
            let list = match api {
                MembershipApi::V2 => "GET /v2/members".to_owned(),
                MembershipApi::V3 => "POST /v3/cluster/member/list '{}'".to_owned(),
            };
            let call = |pod: &String, rest: &str| {
                let [context, namespace, pod] = [&target.context, &target.namespace, pod].map(|text| quote(text));
                format!("pd {context} {namespace} {pod} \"$database\" {rest}")
            };
            let listed = |urls: &[String]| {
                let quoted: Vec<String> = urls.iter().map(|url| Value::String(url.clone()).to_string()).collect();
                quote(&quoted.join(","))
            };
            let _ = writeln!(out, "if {} | grep -F {} >/dev/null; then", call(pod, &list), listed(to));
            out.push_str("  echo 'already so'\nelse\n");
            let _ = writeln!(out, "  {} | grep -F {} >/dev/null # still the old one", call(pod, &list), listed(from));
            let (method, path, body) = update_request(*id, to, api);
            let update = format!("{method} {} {}", quote(&path), quote(&body.to_string()));
            let _ = writeln!(out, "  {}\nfi", call(pod, &update));
            let others = pods(plan, target);
            let witness = others.iter().find(|other| *other != pod).unwrap_or(pod);
            let _ = writeln!(
                out,
                "# a member's list is its own, and it learns of a change a moment later: ask another one"
            );
            let _ = writeln!(out, "tries=0");
            let _ = writeln!(out, "until {} | grep -F {} >/dev/null; do", call(witness, &list), listed(to));
            out.push_str("  tries=$((tries + 1))\n  test \"$tries\" -lt 10 || { echo 'not verified' >&2; exit 1; }\n  sleep 1\ndone\necho verified\n");
        }
        Action::CreateObject { .. }
        | Action::DeleteObject { .. }
        | Action::CopySecret { .. }
        | Action::IssueCa { .. }
        | Action::IssueCertificate { .. }
        | Action::TransferPdLeader { .. }
        | Action::RemovePdMember { .. } => {
            let _ = writeln!(out, "{}", by_hand(step));
        }
        Action::NetProbe { places, ports, .. } => {
            for from in places.iter().map(probe_at) {
                for to in places.iter().map(probe_at).filter(|to| *to != from) {
                    let host = quote(&format!("{0}.{0}.{1}.svc.DOMAIN", to.name, to.namespace));
                    let exec = format!("{} exec {} -c probe --", kubectl(&from), quote(&from.name));
                    let _ =
                        writeln!(out, "# put the cluster domain of {} in the place of DOMAIN", comment(&to.context));
                    let _ = writeln!(out, "{exec} nslookup {host} || echo 'does not resolve'");
                    for port in ports {
                        let _ = writeln!(out, "{exec} nc -z -w 4 {host} {port} || echo '{port} is closed'");
                    }
                }
            }
        }
        Action::Await { .. } => waits_for(out, step),
        Action::Manual { command, .. } => {
            let _ = writeln!(out, "# by hand: {}", comment(command));
            waits_for(out, step);
        }
    }
}

/// A condition for a person: what the run says while it does not hold, with `…` for what only a look can fill in. The expression
/// itself is printed only where there are no words.
fn held(unless: &str, condition: &Condition) -> String {
    let Some(say) = &condition.say else {
        return format!("the runbook's expression {} has to hold", comment(&condition.check));
    };
    let mut words = String::new();
    let mut rest = say.as_str();
    while let Some((before, from)) = rest.split_once("${") {
        words.push_str(before);
        words.push('…');
        // A placeholder may hold braces of its own.
        let mut depth = 1;
        let end = from.char_indices().find(|(_, c)| {
            depth += match c {
                '{' => 1,
                '}' => -1,
                _ => 0,
            };
            depth == 0
        });
        rest = end.map_or("", |(at, _)| &from[at + 1..]);
    }
    words.push_str(rest);
    format!("{unless}: {}", comment(&words))
}

/// The script cannot judge the conditions of a wait: a person does.
fn waits_for(out: &mut String, step: &PlannedStep) {
    for until in &step.until {
        let _ = writeln!(out, "# {}", held("wait as long as", until));
    }
    let _ = writeln!(out, "# watch: {}", comment(&by_hand(step)));
    out.push_str("printf 'enter when it holds: '; read -r _\n");
}

fn wait(
    out: &mut String,
    target: &ObjectRef,
    since: Option<&str>,
    only: Option<Component>,
    total_s: u64,
    plan: &Plan,
    befores: &BTreeMap<&str, &Value>,
) {
    let kubectl = kubectl(target);
    let image = since.and_then(|id| befores.get(id).copied().or_else(|| Some(&plan.step(id)?.before)));
    let revisions = image.and_then(|image| image.get("revisions")).and_then(Value::as_object);
    let moves = |component: &String| only.is_none_or(|only| only.key() == component);
    // Right after the patch every StatefulSet still looks finished: its revision has to move first.
    for (component, revision) in revisions.into_iter().flatten().filter(|(component, _)| moves(component)) {
        let set = quote(&format!("{}-{component}", target.name));
        let old = quote(revision.as_str().unwrap_or_default());
        let _ = writeln!(
            out,
            "until test \"$({kubectl} get statefulset {set} -o jsonpath='{{.status.updateRevision}}')\" != {old}; do sleep 5; done"
        );
        let _ = writeln!(out, "{kubectl} rollout status statefulset/{set} --timeout={total_s}s");
    }
    if revisions.is_none_or(serde_json::Map::is_empty) {
        let selector = quote(&format!("app.kubernetes.io/instance={}", target.name));
        let _ = writeln!(out, "for set in $({kubectl} get statefulset -l {selector} -o name); do");
        let _ = writeln!(out, "  {kubectl} rollout status \"$set\" --timeout={total_s}s\ndone");
    }
}

/// The PD pods of a TidbCluster that the plan names.
fn pods(plan: &Plan, of: &ObjectRef) -> BTreeSet<String> {
    plan.steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::ProbePeerUrl { target, pod, .. } | Action::UpdatePeerUrl { target, pod, .. } if target == of => {
                Some(pod.clone())
            }
            Action::ProbePeerUrl { .. }
            | Action::UpdatePeerUrl { .. }
            | Action::PatchTidbCluster { .. }
            | Action::WaitRollout { .. }
            | Action::CreateObject { .. }
            | Action::DeleteObject { .. }
            | Action::CopySecret { .. }
            | Action::IssueCa { .. }
            | Action::IssueCertificate { .. }
            | Action::TransferPdLeader { .. }
            | Action::RemovePdMember { .. }
            | Action::NetProbe { .. }
            | Action::Await { .. }
            | Action::Manual { .. } => None,
        })
        .collect()
}

/// The shell function `pd` and what it needs: certificates, and the id that each pod has to have.
fn prelude(out: &mut String, plan: &Plan, tls: bool) {
    let certificates = tls.then(|| {
        let secret = quote(&format!("{}-cluster-client-secret", plan.target.name));
        out.push_str("umask 077\ncerts=$(mktemp -d)\ntrap 'rm -rf \"$certs\"' EXIT\n");
        for file in ["ca.crt", "tls.crt", "tls.key"] {
            let _ = writeln!(
                out,
                "{} get secret {secret} -o jsonpath='{{.data.{}}}' | base64 -d >\"$certs/{file}\"",
                kubectl(&plan.target),
                file.replace('.', "\\.")
            );
        }
        "--cacert \"$certs/ca.crt\" --cert \"$certs/tls.crt\" --key \"$certs/tls.key\""
    });
    let _ = writeln!(out, "database={}\n", forward::database(plan.database.as_deref(), &plan.target));
    out.push_str(&forward::function(certificates));
}

/// The line of a step, made from its action: what a record holds in its place may be anybody's.
pub(super) fn by_hand(step: &PlannedStep) -> String {
    // Whether PD speaks TLS is all that is taken from there.
    step.action.command(membership_api(step), step.command.contains("--cacert "))
}

/// How the membership was to be changed when the plan was made.
pub(super) fn membership_api(step: &PlannedStep) -> Option<MembershipApi> {
    step.requests.iter().find_map(|request| match request.path.as_str() {
        path if path.starts_with("/v2/members") => Some(MembershipApi::V2),
        path if path.starts_with("/v3/cluster") => Some(MembershipApi::V3),
        _ => None,
    })
}

/// Text that cannot leave its comment.
fn comment(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_said_in_words() {
        let condition = |say: Option<&str>| Condition { check: "pd.size == 3".into(), say: say.map(str::to_owned) };
        let said =
            held("stop here if", &condition(Some("PD has ${pd.members.filter(m, {'a': m}.a)} of ${pd.size}, not 3")));
        assert_eq!(said, "stop here if: PD has … of …, not 3");
        assert_eq!(held("wait", &condition(None)), "the runbook's expression pd.size == 3 has to hold");
    }
}
