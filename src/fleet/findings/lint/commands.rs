//! The rules for command lines: what is sent to the wrong place, or not as it reads.

use super::super::Finding;
use super::documents::{Command, Set, flag};
use super::{Location, Subject};

pub(super) fn judge(set: &Set) -> Vec<Finding> {
    let rules: [fn(&Command) -> Option<Finding>; 7] =
        [quoted_variable, no_namespace, whole_version, part_of_a_list, service_forward, v2_members, waits_for_all];
    set.commands.iter().flat_map(|command| rules.iter().filter_map(|rule| rule(command))).collect()
}

fn at(command: &Command, id: &'static str, sentence: &str) -> Finding {
    let subject = Subject::of_pd("command", command.text.chars().take(60).collect::<String>());
    let mut finding = Finding::new(id, None, sentence).saw(&subject, "text", &command.text, None).on(subject);
    finding.location = Some(Location { file: command.file.clone(), line: command.line });
    finding
}

fn words(command: &Command) -> Vec<&str> {
    command.text.split_whitespace().collect()
}

/// The parts of a line between single quotes, in which a shell replaces nothing.
fn single_quoted(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut double, mut start) = (false, None);
    for (index, c) in text.char_indices() {
        match (c, start) {
            ('"', None) => double = !double,
            ('\'', None) if !double => start = Some(index + 1),
            ('\'', Some(from)) => {
                parts.push(&text[from..index]);
                start = None;
            }
            _ => {}
        }
    }
    parts
}

/// 35. `-d '{"peerURLs":["${…}"]}'`
fn quoted_variable(command: &Command) -> Option<Finding> {
    let about_members = command.text.contains("peerURLs") || command.text.contains("/members");
    let quoted = single_quoted(&command.text).into_iter().any(|part| part.contains("${") || part.contains("\"$"));
    (command.text.starts_with("curl") && about_members && quoted).then(|| {
        at(
            command,
            "literal-variable-in-peer-url",
            "in single quotes the variable is not replaced: its own text is sent as the peerURL",
        )
        .then("tidepilot run migrate-cluster-domain; or double quotes around the body, with the inner ones escaped")
    })
}

/// 66. A change without a namespace goes to whichever the context has.
fn no_namespace(command: &Command) -> Option<Finding> {
    let words = words(command);
    let changes =
        words.iter().any(|word| matches!(*word, "patch" | "delete" | "annotate" | "edit" | "scale" | "label"));
    let named = words.iter().any(|word| {
        let kind = word.split(['/', '.']).next().unwrap_or_default();
        matches!(
            kind,
            "tc" | "tidbcluster" | "tidbclusters" | "pvc" | "secret" | "pod" | "pods" | "sts" | "statefulset"
        )
    });
    let told = flag(&command.text, "-n", "--namespace").is_some() || words.contains(&"-A");
    (words.first() == Some(&"kubectl") && changes && named && !told).then(|| {
        at(
            command,
            "wrong-context",
            "a change without a namespace: it goes to whichever object of that name the current context has",
        )
        .then("give -n NAMESPACE and --context CONTEXT with every change")
    })
}

/// 47.
fn whole_version(command: &Command) -> Option<Finding> {
    let text: String = command.text.chars().filter(|c| !c.is_whitespace() && *c != '\\').collect();
    (text.contains("patch") && text.contains("\"spec\":{\"version\":")).then(|| {
        at(command, "whole-version-patched", "spec.version moves every component of this TidbCluster at once")
            .then("tidepilot run upgrade-cluster; or spec.COMPONENT.version, one component in all KubeClusters after the other")
    })
}

/// 17.
fn part_of_a_list(command: &Command) -> Option<Finding> {
    let merges = command.text.contains("patch")
        && !command.text.contains("--type json")
        && !command.text.contains("--type=json");
    (merges && command.text.contains("\"pdms\"")).then(|| {
        at(command, "partial-list-patch", "a merge patch replaces the whole list of microservices")
            .then("send the list as a whole")
    })
}

/// 42.
fn service_forward(command: &Command) -> Option<Finding> {
    let words = words(command);
    let service = words.iter().any(|word| {
        let named = word.split_once('/').filter(|(kind, _)| matches!(*kind, "svc" | "service" | "services"));
        named.is_some_and(|(_, name)| name.ends_with("-pd") || name.ends_with("-pd-peer"))
    });
    (words.contains(&"port-forward") && service).then(|| {
        at(command, "tunnel-to-wrong-pd", "a port-forward to the Service ends at any PD")
            .then("forward to the pod: pods/NAME-pd-0")
    })
}

/// 33.
fn v2_members(command: &Command) -> Option<Finding> {
    (command.text.starts_with("curl") && command.text.contains("/v2/members")).then(|| {
        at(command, "no-v2-members", "PD from 8.4 on answers 404 to /v2/members")
            .then("tidepilot asks PD which API it has, and uses it")
    })
}

/// 67. Listing all pods of an instance, to wait until there are none.
fn waits_for_all(command: &Command) -> Option<Finding> {
    let words = words(command);
    let pods = words.contains(&"get") && words.iter().any(|word| matches!(*word, "pod" | "pods" | "po"));
    let instance =
        command.text.contains("app.kubernetes.io/instance=") && !command.text.contains("app.kubernetes.io/component");
    (pods && instance).then(|| {
        at(
            command,
            "waits-for-discovery-pod",
            "this list never becomes empty while the TidbCluster exists: the discovery pod is in it",
        )
        .then("add ,app.kubernetes.io/component!=discovery to the selector")
    })
}
