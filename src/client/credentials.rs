//! Exec credential plugins: run once per distinct command, without a terminal, with a deadline, cached to expiry.
//!
//! kube would run them itself: three times, on the calling thread, without a deadline and with our terminal as
//! their stdin and stderr. So it never gets to see them; [`super::link`] feeds it what came out. Tokens,
//! token files, certificates and passwords of a kubeconfig need no code here.

use std::collections::{BTreeMap, HashMap};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use jiff::{SignedDuration, Timestamp};
use kube::config::{ExecConfig, ExecInteractiveMode};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::{now, plain};
use crate::runbook::requests::quote;

/// How long a failure is believed before the plugin is tried again.
const FAILURE_KEPT: SignedDuration = SignedDuration::from_secs(30);
/// A credential is renewed this long before it expires.
const MARGIN: SignedDuration = SignedDuration::from_secs(20);
const OUTPUT_LIMIT: u64 = 1024 * 1024;

/// What a plugin gave. Never printed.
#[derive(Clone)]
pub(super) struct Credential {
    pub token: Option<String>,
    /// Certificate and key, PEM.
    pub certificate: Option<(String, String)>,
    pub expires: Option<Timestamp>,
}

type Run = Shared<BoxFuture<'static, Result<Credential, String>>>;

/// The plugins of one set of links.
#[derive(Clone, Default)]
pub(super) struct Plugins(Arc<Mutex<HashMap<String, (Run, Timestamp)>>>);

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

/// The command as a person would type it, with what looks like a secret left out: it is shown, and kept in journals.
pub(super) fn command_line(exec: &ExecConfig) -> String {
    let secret = |word: &str| {
        let word = word.to_ascii_lowercase();
        word.starts_with('-') && ["secret", "token", "password", "passwd", "key"].iter().any(|w| word.contains(w))
    };
    let mut hide_next = false;
    let words = exec.command.iter().chain(exec.args.iter().flatten()).map(|word| {
        let hide = std::mem::replace(&mut hide_next, secret(word) && !word.contains('='));
        match word.split_once('=') {
            _ if hide => "***".to_owned(),
            Some((name, _)) if secret(name) => format!("{name}=***"),
            Some(_) | None => quote(word),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

async fn run(exec: &ExecConfig, limit: Duration) -> Result<Credential, String> {
    let typed = command_line(exec);
    let Some(program) = exec.command.as_deref().filter(|program| !program.is_empty()) else {
        return Err("the kubeconfig's exec plugin names no command".into());
    };
    if exec.interactive_mode == Some(ExecInteractiveMode::Always) {
        return Err(format!("the credential plugin wants a terminal; run `{typed}` in another one first"));
    }
    let mut command = tokio::process::Command::new(program);
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
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    // Its own process group: what it starts can be stopped with it, and it cannot read our terminal.
    #[cfg(unix)]
    command.process_group(0);
    let mut child = command.spawn().map_err(|error| {
        let hint = exec.install_hint.as_deref().map(|hint| format!(" ({})", plain(hint))).unwrap_or_default();
        format!("the credential plugin {program:?} cannot be started: {error}{hint}")
    })?;
    let group = child.id();
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let all = async { tokio::join!(child.wait(), capture(out), capture(err)) };
    let Ok((status, out, err)) = tokio::time::timeout(limit, all).await else {
        stop_group(group).await;
        return Err(format!(
            "the credential plugin gave nothing within {} s and was stopped; run `{typed}` to log in",
            limit.as_secs_f32()
        ));
    };
    let status = status.map_err(|error| format!("the credential plugin {program:?} was lost: {error}"))?;
    if !status.success() {
        let last = String::from_utf8_lossy(&err).lines().rfind(|line| !line.trim().is_empty()).map(plain);
        let why = last.unwrap_or_else(|| status.to_string());
        return Err(format!("the credential plugin failed ({why}); run `{typed}` to log in"));
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

/// `kill_on_drop` ends the plugin itself; this ends what the plugin started.
async fn stop_group(group: Option<u32>) {
    let Some(group) = group else { return };
    let mut kill = tokio::process::Command::new("kill");
    kill.args(["-KILL", "--", &format!("-{group}")]);
    kill.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let _ = tokio::time::timeout(Duration::from_secs(1), kill.status()).await;
}

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

    #[tokio::test]
    async fn failures_say_the_command() {
        let exec = shell("echo noise >&2; echo 'token has expired' >&2; exit 3");
        let error = Plugins::default().get(&exec, Duration::from_secs(5)).await.map(|_| ()).expect_err("failed");
        assert!(error.contains("(token has expired)") && error.contains("run `sh -c"), "{error}");
        let missing = ExecConfig { command: Some("no-such-plugin-here".into()), ..ExecConfig::default() };
        let error = Plugins::default().get(&missing, Duration::from_secs(5)).await.map(|_| ()).expect_err("failed");
        assert!(error.contains("cannot be started"), "{error}");
        let terminal = ExecConfig { interactive_mode: Some(ExecInteractiveMode::Always), ..shell("exit 0") };
        let error = Plugins::default().get(&terminal, Duration::from_secs(5)).await.map(|_| ()).expect_err("failed");
        assert!(error.contains("wants a terminal"), "{error}");
    }
}
