//! The rules for command lines: what is sent to the wrong place, or not as it reads.

use super::super::Finding;
use super::name_and_version_syntax::domain_fault;
use super::placeholders::name_placeholder;
use super::placeholders::variable;
use super::yaml_documents::{Command, Set, flag};
use crate::fleet::hazard_id::HazardId;

use super::{Location, Subject};
use crate::fleet::peer_url_check::check_form;
use crate::fleet::problem_subject::SubjectKind;

pub(super) fn judge(set: &Set) -> Vec<Finding> {
    let rules: [fn(&Command) -> Option<Finding>; 10] = [
        quoted_variable,
        malformed_url,
        quoted_in_a_patch,
        no_domain_in_a_patch,
        no_namespace,
        whole_version,
        part_of_a_list,
        service_forward,
        v2_members,
        waits_for_all,
    ];
    set.commands.iter().flat_map(|command| rules.iter().filter_map(|rule| rule(command))).collect()
}

fn at(command: &Command, id: HazardId, sentence: &str) -> Finding {
    let subject = Subject::of_pd(SubjectKind::Command, command.text.chars().take(60).collect::<String>());
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
            HazardId::LiteralVariableInPeerUrl,
            "in single quotes the variable is not replaced: its own text is sent as the peerURL",
        )
        .then("tidepilot run migrate-cluster-domain; or double quotes around the body, with the inner ones escaped")
    })
}

/// 34. A peerURL that is written out and that PD's etcd would commit whatever it is.
fn malformed_url(command: &Command) -> Option<Finding> {
    let (_, behind) = command.text.split_once("peerURLs").filter(|_| command.text.starts_with("curl"))?;
    let list = behind.split_once('[')?.1.split(']').next()?;
    let urls =
        list.split(',').map(|url| url.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '\\')));
    // What a shell or a reader replaces is judged as that.
    let literal = urls.filter(|url| !url.contains(['$', '{', '<', '%']) && name_placeholder(url).is_none());
    let fault = literal.filter_map(|url| check_form(url, url.starts_with("https")).err()).next()?;
    let sentence = format!("etcd v3 commits any text as a peerURL, and every other member then crashes: {fault}");
    Some(
        at(command, HazardId::MalformedPeerUrl, &sentence)
            .then("tidepilot run repair-peer-urls, which checks each before it is sent"),
    )
}

/// 12. `-p '{"spec":{"clusterDomain":"${…}"}}'`: the text of the variable is patched in.
fn quoted_in_a_patch(command: &Command) -> Option<Finding> {
    let words = words(command);
    let changes = words.first() == Some(&"kubectl")
        && words.iter().any(|word| matches!(*word, "patch" | "annotate" | "label" | "set"))
        // A shell in the container replaces what it is handed.
        && !words.iter().any(|word| matches!(*word, "exec" | "run" | "debug"));
    // An output format has dollars of its own.
    let text = command.text.split(" -o ").next().unwrap_or_default().split(" --output").next().unwrap_or_default();
    let literal = single_quoted(text).into_iter().find_map(variable).filter(|found| !found.starts_with("$("));
    if let (None, true) = (literal, changes) {
        return placeholder_in_a_patch(command);
    }
    literal.filter(|_| changes).map(|found| {
        let sentence = format!("in single quotes the shell does not replace {found}: its own text reaches the cluster");
        at(command, HazardId::UnreplacedVariable, &sentence)
            .then("double quotes around the patch with the inner ones escaped; or close the single quotes before the variable: '\"'\"${x}\"'\"'")
    })
}

/// `"clusterDomain":"YOUR_DOMAIN"`: no shell replaces that. In a page it is the reader's to do.
fn placeholder_in_a_patch(command: &Command) -> Option<Finding> {
    let page =
        command.near.contains("```") || [".md", ".markdown", ".rst"].iter().any(|end| command.file.ends_with(end));
    let (_, behind) = command.text.split_once("\"clusterDomain\"")?;
    let value = behind.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?.split('"').next()?;
    let found = name_placeholder(value).filter(|found| !page && !found.starts_with('$'))?;
    let sentence = format!("spec.clusterDomain gets the placeholder {found}: its own text reaches the cluster");
    Some(at(command, HazardId::UnreplacedVariable, &sentence).then("write the real value there"))
}

/// 12, 74. `"clusterDomain":""`, or in a JSON patch, or a text that is no domain.
fn no_domain_in_a_patch(command: &Command) -> Option<Finding> {
    let words = words(command);
    let patches = words.first() == Some(&"kubectl") && words.contains(&"patch");
    let plain: String = command.text.chars().filter(|c| *c != '\\').collect();
    let value = |behind: &str| {
        Some(behind.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?.split('"').next()?.to_owned())
    };
    let merged = plain.split_once("\"clusterDomain\"").and_then(|(_, behind)| value(behind));
    let operation = plain
        .split('{')
        .find(|one| one.contains("\"/spec/clusterDomain\""))
        .and_then(|one| one.split_once("\"value\""));
    let domain = merged.or_else(|| operation.and_then(|(_, behind)| value(behind))).filter(|_| patches)?;
    if domain.is_empty() {
        let sentence = "spec.clusterDomain becomes empty: PD's pods restart under names without a domain";
        return Some(at(command, HazardId::UnreplacedVariable, sentence).then("write the real value there"));
    }
    let literal = !domain.contains(['$', '{', '<', '%', '\'']) && name_placeholder(&domain).is_none();
    let fault = domain_fault(&domain).filter(|_| literal)?;
    let sentence = format!("spec.clusterDomain becomes {domain:?}, which {fault}");
    Some(at(command, HazardId::NoDnsName, &sentence).then("a plain DNS name, such as cluster.local"))
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
    let told = flag(&command.text, "-n", "--namespace").is_some()
        || words.iter().any(|word| matches!(*word, "-A" | "--all-namespaces" | "--all-namespaces=true"));
    (words.first() == Some(&"kubectl") && changes && named && !told).then(|| {
        at(
            command,
            HazardId::WrongContext,
            "a change without a namespace: it goes to whichever object of that name the current context has",
        )
        .then("give -n NAMESPACE and --context CONTEXT with every change")
    })
}

/// 47.
fn whole_version(command: &Command) -> Option<Finding> {
    let text: String = command.text.chars().filter(|c| !c.is_whitespace() && *c != '\\').collect();
    (text.contains("patch") && text.contains("\"spec\":{\"version\":")).then(|| {
        at(command, HazardId::WholeVersionPatched, "spec.version moves every component of this TidbCluster at once")
            .then("tidepilot run upgrade-cluster; or spec.COMPONENT.version, one component in all KubeClusters after the other")
    })
}

/// 17.
fn part_of_a_list(command: &Command) -> Option<Finding> {
    let merges = command.text.contains("patch")
        && !command.text.contains("--type json")
        && !command.text.contains("--type=json");
    (merges && command.text.contains("\"pdms\"")).then(|| {
        at(command, HazardId::PartialListPatch, "a merge patch replaces the whole list of microservices")
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
        at(command, HazardId::TunnelToWrongPd, "a port-forward to the Service ends at any PD")
            .then("forward to the pod: pods/NAME-pd-0")
    })
}

/// 33.
fn v2_members(command: &Command) -> Option<Finding> {
    (command.text.starts_with("curl") && command.text.contains("/v2/members")).then(|| {
        at(command, HazardId::NoV2Members, "PD from 8.4 on answers 404 to /v2/members")
            .then("tidepilot asks PD which API it has, and uses it")
    })
}

/// 67. Listing all pods of an instance, to wait until there are none. A list to look at is none.
fn waits_for_all(command: &Command) -> Option<Finding> {
    let words = words(command);
    let pods = words
        .iter()
        .any(|word| matches!(*word, "pod" | "pods" | "po") || word.starts_with("pod/") || word.starts_with("pods/"));
    let instance =
        command.text.contains("app.kubernetes.io/instance") && !command.text.contains("app.kubernetes.io/component");
    // The operator's own pods.
    let operator =
        command.text.contains("instance=tidb-operator") || command.text.contains("instance in (tidb-operator");
    (pods && instance && !operator && until_empty(command, &words)).then(|| {
        at(
            command,
            HazardId::WaitsForDiscoveryPod,
            "this list never becomes empty while the TidbCluster exists: the discovery pod is in it",
        )
        .then("add ,app.kubernetes.io/component!=discovery to the selector")
    })
}

/// `kubectl wait --for=delete`, a loop until nothing is listed, or a text that says so beside it.
fn until_empty(command: &Command, words: &[&str]) -> bool {
    if words.contains(&"wait") {
        return command.text.contains("--for=delete") || command.text.contains("--for delete");
    }
    if !words.contains(&"get") {
        return false;
    }
    let whole: &str = &command.whole;
    let loops = |word: &str| whole.split(|c: char| !c.is_alphanumeric()).any(|part| part == word);
    let counts = |signs: &[&str]| whole.contains("wc -l") && signs.iter().any(|sign| whole.contains(sign));
    // To wait until none is unwell is another thing.
    let states = ["Running", "Pending", "Ready", "Terminating", "Creating", "Error", "Crash", "0/", "1/1", "-v "];
    let greps = whole.contains("grep") && !states.iter().any(|state| whole.contains(state));
    let tests = |sign: &str| [format!("{sign} \"$("), format!("{sign} $(")].iter().any(|form| whole.contains(form));
    let bare =
        (whole.contains("[ \"$(") && whole.contains(")\" ]")) || (whole.contains("[[ $(") && whole.contains(") ]]"));
    if loops("while") {
        let filled = tests("-n") || tests("! -z") || bare || whole.contains("!= \"\"");
        return filled || (greps && !whole.contains("$(")) || counts(&["-gt 0", "-ne 0", "!= 0", "> 0"]);
    }
    if loops("until") {
        let empty = tests("-z") || tests("! -n") || whole.contains("= \"\"") || whole.contains("No resources found");
        return empty || whole.contains("! kubectl") || counts(&["-eq 0", "== 0", "= 0"]);
    }
    // Only of Markdown and comments: what is to be seen when it has ended.
    command.near.contains("No resources found")
}
