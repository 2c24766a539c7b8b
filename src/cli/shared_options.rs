//! Options that every command shares: which clusters, and whether they may be written to. The commands are in [`super`].

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{Args, ValueEnum};

use super::{complain, complain_once};
use crate::app::driver::Driver;
use crate::app::driver::open_runs::OpenWork;
use crate::app::driver::runbook_catalog::{Lang, RunbookCatalog};
use crate::client::Links;
use crate::client::kube::context_selection::{ConnectOptions, PdAccess, PdTlsFiles, targets, unknown_contexts};
use crate::config::{self, Config};
use crate::did_you_mean::near;
use crate::files::{is_sticky, shared, unmakable, unwritable};
use crate::fleet::Fleet;
use crate::fleet::kubectl_quoting::quote;
use crate::invalid_value::Misread;

#[derive(Args, Clone, Debug, Default)]
pub struct Connect {
    /// Kubeconfig file; repeatable, then every context of each (default: $KUBECONFIG, then ~/.kube/config)
    #[arg(long, global = true, help_heading = "Global options", value_name = "FILE")]
    pub kubeconfig: Vec<PathBuf>,
    /// Only this context; repeatable (default: every context)
    #[arg(long = "context", global = true, help_heading = "Global options", value_name = "NAME")]
    pub contexts: Vec<String>,
    /// Only this namespace (default: all)
    // A line that names one is repeated with the one that was given: the last counts.
    #[arg(
        short,
        long,
        global = true,
        overrides_with = "namespace",
        help_heading = "Global options",
        value_name = "NAME"
    )]
    pub namespace: Option<String>,
    /// Refuse every write before it is sent, also one by a bug of ours
    #[arg(long, global = true, help_heading = "Global options", env = "TIDEPILOT_READ_ONLY", value_parser = clap::builder::BoolishValueParser::new(), num_args = 0..=1, default_value_t = false, default_missing_value = "true", require_equals = true)]
    pub read_only: bool,
    /// CA for PD's TLS instead of the Secret X-cluster-client-secret
    #[arg(
        long,
        global = true,
        help_heading = "Global options",
        value_name = "FILE",
        requires = "pd_cert",
        requires = "pd_key"
    )]
    pub pd_ca: Option<PathBuf>,
    /// Client certificate for PD
    #[arg(long, global = true, help_heading = "Global options", value_name = "FILE", requires = "pd_ca")]
    pub pd_cert: Option<PathBuf>,
    /// Key of the client certificate
    #[arg(long, global = true, help_heading = "Global options", value_name = "FILE", requires = "pd_ca")]
    pub pd_key: Option<PathBuf>,
    /// How PD is asked: direct (at its pods' addresses), port-forward (through the API server), or auto: direct where PD's
    /// identity can be verified there, else port-forward (default: port-forward)
    #[arg(long, global = true, help_heading = "Global options", value_enum, value_name = "HOW")]
    pub pd_access: Option<PdAccessArg>,
    /// Only ASCII on the console's screen
    #[arg(long, global = true, help_heading = "Global options")]
    pub ascii: bool,
    /// Leave the mouse to the terminal (also `mouse: false` in the config file)
    #[arg(long, global = true, help_heading = "Global options")]
    pub no_mouse: bool,
    /// Language of runbook titles and texts (default: from the locale)
    #[arg(long, global = true, help_heading = "Global options", value_enum)]
    pub lang: Option<Language>,
    /// Folder of the runs' journals (default: the XDG state folder)
    #[arg(long, global = true, help_heading = "Global options", value_name = "DIR", env = "TIDEPILOT_STATE")]
    pub state: Option<PathBuf>,
    /// Append a log to this file: connections, leases, run records; with TIDEPILOT_LOG=debug every request
    #[arg(long, global = true, help_heading = "Global options", value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// The console has the screen: nothing may be written across it.
    #[arg(skip)]
    pub on_screen: bool,
}

/// How PD is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PdAccessArg {
    Auto,
    Direct,
    PortForward,
}

impl PdAccessArg {
    pub fn word(self) -> &'static str {
        match self {
            PdAccessArg::Auto => "auto",
            PdAccessArg::Direct => "direct",
            PdAccessArg::PortForward => "port-forward",
        }
    }
}

impl From<PdAccessArg> for PdAccess {
    fn from(asked: PdAccessArg) -> Self {
        match asked {
            PdAccessArg::Auto => PdAccess::Auto,
            PdAccessArg::Direct => PdAccess::Direct,
            PdAccessArg::PortForward => PdAccess::PortForward,
        }
    }
}

impl From<config::PdAccess> for PdAccess {
    fn from(asked: config::PdAccess) -> Self {
        match asked {
            config::PdAccess::Auto => PdAccess::Auto,
            config::PdAccess::Direct => PdAccess::Direct,
            config::PdAccess::PortForward => PdAccess::PortForward,
        }
    }
}

/// A language that runbooks are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    En,
    Zh,
}

impl Connect {
    /// Whether people are to read Chinese: `--lang`, else the locale.
    pub fn chinese(&self) -> bool {
        let locale = || {
            let set = ["LC_ALL", "LC_MESSAGES", "LANG"].iter().filter_map(|name| std::env::var(name).ok());
            set.into_iter().find(|value| !value.is_empty()).unwrap_or_default()
        };
        match self.lang {
            Some(Language::Zh) => true,
            Some(Language::En) => false,
            None => locale().to_ascii_lowercase().starts_with("zh"),
        }
    }

    /// Whether the console takes the mouse: unless the option or the config file says no.
    pub fn mouse(&self) -> bool {
        !self.no_mouse && Config::load().ok().and_then(|config| config.mouse).unwrap_or(true)
    }

    /// Whether the console shows the time: unless the config file says no.
    pub fn clock(&self) -> bool {
        Config::load().ok().and_then(|config| config.clock).unwrap_or(true)
    }

    /// The reader's language, for the texts of runbooks.
    pub fn lang(&self) -> Lang {
        if self.chinese() { Lang::Zh } else { Lang::En }
    }

    /// The runbooks at hand. `Err`: one sentence.
    pub fn catalog(&self) -> Result<RunbookCatalog, String> {
        let lang = self.lang();
        Ok(RunbookCatalog { folder: Some(crate::config::config_folder()?.join("runbooks")), lang })
    }

    /// A driver over these connections, with the journals and runbooks of this machine.
    pub fn driver(&self, links: Links) -> Result<Driver, String> {
        Ok(Driver::new(links, self.runs()?).with_catalog(self.catalog()?))
    }

    /// What is half done, here and in the clusters. What keeps this machine's runs from being read is one of the things not seen.
    pub async fn open_work(&self, links: &Links, fleet: &Fleet) -> OpenWork {
        match self.driver(links.clone()) {
            Ok(driver) => driver.open_work(Some(fleet)).await,
            Err(why) => {
                OpenWork { unseen: vec![format!("this machine and the clusters: {why}")], ..OpenWork::default() }
            }
        }
    }

    /// Whether there is such a runbook and what is set are inputs of it: told before anything that takes a kubeconfig.
    /// `Err`: one sentence.
    pub fn knows(&self, runbook: &str, set: &[(String, String)]) -> Result<(), String> {
        let (document, _) = self.catalog()?.find(runbook)?;
        let known: Vec<&str> = document.inputs.iter().map(|input| input.name.as_str()).collect();
        let Some((name, _)) = set.iter().find(|(name, _)| !known.contains(&name.as_str())) else { return Ok(()) };
        let meant = near(name, known.iter().copied()).map_or_else(String::new, |near| format!(" Did you mean {near}?"));
        Err(format!("there is no input {name:?}.{meant} {runbook} has: {}", known.join(", ")))
    }

    /// Reads the kubeconfig and the config file. No network. `Err`: one sentence.
    pub fn links(&self) -> Result<Links, String> {
        let config = Config::load()?;
        let options = ConnectOptions {
            kubeconfig: self.kubeconfig.clone(),
            contexts: self.contexts.clone(),
            namespace: self.namespace.clone(),
            read_only: self.read_only || config.read_only,
            read_only_contexts: config
                .contexts
                .iter()
                .filter(|(_, context)| context.read_only)
                .map(|(name, _)| name.clone())
                .collect::<BTreeSet<_>>(),
            pd_tls: match (&self.pd_ca, &self.pd_cert, &self.pd_key) {
                (Some(ca), Some(certificate), Some(key)) => {
                    Some(PdTlsFiles { ca: ca.clone(), certificate: certificate.clone(), key: key.clone() })
                }
                _ => None,
            },
            pd_access: match (self.pd_access, config.pd_access) {
                (Some(asked), _) => asked.into(),
                (None, Some(asked)) => asked.into(),
                // Nothing that a cluster names is dialled unless somebody asks for it.
                (None, None) => PdAccess::PortForward,
            },
            // What was asked for on the command line counts everywhere.
            pd_access_contexts: match self.pd_access {
                Some(_) => BTreeMap::new(),
                None => {
                    let own = config.contexts.iter();
                    own.filter_map(|(name, context)| Some((name.clone(), context.pd_access?.into()))).collect()
                }
            },
            notice: (!self.on_screen).then_some(complain),
            // For a person who waits; a script's errors are mailed to somebody, and this is none.
            awaited: (!self.on_screen && std::io::stderr().is_terminal()).then_some(complain_once),
            ..ConnectOptions::default()
        };
        let targets = targets(&options).map_err(|error| error.to_string())?;
        if let Some((unknown, known)) = unknown_contexts(&targets, config.contexts.keys()) {
            complain(&format!(
                "warning: the config file speaks of context {}, which the kubeconfig does not have (it has {known}); what it says protects nothing",
                unknown.join(", ")
            ));
        }
        Ok(Links::new(targets, options))
    }

    /// The options that a printed command needs as well to reach the same clusters and journals, as they were given.
    pub fn repeated(&self) -> String {
        self.given(true)
    }

    /// The same for a command that chooses its own context.
    pub(super) fn repeated_but_contexts(&self) -> String {
        self.given(false)
    }

    /// The kubeconfig, where exactly one was given, as a shell takes it.
    pub(super) fn only_kubeconfig(&self) -> Option<String> {
        match self.kubeconfig.as_slice() {
            [file] => Some(quote(&file.display().to_string())),
            _ => None,
        }
    }

    fn given(&self, places: bool) -> String {
        let file = |file: &PathBuf| file.display().to_string();
        let mut given: Vec<(&str, String)> = Vec::new();
        given.extend(self.kubeconfig.iter().map(|path| ("--kubeconfig", file(path))));
        given.extend(self.contexts.iter().filter(|_| places).map(|name| ("--context", name.clone())));
        given.extend(self.namespace.iter().filter(|_| places).map(|name| ("--namespace", name.clone())));
        given.extend(self.state.iter().map(|path| ("--state", file(path))));
        given.extend(self.pd_ca.iter().map(|path| ("--pd-ca", file(path))));
        given.extend(self.pd_cert.iter().map(|path| ("--pd-cert", file(path))));
        given.extend(self.pd_access.iter().map(|how| ("--pd-access", how.word().to_owned())));
        given.extend(self.pd_key.iter().map(|path| ("--pd-key", file(path))));
        given.iter().map(|(name, value)| format!("{name} {}", quote(value))).collect::<Vec<_>>().join(" ")
    }

    /// The folder of the runs' journals.
    pub fn runs(&self) -> Result<PathBuf, String> {
        let folder = match &self.state {
            Some(folder) => folder.clone(),
            None => crate::config::state_folder()?,
        };
        let runs = folder.join("runs");
        // Whoever may write the folder above can put another one in its place, unless it is as /tmp is.
        let above = shared(&folder).filter(|_| !is_sticky(&folder));
        match above.or_else(|| shared(&runs)) {
            Some(why) => Err(why),
            None => Ok(runs),
        }
    }
}

/// Reads the name of a file that is to be written: where that cannot be, it is told before anything is looked at.
pub(super) fn new_file() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|file| unwritable(&file).map_or(Ok(file), Err))
}

/// The same of a folder for files, which is made where it is not there.
pub(super) fn new_folder() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|folder| unmakable(&folder).map_or(Ok(folder), Err))
}

/// Reads `CONTEXT/NAMESPACE`: `arn:aws:eks:eu-west-1:1:cluster/east/prod`. A context may have slashes of its own, a namespace
/// has none.
pub fn namespace_of(text: &str) -> Result<(String, String), Misread> {
    match text.rsplit_once('/') {
        Some((context, namespace)) if !context.is_empty() && !namespace.is_empty() => {
            Ok((context.to_owned(), namespace.to_owned()))
        }
        _ => Err(Misread::new("CONTEXT/NAMESPACE", text)),
    }
}
