//! Which clusters there are: kubeconfig in, targets out. Reads files only, never the network.
//!
//! The usual rules: `--kubeconfig`, else every file of `$KUBECONFIG` merged (first one wins), else
//! `~/.kube/config`. `--kubeconfig` given more than once takes every context of each file. Not here: reading and merging
//! ([`crate::client::kube::kubeconfig`]), connecting ([`crate::client::wire::link`]), credentials ([`crate::client::kube::exec_plugin`]),
//! how long anything may take ([`crate::client::wire::timeouts`]).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

pub use crate::client::kube::connect_error::ConnectError;
use crate::client::kube::kubeconfig::{Entry, Merge, load};
use crate::client::wire::timeouts::Limits;

/// What the command line and the config file say about connecting.
#[derive(Clone, Debug, Default)]
pub struct ConnectOptions {
    /// Empty: `$KUBECONFIG`, else `~/.kube/config`. More than one: every context of each.
    pub kubeconfig: Vec<PathBuf>,
    /// Empty: every context.
    pub contexts: Vec<String>,
    /// `None`: all namespaces.
    pub namespace: Option<String>,
    /// No context may be written to.
    pub read_only: bool,
    pub read_only_contexts: BTreeSet<String>,
    /// Instead of the Secret `<tc>-cluster-client-secret`.
    pub pd_tls: Option<PdTlsFiles>,
    /// How PD is asked; by context where it is another there.
    pub pd_access: PdAccess,
    pub pd_access_contexts: BTreeMap<String, PdAccess>,
    pub limits: Limits,
    /// Told, in one sentence, when a look takes longer because something is waited for.
    pub notice: Option<fn(&str)>,
    /// Told, in one sentence, which contexts a look still waits for: where a person waits with it.
    pub awaited: Option<fn(&str)>,
}

/// How PD is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PdAccess {
    /// Directly where PD proves there who it is, else by port-forward.
    Auto,
    /// Directly and no other way.
    Direct,
    /// Through the API server.
    #[default]
    PortForward,
}

/// PEM files for mutual TLS with PD.
#[derive(Clone, Debug)]
pub struct PdTlsFiles {
    pub ca: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// One context to connect to.
#[derive(Clone, Debug)]
pub struct Target {
    pub context: String,
    /// API server URL as the kubeconfig gives it; empty where the context names no cluster.
    pub server: String,
    pub read_only: bool,
    pub(in crate::client) entry: Arc<Entry>,
    /// Every context that the kubeconfig has.
    known: Arc<[String]>,
}

/// The contexts to connect to, in the kubeconfig's order (or in the order of `--context`).
pub fn targets(options: &ConnectOptions) -> Result<Vec<Target>, ConnectError> {
    if let Some(found) = options.namespace.as_ref().filter(|namespace| !is_dns_label(namespace)) {
        return Err(ConnectError::BadNamespace { found: found.clone() });
    }
    let files = files(&options.kubeconfig, std::env::var_os("KUBECONFIG").as_deref(), std::env::home_dir());
    let looked = files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ");
    let merge = if options.kubeconfig.len() > 1 { Merge::EachForItself } else { Merge::FirstWins };
    let entries = load(&files, !options.kubeconfig.is_empty(), merge, &looked)?;
    if entries.is_empty() {
        return Err(ConnectError::NoContexts { looked });
    }
    let known: Arc<[String]> = entries.iter().map(|entry| entry.name.clone()).collect();
    let at: HashMap<&str, usize> = entries.iter().enumerate().map(|(at, entry)| (entry.name.as_str(), at)).collect();
    let mut wanted: Vec<usize> = Vec::new();
    for name in &options.contexts {
        let Some(at) = at.get(name.as_str()) else {
            return Err(ConnectError::UnknownContext { name: name.clone(), known: known.join(", ") });
        };
        if !wanted.contains(at) {
            wanted.push(*at);
        }
    }
    if wanted.is_empty() {
        wanted = (0..entries.len()).collect();
    }
    // The same door under another name leads to the same server, also where that name was not asked for.
    let door = |entry: &Entry| {
        let cluster = entry.cluster.as_ref()?;
        let server = cluster.server.as_ref()?.trim_end_matches('/').to_ascii_lowercase();
        Some((server, cluster.proxy_url.clone(), cluster.tls_server_name.clone()))
    };
    let named = |entry: &&Entry| options.read_only_contexts.contains(&entry.name);
    let protected: HashSet<_> = entries.iter().filter(named).filter_map(door).collect();
    let target = |entry: &Entry| Target {
        context: entry.name.clone(),
        server: entry.cluster.as_ref().and_then(|cluster| cluster.server.clone()).unwrap_or_default(),
        read_only: options.read_only
            || options.read_only_contexts.contains(&entry.name)
            || door(entry).is_some_and(|door| protected.contains(&door)),
        entry: Arc::new(entry.clone()),
        known: Arc::clone(&known),
    };
    Ok(wanted.into_iter().map(|at| target(&entries[at])).collect())
}

/// Of these names, those that the kubeconfig has no context for, with what it has.
pub fn unknown_contexts<'a>(
    targets: &[Target],
    names: impl IntoIterator<Item = &'a String>,
) -> Option<(Vec<&'a str>, String)> {
    let known = &targets.first()?.known;
    let unknown: Vec<&str> = names.into_iter().filter(|name| !known.contains(name)).map(String::as_str).collect();
    (!unknown.is_empty()).then(|| (unknown, known.join(", ")))
}

fn files(given: &[PathBuf], variable: Option<&std::ffi::OsStr>, home: Option<PathBuf>) -> Vec<PathBuf> {
    if !given.is_empty() {
        return given.to_vec();
    }
    let listed: Vec<PathBuf> = variable
        .map(|value| std::env::split_paths(value).filter(|path| !path.as_os_str().is_empty()).collect())
        .unwrap_or_default();
    if !listed.is_empty() {
        return listed;
    }
    home.map(|home| vec![home.join(".kube").join("config")]).unwrap_or_default()
}

fn is_dns_label(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 63
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = r#"{"apiVersion":"v1","kind":"Config","clusters":[{"name":"c","cluster":{"server":"https://a:1"}}],
        "users":[],"contexts":[{"name":"a","context":{"cluster":"c"}},{"name":"b","context":{"cluster":"gone"}}]}"#;

    fn with(text: &str, options: ConnectOptions) -> Result<Vec<Target>, ConnectError> {
        let dir = tempfile::tempdir().expect("temporary directory");
        let file = dir.path().join("config");
        std::fs::write(&file, text).expect("written");
        targets(&ConnectOptions { kubeconfig: vec![file], ..options })
    }

    #[test]
    fn every_context_or_the_named_ones() {
        let all = with(TWO, ConnectOptions::default()).expect("two contexts");
        assert_eq!(
            all.iter().map(|t| (t.context.as_str(), t.server.as_str())).collect::<Vec<_>>(),
            [("a", "https://a:1"), ("b", "")]
        );
        let options = ConnectOptions {
            contexts: vec!["b".into(), "b".into()],
            read_only_contexts: BTreeSet::from(["b".to_owned()]),
            ..ConnectOptions::default()
        };
        let one = with(TWO, options).expect("one context");
        assert!(one.len() == 1 && one[0].context == "b" && one[0].read_only);
    }

    #[test]
    fn read_only_is_the_server_and_not_its_name() {
        let text = r#"{"apiVersion":"v1","kind":"Config","users":[],"clusters":[
            {"name":"c","cluster":{"server":"https://a:1"}},{"name":"d","cluster":{"server":"https://A:1/"}},
            {"name":"e","cluster":{"server":"https://a:1","proxy-url":"http://p:1"}},{"name":"f","cluster":{"server":"https://a:2"}}],
            "contexts":[{"name":"prod","context":{"cluster":"c"}},{"name":"same","context":{"cluster":"c"}},
            {"name":"spelled","context":{"cluster":"d"}},{"name":"elsewhere","context":{"cluster":"e"}},
            {"name":"other","context":{"cluster":"f"}}]}"#;
        let read_only = |contexts: &[&str]| {
            let options = ConnectOptions {
                contexts: contexts.iter().map(|name| (*name).to_owned()).collect(),
                read_only_contexts: BTreeSet::from(["prod".to_owned()]),
                ..ConnectOptions::default()
            };
            let all = with(text, options).expect("contexts");
            all.into_iter().filter(|target| target.read_only).map(|target| target.context).collect::<Vec<_>>()
        };
        assert_eq!(read_only(&[]), ["prod", "same", "spelled"]);
        // The name in the configuration counts also where it is not connected.
        assert_eq!(read_only(&["same", "other"]), ["same"]);
    }

    #[test]
    fn refusals_say_what_to_do() {
        let unknown = ConnectOptions { contexts: vec!["x".into()], ..ConnectOptions::default() };
        let namespace = ConnectOptions { namespace: Some("../x".into()), ..ConnectOptions::default() };
        let cases = [
            (with(TWO, unknown), "no context is called \"x\"; the kubeconfig has: a, b"),
            (with(TWO, namespace), "\"../x\" is not a namespace"),
            (with("{}", ConnectOptions::default()), "has no contexts"),
            (with("[", ConnectOptions::default()), "cannot be read"),
        ];
        for (result, text) in cases {
            let error = result.expect_err("refused").to_string();
            assert!(error.contains(text), "{error}");
        }
        let missing =
            targets(&ConnectOptions { kubeconfig: vec!["/nonexistent/x".into()], ..ConnectOptions::default() });
        assert!(missing.expect_err("refused").to_string().contains("there is no such file"));
        let nothing = load(
            &["/nonexistent/a".into(), "/nonexistent/b".into()],
            false,
            Merge::FirstWins,
            "/nonexistent/a, /nonexistent/b",
        );
        assert!(nothing.expect_err("refused").to_string().contains("no kubeconfig found: looked for /nonexistent/a"));
    }

    #[test]
    fn the_variable_lists_files() {
        let home = Some(PathBuf::from("/h"));
        assert_eq!(files(&[], Some("a::b".as_ref()), home.clone()), [PathBuf::from("a"), PathBuf::from("b")]);
        assert_eq!(files(&[], Some("".as_ref()), home.clone()), [PathBuf::from("/h/.kube/config")]);
        assert_eq!(files(&["x".into()], Some("a".as_ref()), home), [PathBuf::from("x")]);
    }
}
