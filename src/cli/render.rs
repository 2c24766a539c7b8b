//! `tidepilot render coredns DATABASE`: the Corefile of each KubeCluster's DNS for a Database that spans them, as text.
//!
//! Sends only reads, and applies nothing: a KubeCluster's DNS belongs to whoever runs it. Not here: the text of the stanzas
//! ([`crate::report::coredns`]), which zones they are of ([`crate::fleet::dns_forward_zones`]).

use std::collections::BTreeMap;
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
use crate::report::coredns::corefiles;

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
}
