//! Exec credential plugins: run once per distinct command, without a terminal, with a deadline, cached to expiry.
//!
//! kube would run them itself: three times, on the calling thread, without a deadline and with our terminal as
//! their stdin and stderr. So it never gets to see them; [`crate::client::wire::link`] feeds it what came out. Tokens,
//! token files, certificates and passwords of a kubeconfig need no code here.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use jiff::{SignedDuration, Timestamp};
use kube::config::{ExecConfig, ExecInteractiveMode};
#[cfg(unix)]
use process_wrap::tokio::ProcessSession;
use process_wrap::tokio::{KillOnDrop, TokioCommandWrap};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::client::{now, plain};
use crate::fleet::kubectl_quoting::quote;

/// How long a failure is believed before the plugin is tried again.
const FAILURE_KEPT: SignedDuration = SignedDuration::from_secs(30);
/// A credential is renewed this long before it expires.
const MARGIN: SignedDuration = SignedDuration::from_secs(20);
const OUTPUT_LIMIT: u64 = 1024 * 1024;

/// What a plugin gave. Never printed.
#[derive(Clone)]
pub(in crate::client) struct Credential {
    pub token: Option<String>,
    /// Certificate and key, PEM.
    pub certificate: Option<(String, String)>,
    pub expires: Option<Timestamp>,
}

type Run = Shared<BoxFuture<'static, Result<Credential, String>>>;

/// The plugins of one set of links.
#[derive(Clone, Default)]
pub(in crate::client) struct Plugins(Arc<Mutex<HashMap<String, (Run, Timestamp)>>>);

impl Plugins {
    /// The credential of one plugin. Callers with the same command share one run; dropping the future does not stop
    /// it, so that a caller with a shorter deadline finds the result next time.
    pub fn get(&self, exec: &ExecConfig, limit: Duration) -> Run {
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = key(exec);
        if let Some((run, started)) = runs.get(&key)
            && usable(run, *started)
        {
            return run.clone();
        }
        let exec = exec.clone();
        let task = tokio::spawn(async move { run(&exec, limit).await });
        let run = task
            .map(|ended| ended.unwrap_or_else(|_| Err("the credential plugin's task died".into())))
            .boxed()
            .shared();
        runs.insert(key, (run.clone(), now()));
        run
    }

    /// The server did not accept it: run the plugin again next time, but not for every request of a bad token.
    pub fn rejected(&self, exec: &ExecConfig) {
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = key(exec);
        if runs.get(&key).is_some_and(|(run, started)| run.peek().is_some() && now().duration_since(*started) > MARGIN)
        {
            runs.remove(&key);
        }
    }
}

fn usable(run: &Run, started: Timestamp) -> bool {
    match run.peek() {
        None => true,
        Some(Err(_)) => now().duration_since(started) < FAILURE_KEPT,
        Some(Ok(credential)) => credential.expires.is_none_or(|expires| expires.duration_since(now()) > MARGIN),
    }
}

/// What makes two plugins the same run.
fn key(exec: &ExecConfig) -> String {
    let env: Vec<BTreeMap<&String, &String>> = exec.env.iter().flatten().map(|pair| pair.iter().collect()).collect();
    let cluster = exec.provide_cluster_info.then(|| serde_json::to_value(&exec.cluster).unwrap_or_default());
    serde_json::json!([exec.command, exec.args, env, exec.drop_env, exec.api_version, cluster]).to_string()
}

/// Words of a plugin's command that tell nothing: the subcommands of the usual plugins.
const HARMLESS_WORDS: [&str; 24] = [
    "eks",
    "get-token",
    "token",
    "oidc-login",
    "login",
    "get-credentials",
    "credential",
    "credentials",
    "exec-credential",
    "kubernetes",
    "kubernetes-credential",
    "cluster",
    "kubeconfig",
    "k8s",
    "ce",
    "generate-token",
    "kube",
    "auth",
    "azurecli",
    "devicecode",
    "-c",
    "print-access-token",
    "access-token",
    "version",
];
/// Flags whose values are names of places and people's choices, no credentials.
const HARMLESS_FLAGS: [&str; 26] = [
    "--cluster-name",
    "--cluster",
    "--cluster-id",
    "-i",
    "--region",
    "--profile",
    "--role-arn",
    "--role",
    "-r",
    "--server-id",
    "--client-id",
    "--tenant-id",
    "--tenant",
    "--environment",
    "--login",
    "--output",
    "-o",
    "--context",
    "--namespace",
    "--oidc-issuer-url",
    "--oidc-client-id",
    "--project",
    "--zone",
    "--location",
    "--kube-cluster",
    "--proxy",
];

/// The command as a person would type it, with every word left out that is not known to be harmless: it is shown, and
/// kept in journals, and an argument may be a password.
pub(in crate::client) fn command_line(exec: &ExecConfig) -> String {
    let mut words: Vec<String> = exec.command.iter().map(|command| quote(command)).collect();
    let mut value_shown = false;
    for word in exec.args.iter().flatten() {
        let shown = std::mem::take(&mut value_shown);
        words.push(match word.split_once('=') {
            _ if shown && !word.starts_with('-') => quote(word),
            _ if HARMLESS_WORDS.contains(&word.as_str()) => word.clone(),
            None if HARMLESS_FLAGS.contains(&word.as_str()) => {
                value_shown = true;
                word.clone()
            }
            Some((name, _)) if HARMLESS_FLAGS.contains(&name) => quote(word),
            Some((name, _)) if plain_flag(name) => format!("{name}=***"),
            None if plain_flag(word) => word.clone(),
            Some(_) | None => "***".to_owned(),
        });
    }
    words.join(" ")
}

/// `--name` or `-n`: a name, nothing glued to it.
fn plain_flag(word: &str) -> bool {
    let long = word.strip_prefix("--").is_some_and(|name| {
        (1..=32).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
    });
    long || (word.len() == 2 && word.starts_with('-') && word.as_bytes()[1].is_ascii_alphabetic())
}

/// What a plugin's last words mean, in ours: its own may hold what it was given.
fn meaning(stderr: &str) -> Option<&'static str> {
    let last = stderr.lines().rfind(|line| !line.trim().is_empty())?.to_ascii_lowercase();
    let any = |words: &[&str]| words.iter().any(|word| last.contains(word));
    if any(&["expired", "expire"]) {
        Some("it says that something has expired")
    } else if any(&["log in", "login", "sign in", "authenticate", "sso", "interactive"]) {
        Some("it wants somebody to log in")
    } else if any(&["denied", "forbidden", "unauthorized", "not authorized", "401", "403"]) {
        Some("it was denied")
    } else if any(&["credentials", "credential"]) {
        Some("it says that credentials are missing or wrong")
    } else if any(&["not found", "no such", "unknown"]) {
        Some("it says that something was not found")
    } else if any(&["timeout", "timed out", "refused", "unreachable", "no route", "dial", "resolve", "connection"]) {
        Some("it got no connection")
    } else {
        None
    }
}

async fn run(exec: &ExecConfig, limit: Duration) -> Result<Credential, String> {
    let typed = command_line(exec);
    let Some(program) = exec.command.as_deref().filter(|program| !program.is_empty()) else {
        return Err("the kubeconfig's exec plugin names no command".into());
    };
    if exec.interactive_mode == Some(ExecInteractiveMode::Always) {
        return Err(format!("the credential plugin wants a terminal; run `{typed}` in another one first"));
    }
    let mut command = TokioCommandWrap::with_new(program, |command| {
        command.args(exec.args.iter().flatten());
        for pair in exec.env.iter().flatten() {
            if let (Some(name), Some(value)) = (pair.get("name"), pair.get("value")) {
                command.env(name, value);
            }
        }
        for name in exec.drop_env.iter().flatten() {
            command.env_remove(name);
        }
        let mut spec = serde_json::json!({"interactive": false});
        if exec.provide_cluster_info {
            spec["cluster"] = serde_json::to_value(&exec.cluster).unwrap_or_default();
        }
        let info = serde_json::json!({"kind": "ExecCredential", "apiVersion": exec.api_version, "spec": spec});
        command.env("KUBERNETES_EXEC_INFO", info.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    });
    // A session of its own: no controlling terminal to write on or to read from, and one group to end it by.
    #[cfg(unix)]
    command.wrap(ProcessSession);
    command.wrap(KillOnDrop);
    let mut child = command.spawn().map_err(|error| {
        let hint = exec.install_hint.as_deref().map(|hint| format!(" ({})", plain(hint))).unwrap_or_default();
        format!("the credential plugin {program:?} cannot be started: {}{hint}", crate::files::io_words(&error))
    })?;
    let group = Group::of(child.id());
    let (out, err) = (child.stdout().take(), child.stderr().take());
    let all = async { tokio::join!(Box::into_pin(child.wait()), capture(out), capture(err)) };
    let Ok((status, out, err)) = tokio::time::timeout(limit, all).await else {
        drop(group);
        return Err(format!(
            "the credential plugin gave nothing within {} s and was stopped; run `{typed}` to log in",
            limit.as_secs_f32()
        ));
    };
    let status = status.map_err(|error| format!("the credential plugin {program:?} was lost: {error}"))?;
    if !status.success() {
        let meant = meaning(&String::from_utf8_lossy(&err)).map(|meant| format!("; {meant}")).unwrap_or_default();
        return Err(format!("the credential plugin failed ({status}{meant}); run `{typed}` to log in"));
    }
    parse(&out)
        .ok_or_else(|| format!("the credential plugin printed no usable ExecCredential; run `{typed}` to see why"))
}

async fn capture(stream: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        let mut limited = stream.take(OUTPUT_LIMIT);
        // A broken pipe leaves what came before it; the exit status tells the rest.
        let _ = limited.read_to_end(&mut bytes).await;
    }
    bytes
}

/// The process groups of the plugins that run now.
static RUNNING: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// A plugin's process group, with what the plugin started: ended when this goes, and by [`end_all`].
pub(in crate::client) struct Group(Option<i32>);

impl Group {
    pub(in crate::client) fn of(leader: Option<u32>) -> Self {
        let leader = leader.and_then(|leader| i32::try_from(leader).ok());
        if let Some(leader) = leader {
            RUNNING.lock().unwrap_or_else(PoisonError::into_inner).insert(leader);
        }
        Self(leader)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let Some(leader) = self.0 else { return };
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).remove(&leader);
        end(leader);
    }
}

/// Ends every credential plugin and every notification's command that still runs: called when the process ends, which drops nothing.
pub fn end_all() {
    let running = std::mem::take(&mut *RUNNING.lock().unwrap_or_else(PoisonError::into_inner));
    running.into_iter().for_each(end);
}

#[cfg(unix)]
fn end(leader: i32) {
    if let Some(group) = rustix::process::Pid::from_raw(leader) {
        // Gone already, most often.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}

#[cfg(not(unix))]
fn end(_: i32) {}

fn parse(out: &[u8]) -> Option<Credential> {
    #[derive(Deserialize)]
    struct Answer {
        status: Status,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Status {
        expiration_timestamp: Option<Timestamp>,
        token: Option<String>,
        client_certificate_data: Option<String>,
        client_key_data: Option<String>,
    }
    let text = std::str::from_utf8(out).ok()?;
    let answer: Answer = serde_json::from_str(text).ok().or_else(|| serde_saphyr::from_str(text).ok())?;
    let status = answer.status;
    let certificate = status.client_certificate_data.zip(status.client_key_data);
    let token = status.token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
    (token.is_some() || certificate.is_some()).then_some(Credential {
        token,
        certificate,
        expires: status.expiration_timestamp,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> ExecConfig {
        ExecConfig {
            command: Some("sh".into()),
            args: Some(vec!["-c".into(), script.into()]),
            api_version: Some("client.authentication.k8s.io/v1".into()),
            ..ExecConfig::default()
        }
    }

    #[tokio::test]
    async fn one_run_for_all_who_ask() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let count = dir.path().join("count");
        let exec =
            shell(&format!("echo x >> {}; sleep 0.1; echo '{{\"status\":{{\"token\":\"t\"}}}}'", count.display()));
        let plugins = Plugins::default();
        let runs = (0..5).map(|_| plugins.get(&exec, Duration::from_secs(5)));
        for credential in futures::future::join_all(runs).await {
            assert_eq!(credential.expect("a token").token.as_deref(), Some("t"));
        }
        plugins.get(&exec, Duration::from_secs(5)).await.map_err(|e| panic!("{e}")).ok();
        assert_eq!(std::fs::read_to_string(count).expect("counted").lines().count(), 1);
    }

    #[tokio::test]
    async fn a_hanging_plugin_is_stopped_with_its_children() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let alive = dir.path().join("alive");
        let exec = shell(&format!("(sleep 1; echo x > {}) ; sleep 60", alive.display()));
        let begun = std::time::Instant::now();
        let error = Plugins::default().get(&exec, Duration::from_millis(200)).await.map(|_| ()).expect_err("stopped");
        assert!(begun.elapsed() < Duration::from_secs(3));
        assert!(error.contains("run `sh -c"), "{error}");
        tokio::time::sleep(Duration::from_millis(1300)).await;
        assert!(!alive.exists(), "a child of the plugin lived on");
    }

    #[test]
    fn of_a_command_only_what_is_harmless_is_shown() {
        let line = |words: &[&str]| {
            let mut words = words.iter().map(|word| (*word).to_owned());
            command_line(&ExecConfig { command: words.next(), args: Some(words.collect()), ..ExecConfig::default() })
        };
        let cases: [(&[&str], &str); 10] = [
            (
                &["aws", "eks", "get-token", "--cluster-name", "prod", "--region", "eu-west-1"],
                "aws eks get-token --cluster-name prod --region eu-west-1",
            ),
            (
                &["kubelogin", "get-token", "--server-id=a-b", "--client-secret=S3CRET"],
                "kubelogin get-token --server-id=a-b --client-secret=***",
            ),
            (&["x", "-p", "S3CRET"], "x -p ***"),
            (&["x", "-pS3CRET"], "x ***"),
            (&["x", "Authorization: Bearer S3CRET"], "x ***"),
            (&["x", "S3CRET"], "x ***"),
            (&["x", "--password", "S3CRET"], "x --password ***"),
            (&["x", "--header=S3CRET"], "x --header=***"),
            (&["sh", "-c", "echo S3CRET"], "sh -c ***"),
            (&["x", "--cluster-name", "--password=S3CRET"], "x --cluster-name --password=***"),
        ];
        for (words, expected) in cases {
            assert_eq!(line(words), expected);
        }
    }

    /// A plugin has no terminal: it can neither write on the console nor take its keys.
    #[tokio::test]
    async fn a_plugin_has_a_session_of_its_own() {
        let exec = shell(
            "if (: > /dev/tty) 2>/dev/null; then exit 9; fi; echo '{\"status\":{\"token\":\"t\"}}'; ps -o sid= -p $$ | tr -d ' ' > /dev/null",
        );
        let got = Plugins::default().get(&exec, Duration::from_secs(5)).await;
        assert_eq!(got.expect("a token").token.as_deref(), Some("t"));
        let dir = tempfile::tempdir().expect("temporary directory");
        let file = dir.path().join("session");
        // Field 6 of /proc/PID/stat is the session, which is the process itself.
        let exec = shell(&format!("cut -d' ' -f1,6 /proc/self/stat > {0}; echo $$ >> {0}; exit 1", file.display()));
        let _ = Plugins::default().get(&exec, Duration::from_secs(5)).await;
        let text = std::fs::read_to_string(&file).expect("written");
        let mut numbers = text.split_whitespace();
        let (_, session, shell) = (numbers.next(), numbers.next(), numbers.next());
        assert!(session.is_some() && session == shell, "{text}");
    }

    /// The process ends while a plugin hangs: nothing of it is left behind.
    #[tokio::test]
    async fn plugins_end_with_us() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let alive = dir.path().join("alive");
        let exec = shell(&format!("(sleep 1; echo x > {}) & sleep 60", alive.display()));
        let plugins = Plugins::default();
        let run = plugins.get(&exec, Duration::from_secs(30));
        let _ = tokio::time::timeout(Duration::from_millis(300), run).await;
        end_all();
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        assert!(!alive.exists(), "a child of the plugin lived on");
    }

    #[tokio::test]
    async fn failures_say_the_command() {
        let exec = shell("echo noise >&2; echo 'token has expired' >&2; exit 3");
        let error = Plugins::default().get(&exec, Duration::from_secs(5)).await.map(|_| ()).expect_err("failed");
        assert!(error.contains("something has expired") && error.contains("run `sh -c ***`"), "{error}");
        // What a plugin says may hold what it was given.
        let exec = shell("echo 'bad password S3CRET' >&2; exit 3");
        let error = Plugins::default().get(&exec, Duration::from_secs(5)).await.map(|_| ()).expect_err("failed");
        assert!(!error.contains("S3CRET") && error.contains("exit status: 3"), "{error}");
        let missing = ExecConfig { command: Some("no-such-plugin-here".into()), ..ExecConfig::default() };
        let error = Plugins::default().get(&missing, Duration::from_secs(5)).await.map(|_| ()).expect_err("failed");
        assert!(error.contains("cannot be started"), "{error}");
        let terminal = ExecConfig { interactive_mode: Some(ExecInteractiveMode::Always), ..shell("exit 0") };
        let error = Plugins::default().get(&terminal, Duration::from_secs(5)).await.map(|_| ()).expect_err("failed");
        assert!(error.contains("wants a terminal"), "{error}");
    }
}
