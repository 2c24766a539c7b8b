//! Makes certificates with the user's own `cfssl`: its files written out, two fixed command lines, its answer read back.
//!
//! Configuration and requests go to a folder that the user names and stay there; they hold no secret. The CA's key is
//! needed by cfssl as a file: it lies in a private temporary folder as long as the command runs. No shell, a
//! deadline, and what comes out is never quoted. Not here: the built-in way ([`crate::client::certificates::signing`]).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::fs::Access;
use serde::Deserialize;
use serde_json::Value;
use tokio::io::AsyncReadExt as _;

use crate::client::certificates::signing::{self, Ask, Material};
use crate::client::plain;
use crate::files;
use crate::fleet::certificate_facts::Usage;
use crate::runbook::actions::openssl_commands;

const LIMIT: Duration = Duration::from_secs(30);
const OUTPUT_LIMIT: u64 = 1024 * 1024;
const INSTALL: &str = "install it (Debian: golang-cfssl), or take method builtin";

/// Why the user's own cfssl made nothing. `said`: its log, which holds names and file names and no key.
#[derive(Debug, thiserror::Error)]
pub enum CfsslError {
    /// A path goes to cfssl as an argument.
    #[error("{} is no text, which cfssl needs", .0.display())]
    NoText(PathBuf),
    #[error("{what} cannot be written: {}", files::io_words(.why))]
    NotWritten { what: String, why: std::io::Error },
    #[error("the CA's Secret has no key {0}")]
    LacksKey(&'static str),
    /// Not installed, or not to be executed.
    #[error("cfssl cannot be started ({}): {INSTALL}", files::io_words(.0))]
    NotStarted(std::io::Error),
    #[error("cfssl did not end within {} s", LIMIT.as_secs())]
    TooSlow,
    #[error("cfssl failed ({status}): {said}")]
    Failed { status: ExitStatus, said: String },
    /// It ended well, and its answer holds no certificate.
    #[error("cfssl gave no certificate; it said: {said}")]
    Unreadable { said: String },
    #[error("cfssl could not be waited for: {0}")]
    NotWaitedFor(std::io::Error),
}

/// The request of a certificate, or of a CA.
fn request(ask: &Ask<'_>, is_ca: bool) -> Value {
    match is_ca {
        true => openssl_commands::cfssl_authority(ask.common_name, ask.organization, ask.days),
        false => openssl_commands::cfssl_request(ask.common_name, ask.organization, ask.hosts),
    }
}

/// The profile for these uses.
fn profile(ask: &Ask<'_>) -> &'static str {
    openssl_commands::profile(ask.usages.contains(&Usage::Server), ask.usages.contains(&Usage::Client))
}

/// Why this machine could not sign with cfssl into this folder, as far as it shows without trying; one sentence.
pub fn unfit(folder: &Path) -> Option<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = std::env::split_paths(&path).map(|place| place.join("cfssl"));
    if !there.into_iter().any(|file| file.is_file() && rustix::fs::access(&file, Access::EXEC_OK).is_ok()) {
        return Some(format!("cfssl is not in the PATH of this machine: {INSTALL}"));
    }
    let files = files::unmakable(folder).map(|why| format!("the folder for cfssl's files cannot be used: {why}"));
    files.map(|why| format!("{why}; give another folder"))
}

/// A new CA. `secret` names its request's file.
pub async fn authority(ask: &Ask<'_>, folder: &Path, secret: &str) -> Result<Material, CfsslError> {
    let request = written(folder, &format!("{secret}.json"), &request(ask, true)).await?;
    let answer = cfssl(&["gencert".into(), "-initca".into(), text(&request)?]).await?;
    Ok(Material { ca: answer.cert.clone(), certificate: answer.cert, key: answer.key })
}

/// A new certificate. `values`: those of the CA's Secret.
pub async fn certificate(
    ask: &Ask<'_>,
    folder: &Path,
    secret: &str,
    values: &BTreeMap<String, Vec<u8>>,
) -> Result<Material, CfsslError> {
    let config = written(folder, "ca-config.json", &openssl_commands::cfssl_config(ask.days)).await?;
    let request = written(folder, &format!("{secret}.json"), &request(ask, false)).await?;
    let failed = |what: &str, why: std::io::Error| CfsslError::NotWritten { what: what.to_owned(), why };
    // 0700, and gone with this function.
    let private = tempfile::tempdir().map_err(|error| failed("a temporary folder", error))?;
    let mut files = Vec::new();
    for key in ["tls.crt", "tls.key"] {
        let value = values.get(key).ok_or(CfsslError::LacksKey(key))?;
        let file = private.path().join(key);
        store(&file, value).await.map_err(|error| failed("the CA for cfssl", error))?;
        files.push(text(&file)?);
    }
    let arguments = [
        "gencert".to_owned(),
        format!("-ca={}", files[0]),
        format!("-ca-key={}", files[1]),
        format!("-config={}", text(&config)?),
        format!("-profile={}", profile(ask)),
        text(&request)?,
    ];
    let answer = cfssl(&arguments).await?;
    Ok(Material { ca: signing::bundle(values, crate::client::now()), certificate: answer.cert, key: answer.key })
}

fn text(path: &Path) -> Result<String, CfsslError> {
    path.to_str().map(str::to_owned).ok_or_else(|| CfsslError::NoText(path.to_owned()))
}

/// A file for its owner alone, new or in the place of an older one.
async fn store(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use tokio::io::AsyncWriteExt as _;
    let mut options = tokio::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(file).await?;
    file.write_all(bytes).await?;
    file.flush().await
}

/// Writes one of the files that stay; the folder is made for its owner alone when it is not there.
async fn written(folder: &Path, name: &str, content: &Value) -> Result<PathBuf, CfsslError> {
    let file = folder.join(name);
    let refused = |why: std::io::Error| CfsslError::NotWritten { what: file.display().to_string(), why };
    tokio::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).await.map_err(refused)?;
    store(&file, format!("{content:#}\n").as_bytes()).await.map_err(refused)?;
    Ok(file)
}

#[derive(Deserialize)]
struct Output {
    cert: String,
    key: String,
}

async fn cfssl(arguments: &[String]) -> Result<Output, CfsslError> {
    let mut command = tokio::process::Command::new("cfssl");
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(CfsslError::NotStarted)?;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let all = async {
        let read = async |pipe: Option<tokio::process::ChildStdout>, into: &mut Vec<u8>| {
            if let Some(pipe) = pipe {
                let _ = pipe.take(OUTPUT_LIMIT).read_to_end(into).await;
            }
        };
        let read_errors = async |pipe: Option<tokio::process::ChildStderr>, into: &mut Vec<u8>| {
            if let Some(pipe) = pipe {
                let _ = pipe.take(OUTPUT_LIMIT).read_to_end(into).await;
            }
        };
        let ((), (), status) = tokio::join!(read(stdout, &mut out), read_errors(stderr, &mut err), child.wait());
        status
    };
    let status = tokio::time::timeout(LIMIT, all).await;
    let status = status.map_err(|_| CfsslError::TooSlow)?;
    // Its log goes to stderr: names and file names, and never what a key holds.
    let said = plain(&String::from_utf8_lossy(&err));
    match status {
        Ok(status) if status.success() => serde_json::from_slice(&out).map_err(|_| CfsslError::Unreadable { said }),
        Ok(status) => Err(CfsslError::Failed { status, said }),
        Err(error) => Err(CfsslError::NotWaitedFor(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;
    use crate::client::certificates::signing;
    use crate::client::{certificates, now};
    use crate::fleet::tidbcluster::Component;
    use crate::fleet::tls::{Asked, authority_troubles, troubles, wanted};

    fn ask<'a>(hosts: &'a [String], usages: BTreeSet<Usage>, days: u32) -> Ask<'a> {
        Ask { common_name: "TiDB", organization: Some("PingCAP"), hosts, usages, days }
    }

    /// The real program; where it is not installed the test says so, and in CI that is a failure.
    fn installed() -> bool {
        let there = std::process::Command::new("cfssl").arg("version").output().is_ok();
        assert!(there || std::env::var("CI").is_err(), "cfssl is missing (Debian: golang-cfssl)");
        if !there {
            eprintln!("left out: cfssl is not installed");
        }
        there
    }

    #[tokio::test]
    async fn the_real_cfssl_makes_what_is_wanted_and_both_ways_mix() {
        if !installed() {
            return;
        }
        let room = tempfile::tempdir().expect("a room");
        let folder = room.path().join("cfssl");
        let ca = authority(&ask(&[], BTreeSet::new(), 3650), &folder, "basic-ca-secret").await.expect("a CA");
        let facts = certificates::facts(&ca.values());
        assert_eq!(authority_troubles("ca", &facts, now()), Vec::new());
        let years = facts.certificate.as_ref().expect("one").not_after.duration_since(now()).as_hours() / 24 / 365;
        assert_eq!(years, 9, "3650 days less a moment");
        let built_in = signing::authority(&ask(&[], BTreeSet::new(), 3650), now()).expect("a CA");
        let asked = Asked {
            name: "basic",
            namespace: "db",
            domain: Some("a.com"),
            common_name: Some("TiDB"),
            components: vec![Component::Pd],
            mysql: true,
        };
        for wanted in wanted(&asked) {
            let hosts = wanted.hosts();
            let ask = ask(&hosts, wanted.usages.clone(), 365);
            let by_cfssl = certificate(&ask, &folder, &wanted.secret, &ca.values()).await.expect("signed");
            // Each signs with the other's CA: keys and names are read whoever wrote them.
            let crossed = certificate(&ask, &folder, &wanted.secret, &built_in.values()).await.expect("signed");
            let back = signing::certificate(&ask, "ca", &ca.values(), now()).expect("signed");
            for made in [by_cfssl, crossed, back] {
                assert_eq!(troubles(&wanted, &certificates::facts(&made.values()), now()), Vec::new());
            }
        }
        // What is left lying there is for the owner alone and holds no key.
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&folder).expect("the folder").flatten() {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = entry.metadata().expect("a file").permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{entry:?}");
            assert!(!std::fs::read_to_string(entry.path()).expect("text").contains("PRIVATE"));
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
        assert!(names.contains(&"ca-config.json".into()) && names.contains(&"basic-pd-cluster-secret.json".into()));
    }

    #[test]
    fn the_files_are_those_of_the_documents() {
        let hosts = ["127.0.0.1".to_owned(), "*.basic-pd-peer".to_owned()];
        let both = ask(&hosts, [Usage::Server, Usage::Client].into(), 365);
        assert_eq!(profile(&both), "internal");
        assert_eq!(request(&both, false)["hosts"], json!(hosts));
        assert_eq!(profile(&ask(&[], [Usage::Client].into(), 365)), "client");
        let config = openssl_commands::cfssl_config(365);
        assert_eq!(config["signing"]["profiles"]["client"]["expiry"], "8760h");
        let usages = json!(["signing", "key encipherment", "server auth", "client auth"]);
        assert_eq!(config["signing"]["profiles"]["internal"]["usages"], usages);
        let ca = request(&ask(&[], BTreeSet::new(), 3650), true);
        assert_eq!(ca["ca"]["expiry"], "87600h");
        assert_eq!(ca["names"], json!([{"C": "US", "L": "CA", "ST": "Beijing", "O": "PingCAP", "OU": "TiDB"}]));
        assert_eq!(request(&both, false)["names"], json!([{"O": "PingCAP"}]));
    }
}
