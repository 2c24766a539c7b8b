//! `tidepilot rbac RUNBOOK`: the least rights with which this run can be carried out, as YAML for kubectl.
//!
//! Needs to see the clusters (to derive the plan), so it is for whoever may grant the rights. Sends only reads.

use std::process::ExitCode;

use clap::Args;

use super::plan::{inputs, pair};
use super::shared_options::Connect;
use super::{USAGE, complain, fail, print};
use crate::app::exit::Exit;
use crate::fleet::ObjectRef;
use crate::report::plain;
use crate::report::rbac::{Subject, yaml};
use crate::runbook::run::lines::line_hash;

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
    /// Bind the roles to this group
    #[arg(long, value_name = "NAME", default_value = "tidepilot-operators")]
    group: String,
}

pub async fn run(args: &RbacArgs, connect: &Connect) -> color_eyre::Result<ExitCode> {
    if args.runbook == "read-only" {
        print(include_str!("../../assets/rbac/read-only.yaml"));
        return Ok(ExitCode::SUCCESS);
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
    let subject = match &args.user {
        Some(name) => Subject { kind: "User", name: name.clone() },
        None => Subject { kind: "Group", name: args.group.clone() },
    };
    let mut out = String::new();
    let document = connect.shelf().and_then(|shelf| shelf.find(&args.runbook)).ok().and_then(|(_, document)| document);
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

/// One for each runbook, target and subject: of two that are applied none takes the other's rights away. It tells whose it
/// is as far as a name can; the hash tells apart what looks alike then.
fn role_name(runbook: &str, target: &ObjectRef, subject: &Subject) -> String {
    let word = |text: &str| -> String {
        let plain = text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' });
        plain.take(24).collect::<String>().trim_matches('-').to_owned()
    };
    let hash = line_hash(&format!("{runbook}\0{target}\0{}\0{}", subject.kind, subject.name));
    format!("tidepilot-{runbook}-{}-{}-{}", word(&target.name), word(&subject.name), &hash[..8])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_runs_share_the_name_of_a_role() {
        let subject = |kind, name: &str| Subject { kind, name: name.to_owned() };
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
