//! Kubeconfig files: read with a bound, merged as kubectl merges them, and nothing of what is hidden kept quiet.
//!
//! One [`Entry`] for each context, with its cluster and its user found once: whoever connects copies what one context
//! needs, not the whole file. A fault in a file is told by its place and its kind, never by its text, which holds
//! tokens. Not here: which contexts are chosen ([`crate::client::kube::context_selection`]), how they are connected ([`crate::client::wire::link`]).

mod merging;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use kube::config::{AuthInfo, Cluster, Context, Kubeconfig, NamedAuthInfo, NamedCluster, NamedContext};

use serde_json::Value;

use self::merging::{each_for_itself, first_wins, short};
use crate::client::kube::connect_error::ConnectError;
use crate::client::plain;
use crate::files::{Allowed, CREDENTIAL_LIMIT, FileError, KUBECONFIG_LIMIT, read as read_file};

/// Which rule made several files one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) enum Merge {
    /// `$KUBECONFIG` (and one single file): the first file that has a name wins, for contexts, clusters and users alike.
    FirstWins,
    /// `--kubeconfig` given more than once: each file stands for itself, and a name in several is told apart by its file.
    EachForItself,
}

/// One context with everything that its kubeconfig says of it.
#[derive(Clone, Debug)]
pub(in crate::client) struct Entry {
    pub name: String,
    pub file: PathBuf,
    pub context: Context,
    /// `None`: the context names a cluster that no file has.
    pub cluster: Option<Arc<Cluster>>,
    pub user: Option<Arc<AuthInfo>>,
    /// What may lie behind refused credentials or a strange server: its cluster or its user comes from another file.
    pub mixed: Option<String>,
    /// Why nothing connects to it: another file's context of the same name counts.
    pub hidden: Option<String>,
}

impl Entry {
    /// A kubeconfig of this context alone, with this user's entry.
    pub fn alone(&self, user: Option<&AuthInfo>) -> Kubeconfig {
        let cluster = self.cluster.as_deref().map(|cluster| NamedCluster {
            name: self.context.cluster.clone(),
            cluster: Some(cluster.clone()),
            ..NamedCluster::default()
        });
        let user = self.context.user.as_ref().zip(user).map(|(name, user)| NamedAuthInfo {
            name: name.clone(),
            auth_info: Some(user.clone()),
            ..NamedAuthInfo::default()
        });
        let context =
            NamedContext { name: self.name.clone(), context: Some(self.context.clone()), ..NamedContext::default() };
        Kubeconfig {
            clusters: cluster.into_iter().collect(),
            auth_infos: user.into_iter().collect(),
            contexts: vec![context],
            ..Kubeconfig::default()
        }
    }

    /// The cluster's entry for another kubeconfig; a CA that lies in a file goes into it. `Err`: one sentence.
    pub fn cluster_alone(&self) -> Result<Value, String> {
        let mut own = self.cluster.as_deref().cloned().ok_or_else(|| format!("{} names no cluster", self.name))?;
        if let Some(file) = own.certificate_authority.take().filter(|file| !file.is_empty()) {
            let read = read_file(Path::new(&file), Allowed::Plain, CREDENTIAL_LIMIT);
            own.certificate_authority_data = Some(BASE64_STANDARD.encode(read.map_err(|error| error.to_string())?));
        }
        serde_json::to_value(own).map_err(|error| error.to_string())
    }

    /// The user's entry as its file has it now: a token may have been renewed since.
    pub fn user_now(&self) -> Option<Arc<AuthInfo>> {
        let name = self.context.user.as_ref()?;
        let now = read_one(&self.file, Allowed::Plain).ok()?;
        let found = now.auth_infos.into_iter().find(|user| user.name == *name)?;
        found.auth_info.map(Arc::new)
    }
}

/// Every context of the files, in their order. A file of `$KUBECONFIG` that does not exist is passed over, as kubectl
/// does; one that was `given` is not.
pub(in crate::client) fn load(
    files: &[PathBuf],
    given: bool,
    merge: Merge,
    looked: &str,
) -> Result<Vec<Entry>, ConnectError> {
    let mut read: Vec<(PathBuf, Kubeconfig)> = Vec::new();
    for file in files {
        let allowed = if given { Allowed::PlainOrPipe } else { Allowed::Plain };
        match read_one(file, allowed) {
            Ok(one) => read.push((file.clone(), one)),
            Err(Fault::File(FileError::Missing(_))) if !given => {}
            Err(fault) => {
                return Err(ConnectError::Unreadable { file: file.clone(), why: fault.without(file) });
            }
        }
    }
    if read.is_empty() {
        let looked = if looked.is_empty() { "~/.kube/config" } else { looked };
        return Err(ConnectError::NoFile { looked: looked.into() });
    }
    let mut entries = match merge {
        Merge::FirstWins => first_wins(read),
        Merge::EachForItself => each_for_itself(read),
    };
    nameless(&mut entries);
    Ok(entries)
}

/// A context without a name cannot be told from others, nor named on a command line: it is shown, and nothing connects.
fn nameless(entries: &mut [Entry]) {
    for entry in entries.iter_mut().filter(|entry| entry.name.trim().is_empty()) {
        entry.name = format!("(no name)@{}", short(&entry.file));
        let hidden = format!(
            "a context of {} has no name: give it one, for instance with kubectl config rename-context",
            entry.file.display()
        );
        entry.hidden = Some(hidden);
    }
}

/// A fault of one file.
#[derive(Debug, thiserror::Error)]
pub(in crate::client) enum Fault {
    #[error("{0}")]
    File(#[from] FileError),
    #[error("it is not UTF-8 (nor UTF-16 with a byte order mark)")]
    NotText,
    #[error("line {line}, column {column}: {reason}")]
    NotYaml { line: u64, column: u64, reason: String },
}

impl Fault {
    /// The fault without the file's name, which stands before it.
    fn without(&self, file: &Path) -> String {
        let said = self.to_string();
        let name = file.display().to_string();
        let rest = said.strip_prefix(&name).map(|rest| rest.trim_start_matches(" cannot be read: ").trim_start());
        plain(rest.unwrap_or(&said))
    }
}

fn read_one(file: &Path, allowed: Allowed) -> Result<Kubeconfig, Fault> {
    parse(read_file(file, allowed, KUBECONFIG_LIMIT)?, file)
}

/// What a file says, from its bytes. `file`: paths in it are relative to its folder.
pub(in crate::client) fn parse(bytes: Vec<u8>, file: &Path) -> Result<Kubeconfig, Fault> {
    let text = text(bytes).ok_or(Fault::NotText)?;
    let documents: Vec<Kubeconfig> = serde_saphyr::from_multiple(&text).map_err(|error| not_yaml(&error))?;
    let mut one = Kubeconfig::default();
    for mut document in documents {
        absolute(&mut document, file);
        // Of two entries of one name the first counts, as kubectl counts those of two files.
        one.clusters.append(&mut document.clusters);
        one.auth_infos.append(&mut document.auth_infos);
        one.contexts.append(&mut document.contexts);
    }
    Ok(one)
}

fn text(bytes: Vec<u8>) -> Option<String> {
    let wide = |from: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes[2..].chunks_exact(2).map(|pair| from([pair[0], pair[1]])).collect();
        String::from_utf16(&units).ok()
    };
    match bytes.as_slice() {
        [0xFF, 0xFE, ..] => wide(u16::from_le_bytes),
        [0xFE, 0xFF, ..] => wide(u16::from_be_bytes),
        [0xEF, 0xBB, 0xBF, rest @ ..] => String::from_utf8(rest.to_vec()).ok(),
        _ => String::from_utf8(bytes).ok(),
    }
}

/// Place and kind of a fault. The parser's own words quote the text around it, which may be a token.
fn not_yaml(error: &serde_saphyr::Error) -> Fault {
    use serde_saphyr::Error;
    let reason = match error.without_snippet() {
        Error::SerdeInvalidType { expected, .. } | Error::SerdeInvalidValue { expected, .. } => {
            format!("another kind of value than a kubeconfig has there; expected {expected}")
        }
        Error::SerdeMissingField { field, .. } => format!("the field {field:?} is missing"),
        Error::DuplicateMappingKey { .. } => "a key stands there a second time".into(),
        Error::Budget { .. } => "it is too large or too deeply nested".into(),
        _ => "what stands there is not YAML (indent, quotes, tabs?)".into(),
    };
    let at = error.location();
    Fault::NotYaml { line: at.map_or(0, |at| at.line()), column: at.map_or(0, |at| at.column()), reason }
}

/// Paths in a kubeconfig are relative to its folder; a command only where it has a slash.
fn absolute(config: &mut Kubeconfig, file: &Path) {
    let Some(folder) = file.parent().map(|folder| std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned()))
    else {
        return;
    };
    let mend = |path: &mut Option<String>| {
        if let Some(text) = path.as_mut().filter(|text| !text.is_empty() && Path::new(text.as_str()).is_relative()) {
            *text = folder.join(&*text).display().to_string();
        }
    };
    for cluster in config.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
        mend(&mut cluster.certificate_authority);
    }
    for user in config.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut()) {
        mend(&mut user.client_certificate);
        mend(&mut user.client_key);
        mend(&mut user.token_file);
        if let Some(exec) = user
            .exec
            .as_mut()
            .filter(|exec| exec.command.as_deref().is_some_and(|command| command.contains(std::path::MAIN_SEPARATOR)))
        {
            mend(&mut exec.command);
        }
    }
}

/// Why no credentials, or none that can be right, are sent with a context.
fn unfit_user(context: &str, name: &str, user: Option<&AuthInfo>) -> Option<String> {
    if name.is_empty() {
        return Some(format!("context {context:?} names no user, so no credentials were sent"));
    }
    let Some(user) = user else {
        return Some(format!(
            "context {context:?} names user {name:?}, which the kubeconfig does not have, so no credentials were sent"
        ));
    };
    let written = serde_json::to_value(user).unwrap_or_default();
    let fields = written.as_object()?;
    let empty = |value: &serde_json::Value| value.is_null() || value.as_str() == Some("");
    if fields.values().all(empty) {
        return Some(format!(
            "user {name:?} has no token, certificate or credential plugin in the kubeconfig, so no credentials were sent"
        ));
    }
    let token = fields.get("token").and_then(serde_json::Value::as_str).unwrap_or_default();
    token.starts_with("Bearer ").then(|| {
        format!("the token of user {name:?} begins with \"Bearer \", which belongs to the header: leave it out")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(all: &[(&str, &str)]) -> (tempfile::TempDir, Vec<PathBuf>) {
        let dir = tempfile::tempdir().expect("temporary directory");
        let paths = all.iter().map(|(name, text)| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).expect("written");
            path
        });
        let paths = paths.collect();
        (dir, paths)
    }

    fn config(context: &str, cluster: &str, server: &str, user: &str, token: &str) -> String {
        serde_json::json!({
            "apiVersion": "v1", "kind": "Config",
            "clusters": [{"name": cluster, "cluster": {"server": server}}],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": context, "context": {"cluster": cluster, "user": user}}],
        })
        .to_string()
    }

    fn loaded(paths: &[PathBuf], merge: Merge) -> Vec<Entry> {
        load(paths, false, merge, "").expect("they can be read")
    }

    fn server(entry: &Entry) -> String {
        entry.cluster.as_ref().and_then(|cluster| cluster.server.clone()).unwrap_or_default()
    }

    #[test]
    fn a_context_that_is_hidden_is_told_with_both_files() {
        let one = config("default", "default", "https://one", "default", "a");
        let two = config("default", "default", "https://two", "default", "b");
        let (_dir, paths) = files(&[("k1", &one), ("k2", &two)]);
        let entries = loaded(&paths, Merge::FirstWins);
        assert_eq!(entries.iter().map(|e| e.name.as_str()).collect::<Vec<_>>(), ["default", "default@k2"]);
        assert_eq!((server(&entries[0]).as_str(), &entries[0].hidden), ("https://one", &None));
        let hidden = entries[1].hidden.as_deref().expect("it is hidden");
        assert!(hidden.contains("k1") && hidden.contains("k2") && hidden.contains("--kubeconfig"), "{hidden}");
        // The same file twice, or the same server under one name, hides nothing.
        assert_eq!(loaded(&[paths[0].clone(), paths[0].clone()], Merge::FirstWins).len(), 1);
    }

    #[test]
    fn files_that_are_given_each_stand_for_themselves() {
        let one = config("default", "default", "https://one", "default", "a");
        let two = config("default", "default", "https://two", "default", "b");
        let three = config("other", "default", "https://three", "default", "c");
        let (_dir, paths) = files(&[("k1", &one), ("k2", &two), ("k3", &three)]);
        let entries = loaded(&paths, Merge::EachForItself);
        let told: Vec<(&str, String)> = entries.iter().map(|e| (e.name.as_str(), server(e))).collect();
        assert_eq!(
            told,
            [
                ("default@k1", "https://one".into()),
                ("default@k2", "https://two".into()),
                ("other", "https://three".into())
            ]
        );
        assert!(entries.iter().all(|entry| entry.hidden.is_none() && entry.mixed.is_none()));
    }

    #[test]
    fn what_lies_behind_refused_credentials_is_told() {
        let user = |user: serde_json::Value| serde_json::from_value::<AuthInfo>(user).expect("a user");
        let told = |name: &str, found: Option<AuthInfo>| unfit_user("east", name, found.as_ref());
        for (name, found, part) in [
            ("", None, "names no user"),
            ("nobody", None, "user \"nobody\", which the kubeconfig does not have"),
            ("u", Some(user(serde_json::json!({}))), "has no token, certificate or credential plugin"),
            ("u", Some(user(serde_json::json!({"token": ""}))), "has no token"),
            ("u", Some(user(serde_json::json!({"token": "Bearer abc"}))), "begins with"),
        ] {
            let said = told(name, found).expect("told");
            assert!(said.contains(part), "{said}");
        }
        for fit in [
            serde_json::json!({"token": "abc"}),
            serde_json::json!({"tokenFile": "/t"}),
            serde_json::json!({"client-certificate": "/c", "client-key": "/k"}),
            serde_json::json!({"exec": {"command": "x", "apiVersion": "client.authentication.k8s.io/v1"}}),
        ] {
            assert_eq!(told("u", Some(user(fit))), None);
        }
    }

    #[test]
    fn a_user_or_cluster_of_another_file_is_told() {
        let one = config("a", "ca", "https://one", "kubernetes-admin", "a");
        let two = config("b", "cb", "https://two", "kubernetes-admin", "b");
        let (_dir, paths) = files(&[("k1", &one), ("k2", &two)]);
        let entries = loaded(&paths, Merge::FirstWins);
        for entry in &entries {
            let mixed = entry.mixed.as_deref().expect("the user is in both");
            assert!(
                mixed.contains("user \"kubernetes-admin\"") && mixed.contains("k1") && mixed.contains("k2"),
                "{mixed}"
            );
        }
        let two = config("b", "ca", "https://two", "other", "b");
        let (_dir, paths) = files(&[("k1", &one), ("k2", &two)]);
        let entries = loaded(&paths, Merge::FirstWins);
        assert_eq!(server(&entries[1]), "https://one");
        assert!(entries[1].mixed.as_deref().is_some_and(|mixed| mixed.contains("cluster \"ca\"")));
    }

    #[test]
    fn a_fault_is_told_without_the_text_around_it() {
        let faults = [
            "users:\n- name: a\n  user:\n    token: S3CRET\n   password: S3CRET\n",
            "users:\n- name: a\n  user: {token: \"S3CRET}\n",
            "users:\n- name: a\n  user:\n    token: [S3CRET]\n",
            "users:\n- name: a\n  user:\n    token: {S3CRET: x}\n",
            "users:\n- name: a\n  user: S3CRET\n",
            "users: S3CRET\n",
            "contexts:\n- name: a\n  context: S3CRET\n",
            "users:\n- name: a\n  user:\n    exec:\n      env: S3CRET\n",
            "users:\n- name: a\n  user:\n    exec:\n      args: {S3CRET: S3CRET}\n",
            "users:\n- name: a\n  user:\n    token: &a *S3CRET\n",
            "users:\n- name: a\n  user:\n    token: !S3CRET\n",
            "S3CRET\n",
            "\tS3CRET: x\n",
            "users:\n- name: a\n  user:\n    token: S3CRET\n    token: S3CRET\n  bad indent\n",
            "\u{0}S3CRET",
        ];
        for text in faults {
            let (_dir, paths) = files(&[("k", text)]);
            match load(&paths, true, Merge::FirstWins, "") {
                Ok(_) => {}
                Err(error) => {
                    let said = error.to_string();
                    assert!(!said.contains("S3CRET"), "{text:?} → {said}");
                    assert!(said.contains("line "), "{text:?} → {said}");
                }
            }
        }
        let (_dir, paths) = files(&[("k", faults[0])]);
        let said = load(&paths, true, Merge::FirstWins, "").expect_err("its indent is wrong").to_string();
        assert!(said.contains("line 5"), "{said}");
    }

    #[test]
    fn byte_order_marks_and_wide_text() {
        let plain = config("a", "c", "https://one", "u", "t");
        let wide: Vec<u8> = [0xFF, 0xFE].into_iter().chain(plain.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        assert_eq!(text(wide).as_deref(), Some(plain.as_str()));
        assert_eq!(text(format!("\u{FEFF}{plain}").into_bytes()).as_deref(), Some(plain.as_str()));
    }
}
