//! `tidepilot rbac RUNBOOK`: the least rights with which this run can be carried out, as YAML for kubectl.
//!
//! Needs to see the clusters (to derive the plan), so it is for whoever may grant the rights. Sends only reads, unless it is
//! asked for tokens (`--kubeconfig-out`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::plan::{inputs, pair};
use super::shared_options::{Connect, new_file};
use super::{USAGE, complain, fail, print};
use crate::app::exit_codes::Exit;
use crate::client;
use crate::files::{io_words, write_private};
use crate::fleet::ObjectRef;
use crate::fleet::kubectl_quoting::quote;
use crate::invalid_value::Misread;
use crate::report::plain;
use crate::report::rbac::{Subject, looking, yaml};
use crate::runbook::run::journal_lines::line_hash;

#[derive(Args, Debug)]
pub struct RbacArgs {
    /// Name of the runbook (`tidepilot runbook list`), or `read-only`: the role of whoever only looks, logs (pods/log) and events
    /// included
    runbook: String,
    /// An input of the runbook; repeatable
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    /// Only the roles of this KubeCluster, to be piped into `kubectl --context CONTEXT apply -f -`
    #[arg(long = "for", value_name = "CONTEXT")]
    only: Option<String>,
    /// Bind the roles to this user
    #[arg(long, value_name = "NAME", conflicts_with = "group")]
    user: Option<String>,
    /// Bind the roles to this group (default: tidepilot-operators; of `read-only`: no binding is printed)
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// Bind the roles to this ServiceAccount, which is printed too: for a run that a Job drives (`run --in`)
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = account, conflicts_with_all = ["user", "group"])]
    service_account: Option<Account>,
    /// Ask each KubeCluster for a token of the ServiceAccount, and write a kubeconfig with them to this file, for the Secret of
    /// `run --in`; prints no roles
    #[arg(long, value_name = "FILE", requires = "service_account", value_parser = new_file())]
    kubeconfig_out: Option<PathBuf>,
    /// How many hours the tokens are to live; a server may give less
    #[arg(long, value_name = "HOURS", requires = "kubeconfig_out", default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=720))]
    token_hours: u64,
}

/// A ServiceAccount.
#[derive(Clone, Debug)]
struct Account {
    namespace: String,
    name: String,
}

fn account(text: &str) -> Result<Account, Misread> {
    let plain = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c));
    match text.split_once('/') {
        Some((namespace, name)) if plain(namespace) && plain(name) => {
            Ok(Account { namespace: namespace.to_owned(), name: name.to_owned() })
        }
        _ => Err(Misread::new("NAMESPACE/NAME", text)),
    }
}

pub async fn run(args: &RbacArgs, connect: &Connect) -> color_eyre::Result<ExitCode> {
    if args.runbook == "read-only" {
        return Ok(read_only(args, connect).await);
    }
    if let Err(sentence) = connect.knows(&args.runbook, &args.set) {
        return Ok(connect.refuse(&sentence, Exit::Refused.code()));
    }
    let (links, inputs) = match connect.links().and_then(|links| Ok((links, inputs(&args.set)?))) {
        Ok(both) => both,
        Err(sentence) => return Ok(fail(&sentence, USAGE)),
    };
    let driver = connect.driver(links).map_err(color_eyre::Report::msg)?;
    let (plan, namespace, needs) = match driver.least_rights(&args.runbook, &inputs).await {
        Ok(found) => found,
        Err(sentence) => return Ok(connect.refuse(&sentence, Exit::Refused.code())),
    };
    if let Some(unknown) = args.only.as_ref().filter(|only| !plan.contexts.contains(only)) {
        let known = plan.contexts.join(", ");
        return Ok(fail(&format!("this run needs nothing in {unknown:?}; it needs: {known}"), USAGE));
    }
    if let (Some(account), Some(file)) = (&args.service_account, &args.kubeconfig_out) {
        return Ok(tokens(args, account, file, connect, &plan.contexts).await);
    }
    let group = || Subject { kind: "Group", name: "tidepilot-operators".to_owned(), namespace: None };
    let subject = args.subject().unwrap_or_else(group);
    let mut out = String::new();
    let document =
        connect.catalog().and_then(|catalog| catalog.find(&args.runbook)).ok().and_then(|(_, document)| document);
    if let Some(document) = document {
        out.push_str(&format!("# {}\n", plain(&document.mark())));
    }
    if let Some(namespace) = &namespace {
        out.push_str(&format!(
            "# enough for `tidepilot -n {namespace} run {} …`: nothing outside is listed\n",
            args.runbook
        ));
    }
    for context in plan.contexts.iter().filter(|context| args.only.as_ref().is_none_or(|only| only == *context)) {
        out.push_str(&yaml(context, &role_name(&plan.runbook, &plan.target, &subject), &needs, &subject));
    }
    print(&out);
    if plan.contexts.len() > 1 && args.only.is_none() {
        complain("several KubeClusters are needed; `--for CONTEXT` prints the roles of one");
    }
    Ok(ExitCode::SUCCESS)
}

impl RbacArgs {
    /// Who was named.
    fn subject(&self) -> Option<Subject> {
        let named = |kind, name: &String| Subject { kind, name: name.clone(), namespace: None };
        let account = self.service_account.as_ref().map(|account| Subject {
            namespace: Some(account.namespace.clone()),
            ..named("ServiceAccount", &account.name)
        });
        let user = || self.user.as_ref().map(|name| named("User", name));
        account.or_else(user).or_else(|| self.group.as_ref().map(|name| named("Group", name)))
    }
}

/// The roles of whoever only looks, as they are shipped; bound to whom is named, in the namespaces that hold TidbClusters.
async fn read_only(args: &RbacArgs, connect: &Connect) -> ExitCode {
    const ROLES: &str = include_str!("../../assets/rbac/read-only.yaml");
    if let Some((name, _)) = args.set.first() {
        return fail(&format!("read-only is no runbook and has no input {name:?}: leave --set out"), USAGE);
    }
    let Some(subject) = args.subject() else {
        if let Some(context) = &args.only {
            let one = format!(
                "the roles of read-only are the same in every KubeCluster: leave `--for {context}` out, or say whom they are bound to (--user, --group, --service-account)"
            );
            return fail(&one, USAGE);
        }
        print(ROLES);
        return ExitCode::SUCCESS;
    };
    let links = match connect.links() {
        Ok(links) => links,
        Err(sentence) => return fail(&sentence, USAGE),
    };
    let known: Vec<String> = links.iter().map(|link| link.context().to_owned()).collect();
    if let Some(unknown) = args.only.as_ref().filter(|only| !known.contains(only)) {
        return fail(&format!("there is no context {unknown:?}; there are: {}", known.join(", ")), USAGE);
    }
    let contexts: Vec<String> =
        known.into_iter().filter(|one| args.only.as_ref().is_none_or(|only| only == one)).collect();
    if let (Some(account), Some(file)) = (&args.service_account, &args.kubeconfig_out) {
        return tokens(args, account, file, connect, &contexts).await;
    }
    let fleet = client::assemble(links.look(None).await);
    let mut out = ROLES.to_owned();
    for context in &contexts {
        let Some(cluster) = fleet.clusters.get(context).filter(|cluster| cluster.listed) else {
            let dark = format!("the TidbClusters of {context} cannot be listed, so where to bind is not known there");
            return connect.refuse(&dark, Exit::Refused.code());
        };
        let namespaces: BTreeSet<&str> = cluster.tidb_clusters.keys().map(|key| key.namespace.as_str()).collect();
        out.push_str("---\n");
        out.push_str(&looking(context, &namespaces, &subject_name(&subject), &subject));
    }
    print(&out);
    if contexts.len() > 1 {
        complain("several KubeClusters are bound; `--for CONTEXT` prints the roles and bindings of one");
    }
    ExitCode::SUCCESS
}

/// Writes the kubeconfig of a ServiceAccount, and says until when it is good and where it goes.
async fn tokens(args: &RbacArgs, account: &Account, file: &Path, connect: &Connect, contexts: &[String]) -> ExitCode {
    let Account { namespace, name } = account;
    let driver = match connect.links().and_then(|links| connect.driver(links)) {
        Ok(driver) => driver,
        Err(sentence) => return fail(&sentence, USAGE),
    };
    let made = driver.tokens(contexts, namespace, name, args.token_hours * 3600).await;
    let (text, ends) = match made {
        Ok(made) => made,
        Err(sentence) => {
            let roles = format!(
                "the ServiceAccount has to be there first: `tidepilot rbac {} … --service-account {namespace}/{name} --for CONTEXT | kubectl --context CONTEXT apply -f -`",
                args.runbook
            );
            return connect.refuse(&format!("{sentence}; {roles}"), Exit::Refused.code());
        }
    };
    if let Err(error) = write_private(file, text) {
        return fail(&format!("the kubeconfig cannot be written to {}: {}", file.display(), io_words(&error)), 1);
    }
    let mut out = String::new();
    for (context, end) in ends {
        out.push_str(&format!("{}: a token of {namespace}/{name} until {end}\n", plain(&context)));
    }
    let quoted = quote(&file.display().to_string());
    if args.runbook == "read-only" {
        out.push_str(&format!(
            "{quoted} holds them: whoever has it looks as that account: tidepilot --kubeconfig {quoted} --read-only\n"
        ));
        print(&out);
        return ExitCode::SUCCESS;
    }
    out.push_str(&format!(
        "{quoted} holds them: whoever has it acts as that account. Put it into the Job's namespace and delete it:\n  \
         kubectl --context CONTEXT -n NAMESPACE create secret generic tidepilot-access --from-file=kubeconfig={quoted} --dry-run=client -o yaml | kubectl --context CONTEXT -n NAMESPACE apply -f - && rm {quoted}\n"
    ));
    print(&out);
    ExitCode::SUCCESS
}

/// As far as it can be part of the name of an object.
fn word(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' });
    plain.take(24).collect::<String>().trim_matches('-').to_owned()
}

/// One for each subject: names that look alike, and a user and a group of one name, have bindings of their own.
fn subject_name(subject: &Subject) -> String {
    let of = subject.namespace.as_deref().unwrap_or_default();
    let hash = line_hash(&format!("{}\0{}\0{of}", subject.kind, subject.name));
    format!("{}-{}", word(&subject.name), &hash[..8]).trim_matches('-').to_owned()
}

/// One for each runbook, target and subject: of two that are applied none takes the other's rights away. It tells whose it
/// is as far as a name can; the hash tells apart what looks alike then.
fn role_name(runbook: &str, target: &ObjectRef, subject: &Subject) -> String {
    let of = subject.namespace.as_deref().unwrap_or_default();
    let hash = line_hash(&format!("{runbook}\0{target}\0{}\0{}{of}", subject.kind, subject.name));
    format!("tidepilot-{runbook}-{}-{}-{}", word(&target.name), word(&subject.name), &hash[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_subjects_share_a_binding() {
        let named = |kind, name: &str, of: Option<&str>| {
            subject_name(&Subject { kind, name: name.to_owned(), namespace: of.map(str::to_owned) })
        };
        let all = [
            named("User", "rob", None),
            named("Group", "rob", None),
            named("ServiceAccount", "wall", Some("a")),
            named("ServiceAccount", "wall", Some("b")),
            named("User", "https://idp.example.com#rob", None),
            named("User", "https://idp.example.com#sue", None),
            named("User", "李", None),
            named("User", "王", None),
        ];
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{all:?}");
        assert!(all.iter().all(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')), "{all:?}");
    }

    #[test]
    fn no_two_runs_share_the_name_of_a_role() {
        let subject = |kind, name: &str| Subject { kind, name: name.to_owned(), namespace: None };
        let at = |place: &str| ObjectRef::parse(place).expect("a place");
        let all = [
            role_name("issue-ca", &at("a/db/basic"), &subject("User", "rob")),
            role_name("issue-ca", &at("a/db/basic"), &subject("Group", "rob")),
            role_name("issue-ca", &at("a/db/basic"), &subject("User", "sue")),
            role_name("issue-ca", &at("a/db/other"), &subject("User", "rob")),
            role_name("issue-ca", &at("a/other/basic"), &subject("User", "rob")),
            role_name("issue-certificates", &at("a/db/basic"), &subject("User", "rob")),
            role_name("issue-ca", &at("a/db/basic"), &subject("User", "https://idp.example.com#Rob Smith@example.com")),
            role_name("issue-ca", &at("a/db/basic"), &subject("User", "https://idp.example.com#Rob Smith@example.net")),
        ];
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{all:?}");
        assert!(all[0].starts_with("tidepilot-issue-ca-basic-rob-"), "{}", all[0]);
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(all.iter().all(|name| name.chars().all(plain) && name.len() < 100), "{all:?}");
    }
}
