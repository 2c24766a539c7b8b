//! Words of kubectl and k9s that are none of ours: whoever types one is led to what there is instead, or told in one sentence that there
//! is nothing here, with the kubectl line that has it.
//!
//! A word for a kind of Kubernetes object never opens a form. Not here: our own words ([`super::palette`]).

use super::App;
use super::clipboard_items::Copyable;
use super::keymap::Command;
use super::message::Effect;
use super::runbook_suggestions::Known;
use super::status_level::Level;
use super::{Dialog, Subject, View};
use crate::fleet::ObjectRef;
use crate::fleet::kubectl_quoting::{kubectl, quote};
use crate::fleet::tidbcluster::Component;
use crate::fleet::workload::Pod;

/// Where such a word leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leads {
    /// Does what a key does with what is under the cursor.
    Key(Command),
    /// To the runbook that restarts one pod, filled in from the row under the cursor.
    Restart,
    /// Nowhere: what there is instead, and the kubectl line. In it `<context>`, `<namespace>`, `<name>` (of the TidbCluster),
    /// `<node>` and `<component>` are those of what is under the cursor.
    Nowhere { instead: &'static str, kubectl: &'static str },
}

impl Leads {
    /// Whether a pod may be named behind the word.
    pub fn about_a_pod(self) -> bool {
        matches!(self, Leads::Key(_) | Leads::Restart)
    }
}

/// One of them; the first name is the one that is shown.
#[derive(Clone, Copy, Debug)]
pub struct OtherWord {
    pub names: &'static [&'static str],
    pub about: &'static str,
    pub leads: Leads,
}

const fn key(names: &'static [&'static str], about: &'static str, command: Command) -> OtherWord {
    OtherWord { names, about, leads: Leads::Key(command) }
}

const fn none(
    names: &'static [&'static str],
    about: &'static str,
    instead: &'static str,
    kubectl: &'static str,
) -> OtherWord {
    OtherWord { names, about, leads: Leads::Nowhere { instead, kubectl } }
}

/// All of them.
pub const OTHER_WORDS: &[OtherWord] = &[
    OtherWord {
        names: &["restart", "delete", "kill", "del", "rm"],
        about: "restart (delete) the pod under the cursor, or `restart NAME`: its plan first",
        leads: Leads::Restart,
    },
    key(&["exec", "shell", "attach", "sh"], "a shell in the pod under the cursor, or `exec NAME`", Command::Shell),
    key(&["port-forward", "portforward"], "a port on this machine to the pod under the cursor", Command::Forward),
    key(&["logs"], "the log of what is under the cursor, or `logs NAME`", Command::Logs),
    key(&["describe", "desc"], "the page of what is under the cursor", Command::Describe),
    key(&["yaml"], "the YAML of what is under the cursor", Command::Yaml),
    key(&["diff", "compare"], "what is under the cursor beside its like", Command::Diff),
    none(
        &["nodes", "node", "no"],
        "no view of nodes",
        "no view of nodes here: :pods names the node of each pod",
        "kubectl --context <context> get nodes -o wide",
    ),
    none(
        &["pvc", "pv", "persistentvolumeclaims", "volumes"],
        "no view of volume claims",
        "no view of volume claims here: :problems names those at fault, a pod's events why one is not bound",
        "kubectl --context <context> -n <namespace> get pvc -l app.kubernetes.io/instance=<name>",
    ),
    none(
        &["svc", "services", "service", "endpoints", "ep"],
        "no view of Services",
        "no view of Services here: F on a pod opens a port to it",
        "kubectl --context <context> -n <namespace> get svc,endpoints -l app.kubernetes.io/instance=<name>",
    ),
    none(
        &["sts", "statefulsets", "statefulset"],
        "no view of StatefulSets",
        "no view of StatefulSets here: enter in :tc shows how each component rolls, :changes who wrote one",
        "kubectl --context <context> -n <namespace> get sts -l app.kubernetes.io/instance=<name>",
    ),
    none(
        &["deploy", "deployments", "deployment", "dp"],
        "no view of Deployments",
        "no view of Deployments here: :ctx shows TiDB Operator's; :run deploy-initial-cluster makes a TidbCluster",
        "kubectl --context <context> get deployment -A -l app.kubernetes.io/component=controller-manager",
    ),
    none(
        &["cm", "configmaps", "configmap"],
        "no view of ConfigMaps",
        "no view of ConfigMaps here: y on a TidbCluster has each component's config",
        "kubectl --context <context> -n <namespace> get cm -l app.kubernetes.io/instance=<name>",
    ),
    none(
        &["secrets", "secret", "sec"],
        "no view of Secrets",
        "Secrets are never shown here: :tls has what the certificates in them say",
        "kubectl --context <context> -n <namespace> get secrets",
    ),
    none(
        &["jobs", "job", "cronjobs", "cj"],
        "no view of Jobs",
        "no view of Jobs here: :runs has the runs that a Job drives",
        "kubectl --context <context> -n <namespace> get jobs",
    ),
    none(
        &["top", "metrics"],
        "no usage of processors and memory",
        "no usage is read here: :stores has how full each store is",
        "kubectl --context <context> -n <namespace> top pod -l app.kubernetes.io/instance=<name>",
    ),
    none(
        &["drain"],
        "nothing drains a node",
        "nothing here drains a node: see first in :pods what runs on it, and hand PD's lead on (r)",
        "kubectl --context <context> drain <node> --ignore-daemonsets --dry-run=server",
    ),
    none(
        &["cordon", "uncordon"],
        "nothing touches a node",
        "nothing here touches a node: :pods names the node of each pod",
        "kubectl --context <context> cordon <node> --dry-run=server",
    ),
    none(
        &["scale"],
        "no runbook scales",
        "no runbook scales: the TidbCluster's replicas count, and the operator puts a StatefulSet's back",
        "kubectl --context <context> -n <namespace> patch tc <name> --type merge -p '{\"spec\":{\"<component>\":{\"replicas\":N}}}' --dry-run=server",
    ),
    none(
        &["edit"],
        "nothing is edited in place",
        "nothing is edited here: y shows the YAML, r the runbooks that change it",
        "kubectl --context <context> -n <namespace> edit tc <name>",
    ),
];

/// The runbook that restarts one pod or all of a component.
const RESTART: &str = "restart-component";

impl App {
    /// Does what a word of kubectl or k9s leads to.
    pub(super) fn follow_other(&mut self, leads: Leads, effects: &mut Vec<Effect>) {
        match leads {
            Leads::Key(command) => self.perform(command, 0, effects),
            Leads::Restart => self.restart_this_pod(),
            Leads::Nowhere { instead, kubectl } => {
                let line = self.with_what_is_here(kubectl);
                self.offer_line(instead.to_owned(), line);
            }
        }
    }

    /// Says a sentence, and shows the line for a shell whole, to be copied with enter.
    fn offer_line(&mut self, sentence: String, line: String) {
        self.say(Level::Unknown, sentence);
        self.dialog = Some(Dialog::Copy { at: 0, items: vec![Copyable { what: "kubectl", text: line }] });
    }

    /// Whether `:restart` opens something here: the pod under the cursor, where a runbook is about its component.
    pub(super) fn may_restart(&self) -> bool {
        let pod = || Some(Component::parse(self.pod_here()?.1.component()?).is_some());
        self.runbooks.iter().any(|runbook| runbook.id == RESTART) && pod().unwrap_or(false)
    }

    /// Opens the runbook that makes one pod anew, for the pod under the cursor.
    fn restart_this_pod(&mut self) {
        let marked = self.screen().marks.len();
        let Some((of, component)) = self.pod_here().map(|(of, pod)| (of, of_component(pod))) else {
            let text = "no pod to restart here: put the cursor on a pod, a member or a store";
            return self.say(Level::Unknown, format!("{text}; :run {RESTART} restarts a whole component"));
        };
        if marked > 1 {
            let text =
                format!("{marked} rows are marked, and one pod is restarted at a time: ctrl-space takes the marks");
            return self.say(Level::Unknown, text);
        }
        if Component::parse(&component).is_none() {
            return self.no_runbook_restarts(&of, &component);
        }
        let Some(index) = self.runbooks.iter().position(|runbook| runbook.id == RESTART) else {
            let broken = self.broken_runbooks.get(RESTART).cloned();
            return self.say(Level::Unknown, broken.unwrap_or_else(|| format!("no runbook {RESTART:?} is loaded")));
        };
        let mut known = Known { runbook: Some(RESTART.to_owned()), ..Known::default() };
        self.of_pod(&of, &mut known);
        self.hint = known;
        self.open_form(index, Some(true));
        let text = format!("restart (delete) {} alone: nothing is sent before its plan was seen", of.name);
        self.say(Level::Done, text);
    }

    /// A pod that keeps nothing needs no plan: who made it makes it anew.
    fn no_runbook_restarts(&mut self, of: &ObjectRef, component: &str) {
        let why = match component {
            "discovery" => "discovery keeps nothing, and its Deployment makes it anew at once",
            "" => "it is of no component, and what it holds is not known here",
            _ => "what it holds is not known here",
        };
        // Of what is not known nothing is deleted by a line that is only pasted.
        let tried = if component == "discovery" { "" } else { " --dry-run=server" };
        let line = format!("{} delete pod {}{tried}", kubectl(of), quote(&of.name));
        self.offer_line(format!("no runbook is about {}: {why}", of.name), line);
    }

    /// A line with what is under the cursor in its places; what is not known there stays a word in capitals.
    fn with_what_is_here(&self, line: &str) -> String {
        let pod = self.pod_here();
        let known = self.known().tidb_cluster;
        let instance = pod.as_ref().and_then(|(of, pod)| {
            let name = pod.instance()?;
            Some(ObjectRef::new(&of.context, &of.namespace, name))
        });
        let focus = || self.focus.clone().filter(|context| self.fleet.clusters.contains_key(context));
        let in_front = || {
            let parts = self.database().into_iter().flat_map(|database| &database.tidb_clusters);
            let mut parts = parts.filter(|of| self.in_focus(Some(&of.context)));
            parts.next().cloned()
        };
        let of = known.or(instance).or_else(in_front);
        let row = self.row();
        let context = row.as_ref().and_then(|row| self.context_of(row)).map(str::to_owned);
        let context = context.or_else(|| of.as_ref().map(|of| of.context.clone())).or_else(focus);
        let of = of.filter(|of| context.as_ref() == Some(&of.context));
        let value = |word: &str| match word {
            "context" => context.clone(),
            "namespace" => of.as_ref().map(|of| of.namespace.clone()),
            "name" => of.as_ref().map(|of| of.name.clone()),
            "node" => pod.as_ref().and_then(|(_, pod)| pod.spec.node_name.clone()),
            // It stands inside of quotes: only what is a component of ours.
            "component" => {
                let component = pod.as_ref().and_then(|(_, pod)| Component::parse(pod.component()?));
                component.map(|component| component.key().to_owned())
            }
            _ => None,
        };
        filled(line, value)
    }

    /// Whether the page in front is that of a pod of this name, alone or with its namespace and cluster.
    pub(super) fn on_page_of_pod(&self, name: &str) -> bool {
        let View::Detail(Subject::Pod(of)) = self.view() else { return false };
        of.name == name || of.to_string() == name || of.to_string().ends_with(&format!("/{name}"))
    }
}

/// A line with values in its places; one without a value stays a word in capitals.
pub(super) fn filled(line: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('<') {
        let (word, tail) = after.split_once('>').unwrap_or((after, ""));
        out.push_str(before);
        out.push_str(&value(word).map_or_else(|| word.to_uppercase(), |value| quote(&value)));
        rest = tail;
    }
    out + rest
}

fn of_component(pod: &Pod) -> String {
    pod.component().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_word_is_there_twice_and_each_says_one_sentence() {
        let mut seen = BTreeSet::new();
        for word in OTHER_WORDS {
            assert!(word.names.iter().all(|name| seen.insert(*name)), "{:?}", word.names);
            if let Leads::Nowhere { instead, kubectl } = word.leads {
                assert!(kubectl.starts_with("kubectl ") && !instead.contains(". "), "{:?}", word.names);
            }
        }
    }
}
