//! `tidepilot demo`: the console on an embedded simulated fleet, or with `--serve` the fleet alone, for kubectl,
//! scripts and rehearsals, until Ctrl-C or SIGTERM. What the fleet does is `sim`'s business.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use color_eyre::eyre::{Result, WrapErr};

use super::shared_options::{Connect, new_file, new_folder};
use super::signals::Signals;
use super::{USAGE, console, fail, print, screenshots};
use crate::invalid_value::Misread;
use crate::sim::external_pd::PdTunnel;
use crate::sim::load_generator::Load;
use crate::sim::scenario::UserSpec;
use crate::sim::{Sim, SimError, SimOptions};

/// Options of `tidepilot demo`.
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// Only serve the fleet, until Ctrl-C
    #[arg(long)]
    pub serve: bool,
    /// Write the kubeconfig here instead of into a private temporary directory
    #[arg(long, value_name = "FILE", value_parser = new_file())]
    pub kubeconfig_out: Option<PathBuf>,
    /// Write one JSON line for every request that arrives
    #[arg(long, value_name = "FILE", value_parser = new_file())]
    pub request_log: Option<PathBuf>,
    /// Fleet to simulate: default, empty, half-migrated, quorum-at-risk, tls, unreachable
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub scenario: String,
    /// Seed of ids and other made-up numbers
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Simulated seconds in a real one
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    pub speed: f64,
    /// Whom the fleet knows beside its admin (repeatable, or with commas); the first one sits here
    ///
    /// NAME may do everything, NAME:read-only looks, and NAME:bound may do what the Roles and bindings give that are
    /// applied to the fleet. Of several each has a kubeconfig of their own, called after them: of `fleet.yaml` that of
    /// bob is `fleet-bob.yaml`, and no `fleet.yaml` is written. So two people rehearse an approval.
    #[arg(long = "user", value_name = "NAME[:ACCESS]", value_delimiter = ',')]
    pub users: Vec<UserSpec>,
    /// Tunnel a PD pod's client port to a real process (repeatable)
    #[arg(long, value_name = "[CONTEXT:]NAMESPACE/POD=127.0.0.1:PORT")]
    pub pd: Vec<PdTunnel>,
    /// Write pictures (SVG) of the console into this folder, as --script takes them, and open none
    #[arg(long, value_name = "DIR", requires = "script", conflicts_with = "serve", value_parser = new_folder())]
    pub screenshots: Option<PathBuf>,
    /// What is pressed: `:findings<enter><wait HAZARD><shot findings>`, or @FILE
    #[arg(long, value_name = "KEYS", requires = "screenshots")]
    pub script: Option<String>,
    /// Columns and lines of the pictures
    #[arg(long, value_name = "COLUMNSxLINES", default_value = "120x32", value_parser = size, requires = "screenshots")]
    pub size: (u16, u16),
    /// Give pods addresses of this machine's loopback network, on which PD listens (for --pd-access)
    #[arg(long)]
    pub direct: bool,
    /// A larger and more restless fleet, for measuring: clusters=16,foreignPods=10000,tidbClusters=200,events=1000/s
    ///
    /// Any of the four. With clusters or tidbClusters it takes the place of the scenario: each TidbCluster is a Database of
    /// its own. foreignPods are pods that TiDB Operator does not manage; events are changes of pods in a second.
    #[arg(long, value_name = "KEY=N,...")]
    pub load: Option<Load>,
}

impl DemoArgs {
    /// What the simulation is started with.
    pub fn options(&self) -> SimOptions {
        SimOptions {
            scenario: self.scenario.clone(),
            seed: self.seed,
            speed: self.speed,
            request_log: self.request_log.clone(),
            users: self.users.clone(),
            pd: self.pd.clone(),
            load: self.load.clone(),
            direct: self.direct,
        }
    }
}

/// `120x32`, of a size that a console can be drawn in.
fn size(text: &str) -> Result<(u16, u16), Misread> {
    let expected = || Misread::new("COLUMNSxLINES, as 120x32, from 30x6 to 400x200", text);
    let (columns, lines) = text.split_once('x').ok_or_else(expected)?;
    match (columns.parse(), lines.parse()) {
        (Ok(columns @ 30..=400), Ok(lines @ 6..=200)) => Ok((columns, lines)),
        (_, _) => Err(expected()),
    }
}

/// The console on the simulated fleet, or only the fleet with `--serve`.
pub async fn run(args: DemoArgs, connect: Connect) -> Result<ExitCode> {
    if args.serve {
        return serve(args).await;
    }
    let steps = match args.script.as_deref().map(screenshots::steps).transpose() {
        Ok(steps) => steps,
        Err(sentence) => return Ok(fail(&sentence, USAGE)),
    };
    let sim = match started(&args).await? {
        Ok(sim) => sim,
        Err(code) => return Ok(code),
    };
    let private = tempfile::Builder::new().prefix("tidepilot-demo-").tempdir()?;
    let kubeconfig = args.kubeconfig_out.clone().unwrap_or_else(|| private.path().join("kubeconfig"));
    let written = write_kubeconfigs(&sim, &args, &kubeconfig)?;
    let kubeconfig = written.into_iter().next().map_or(kubeconfig, |(_, path)| path);
    // Rehearsals leave their journals with the fleet that they ran on, unless a folder is named.
    let state = connect.state.clone().unwrap_or_else(|| private.path().to_path_buf());
    let connect = Connect { kubeconfig: vec![kubeconfig], state: Some(state), on_screen: true, ..connect };
    let links = connect.links().map_err(color_eyre::Report::msg)?;
    let driver = connect.driver(links.clone()).map_err(color_eyre::Report::msg)?;
    let code = match (&args.screenshots, steps) {
        (Some(folder), Some(steps)) => match screenshots::take(driver, &connect, steps, args.size, folder).await {
            Ok(names) => {
                print(&format!("{}\n", names.join("\n")));
                Ok(ExitCode::SUCCESS)
            }
            Err(sentence) => Ok(fail(&sentence, 1)),
        },
        _ => console::open(links, driver, &connect, true).await,
    };
    sim.shutdown().await;
    code
}

/// `Ok(Err)`: an option says something that there is not.
async fn started(args: &DemoArgs) -> Result<std::result::Result<Sim, ExitCode>> {
    match Sim::start(args.options()).await {
        Ok(sim) => Ok(Ok(sim)),
        Err(error @ (SimError::Scenario(_) | SimError::Speed(_))) => Ok(Err(fail(&error.to_string(), USAGE))),
        Err(error) => Err(error.into()),
    }
}

/// Serves the fleet until a signal comes. Errors: an unknown scenario, an unwritable file, no free port.
async fn serve(args: DemoArgs) -> Result<ExitCode> {
    // Before anything is started: a signal that comes early must still stop everything.
    let mut signals = Signals::register()?;
    let sim = match started(&args).await? {
        Ok(sim) => sim,
        Err(code) => return Ok(code),
    };
    // Lives until the end: dropping it removes the directory with the tokens.
    let mut private = None;
    let kubeconfig = match &args.kubeconfig_out {
        Some(path) => path.clone(),
        None => {
            let directory = tempfile::Builder::new().prefix("tidepilot-demo-").tempdir()?;
            private.insert(directory).path().join("kubeconfig")
        }
    };
    let written = write_kubeconfigs(&sim, &args, &kubeconfig)?;
    announce(&sim, &args, &written)?;
    signals.next().await;
    sim.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

/// One for each user, called after them where there are several. Gives whose each is (empty: the fleet's own) and its path.
fn write_kubeconfigs(sim: &Sim, args: &DemoArgs, path: &Path) -> Result<Vec<(String, PathBuf)>> {
    let all: Vec<(String, PathBuf)> = match args.users.as_slice() {
        [] => vec![(String::new(), path.to_path_buf())],
        [one] => vec![(one.name.clone(), path.to_path_buf())],
        several => several.iter().map(|user| (user.name.clone(), called_after(path, &user.name))).collect(),
    };
    for (user, path) in &all {
        let user = Some(user.as_str()).filter(|user| !user.is_empty());
        sim.write_kubeconfig_as(user, path)
            .wrap_err_with(|| format!("the kubeconfig {} cannot be written", path.display()))?;
    }
    Ok(all)
}

/// `fleet.yaml` of bob: `fleet-bob.yaml`. A colon would end the name in `$KUBECONFIG`.
fn called_after(path: &Path, user: &str) -> PathBuf {
    let user = user.replace(':', "-");
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = match path.extension() {
        Some(extension) => format!("{stem}-{user}.{}", extension.to_string_lossy()),
        None => format!("{stem}-{user}"),
    };
    path.with_file_name(name)
}

fn announce(sim: &Sim, args: &DemoArgs, kubeconfigs: &[(String, PathBuf)]) -> io::Result<()> {
    let contexts = sim.contexts();
    let mut out = io::stdout().lock();
    writeln!(out, "scenario    {}", args.scenario)?;
    writeln!(out, "contexts    {}", contexts.join(", "))?;
    for (user, path) in kubeconfigs {
        let of = if user.is_empty() { String::new() } else { format!("  ({user})") };
        writeln!(out, "kubeconfig  {}{of}", path.display())?;
    }
    if let Some(log) = &args.request_log {
        writeln!(out, "request log {}", log.display())?;
    }
    if let (Some(first), Some((_, path))) = (contexts.first(), kubeconfigs.first()) {
        writeln!(out, "\ntry:  kubectl --kubeconfig {} --context {first} get tc,sts,pods -A", path.display())?;
    }
    writeln!(out, "\nserving until Ctrl-C")?;
    out.flush()
}
