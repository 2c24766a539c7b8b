//! `tidepilot render coredns DATABASE`: the Corefile of each KubeCluster's DNS for a Database that spans them, as text.
//!
//! Sends only reads, and applies nothing: a KubeCluster's DNS belongs to whoever runs it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::shared_options::{Connect, namespace_of};
use super::{USAGE, fail, help_texts, print};
use crate::client;
use crate::fleet::ObjectRef;
use crate::fleet::closer_look::Extras;
use crate::fleet::database::{databases, find_by_name};
use crate::fleet::dns_forward_zones::{Forwards, forwards};
use crate::invalid_value::Misread;
use crate::report::plain;

/// Something could not be told.
const UNSEEN: u8 = 3;

#[derive(Args, Debug)]
pub struct RenderArgs {
    #[command(subcommand)]
    command: RenderCommand,
}

#[derive(Debug, Subcommand)]
enum RenderCommand {
    /// What each KubeCluster's CoreDNS sends on to the others of a Database
    #[command(after_help = help_texts::RENDER_COREDNS)]
    Coredns(CorednsArgs),
}

#[derive(Args, Debug)]
struct CorednsArgs {
    /// Name or id of the Database
    database: String,
    /// Where the DNS of a KubeCluster answers the others, as its internal load balancer has it; repeatable
    #[arg(long = "dns", value_name = "CONTEXT=ADDRESS[,ADDRESS…]", value_parser = addresses)]
    dns: Vec<(String, Vec<String>)>,
    /// A KubeCluster that is to join, and the namespace that its TidbCluster will have; repeatable
    #[arg(long = "with", value_name = "CONTEXT/NAMESPACE", value_parser = namespace_of)]
    with: Vec<(String, String)>,
    /// Only what belongs into the Corefile of this KubeCluster
    #[arg(long = "for", value_name = "CONTEXT")]
    only: Option<String>,
}

/// `east=10.0.0.10,10.0.0.11`; a port may follow an address.
fn addresses(text: &str) -> Result<(String, Vec<String>), Misread> {
    let wanted = "CONTEXT=ADDRESS[,ADDRESS…]";
    let (context, list) = text.rsplit_once('=').ok_or_else(|| Misread::plain(wanted, "no `=`"))?;
    let all: Vec<String> = list.split(',').map(|one| one.trim().to_owned()).collect();
    let valid = |one: &String| one.parse::<IpAddr>().is_ok() || one.parse::<SocketAddr>().is_ok();
    match (context.is_empty(), all.iter().find(|one| !valid(one))) {
        (true, _) => Err(Misread::plain(wanted, "no context")),
        (false, Some(bad)) => Err(Misread::new(wanted, bad).hint(", which is no IP address (with or without a port)")),
        (false, None) => Ok((context.to_owned(), all)),
    }
}

pub async fn run(args: &RenderArgs, connect: &Connect) -> color_eyre::Result<ExitCode> {
    let RenderCommand::Coredns(args) = &args.command;
    let links = match connect.links() {
        Ok(links) => links,
        Err(sentence) => return Ok(fail(&sentence, USAGE)),
    };
    let fleet = client::assemble(links.look_closer(None, &Extras::default()).await);
    let all = databases(&fleet);
    let database = match find_by_name::position(&all, &args.database) {
        Ok(at) => &all[at],
        Err(unknown) => return Ok(fail(&unknown.to_string(), USAGE)),
    };
    let known: BTreeMap<&str, &[String]> =
        args.dns.iter().map(|(context, addresses)| (context.as_str(), addresses.as_slice())).collect();
    let new = args.with.iter().map(|(context, _)| context.as_str());
    let mut strange = known.keys().copied().chain(args.only.as_deref()).chain(new);
    if let Some(strange) = strange.find(|context| !fleet.clusters.contains_key(*context)) {
        return Ok(fail(&format!("there is no context {strange:?}"), USAGE));
    }
    let mut members = database.tidb_clusters.clone();
    members.extend(args.with.iter().map(|(context, namespace)| ObjectRef::new(context, namespace, "")));
    let found = forwards(&fleet, &members);
    let wanted: Vec<&Forwards> =
        found.iter().filter(|one| args.only.as_ref().is_none_or(|only| *only == one.from)).collect();
    let (text, whole) = corefiles(&wanted, &known);
    print(&text);
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::from(UNSEEN) })
}

/// The text, and whether nothing is missing in it. What is missing is a comment: the rest can be used as it is.
fn corefiles(all: &[&Forwards], dns: &BTreeMap<&str, &[String]>) -> (String, bool) {
    let mut out = String::new();
    let mut whole = true;
    let mut last = "";
    for one in all {
        if one.from != last {
            let _ = writeln!(
                out,
                "# KubeCluster {}: add to its Corefile (ConfigMap kube-system/coredns); a reload takes about 30 s",
                plain(&one.from)
            );
            last = &one.from;
        }
        let to = plain(&one.to);
        let zones = match &one.zones {
            Ok(zones) => zones,
            Err(why) => {
                let _ = writeln!(out, "# to {to}: {}", plain(&why.to_string()));
                whole = false;
                continue;
            }
        };
        let Some(addresses) = dns.get(one.to.as_str()) else {
            let names: Vec<String> = zones.iter().map(|zone| plain(&zone.name)).collect();
            let _ = writeln!(out, "# to {to} ({}): give --dns {to}=ADDRESS", names.join(", "));
            whole = false;
            continue;
        };
        for zone in zones {
            let mark = if zone.forwarded { " (its Corefile sends this zone on already: compare)" } else { "" };
            let name = plain(&zone.name);
            let to_whom = addresses.join(" ");
            let _ = writeln!(
                out,
                "# to {to}{mark}\n{name}:53 {{\n    errors\n    cache 30\n    forward . {to_whom} {{\n        force_tcp\n    }}\n}}"
            );
        }
    }
    if all.is_empty() {
        out.push_str(
            "# nothing: all of it is in one KubeCluster (--with CONTEXT/NAMESPACE adds one that is to join)\n",
        );
    }
    (out, whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_strictly() {
        assert_eq!(addresses("east=10.0.0.1,::1"), Ok(("east".into(), vec!["10.0.0.1".into(), "::1".into()])));
        assert_eq!(addresses("a=b=10.0.0.1:5353"), Ok(("a=b".into(), vec!["10.0.0.1:5353".into()])));
        for (bad, why) in
            [("east", "no `=`"), ("=10.0.0.1", "no context"), ("east=dns.example", "no IP address"), ("east=", "no IP")]
        {
            assert!(addresses(bad).is_err_and(|error| error.to_string().contains(why)), "{bad}");
        }
    }

    /// What is printed is read back by the reader of Corefiles: each zone is sent on.
    #[test]
    fn what_is_printed_is_a_corefile() {
        use crate::fleet::dns_forward_zones::{NoZones, Zone};
        let zones = Ok(vec![Zone { name: "two.svc.cluster.local".into(), forwarded: false }]);
        let to_b = Forwards { from: "a".into(), to: "b".into(), zones };
        let to_c =
            Forwards { from: "a".into(), to: "c".into(), zones: Err(NoZones::NotKnown("which is not known".into())) };
        let addresses = ["10.0.0.1".to_owned(), "10.0.0.2".to_owned()];
        let (text, whole) = corefiles(&[&to_b, &to_c], &BTreeMap::from([("b", addresses.as_slice())]));
        assert!(!whole && text.contains("# to c: which is not known"), "{text}");
        let read = crate::fleet::corefile::read(&format!(".:53 {{\n  kubernetes cluster.local\n}}\n{text}"));
        assert!(read.doubts.iter().any(|doubt| doubt.forwarded && doubt.zone == "two.svc.cluster.local"), "{read:?}");
        let (text, whole) = corefiles(&[&to_b], &BTreeMap::new());
        assert!(!whole && text.contains("give --dns b=ADDRESS"), "{text}");
    }
}
