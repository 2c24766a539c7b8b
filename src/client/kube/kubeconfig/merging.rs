//! Several files become one list of contexts: as kubectl merges them, or each file for itself.

use super::Entry;
use super::unfit_user;
use kube::config::{AuthInfo, Cluster, Kubeconfig};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

type ByName<T> = HashMap<String, (usize, Arc<T>)>;

#[expect(clippy::too_many_lines, reason = "one pass over one file, in the order in which kubectl decides")]
pub(super) fn first_wins(read: Vec<(PathBuf, Kubeconfig)>) -> Vec<Entry> {
    let mut clusters: ByName<Cluster> = HashMap::new();
    let mut users: ByName<AuthInfo> = HashMap::new();
    // Names that another file has as well, with other content: which file's counts, and which was meant to.
    let mut doubled: BTreeMap<(&'static str, String), (usize, Vec<usize>)> = BTreeMap::new();
    for (at, (_, config)) in read.iter().enumerate() {
        for named in &config.clusters {
            let Some(cluster) = &named.cluster else { continue };
            keep(&mut clusters, &mut doubled, "cluster", &named.name, at, cluster);
        }
        for named in &config.auth_infos {
            let Some(user) = &named.auth_info else { continue };
            keep(&mut users, &mut doubled, "user", &named.name, at, user);
        }
    }
    let files: Vec<PathBuf> = read.iter().map(|(file, _)| file.clone()).collect();
    let mixed = |kind: &'static str, name: &str| {
        let (first, others) = doubled.get(&(kind, name.to_owned()))?;
        if others.iter().all(|other| other == first) {
            return Some(format!(
                "{kind} {name:?} is defined twice, differently, in {}: the first one counts (kubectl refuses such a file)",
                files[*first].display()
            ));
        }
        let others: Vec<String> = others.iter().map(|at| files[*at].display().to_string()).collect();
        Some(format!(
            "{kind} {name:?} is defined in {} and, differently, in {}: the first one counts",
            files[*first].display(),
            others.join(", ")
        ))
    };
    let mut entries: Vec<Entry> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    for (file, config) in &read {
        for named in &config.contexts {
            let context = named.context.clone().unwrap_or_default();
            let user = context.user.clone().unwrap_or_default();
            let bare = unfit_user(&named.name, &user, users.get(&user).map(|(_, user)| &**user));
            let told = [mixed("cluster", &context.cluster), mixed("user", &user), bare];
            let told: Vec<String> = told.into_iter().flatten().collect();
            let entry = Entry {
                name: named.name.clone(),
                file: file.clone(),
                cluster: clusters.get(&context.cluster).map(|(_, cluster)| Arc::clone(cluster)),
                user: users.get(&user).map(|(_, user)| Arc::clone(user)),
                mixed: (!told.is_empty()).then(|| told.join("; ")),
                hidden: None,
                context,
            };
            match known.get(&named.name) {
                None => {
                    known.insert(named.name.clone(), entries.len());
                    entries.push(entry);
                }
                Some(first) => {
                    let first = &entries[*first];
                    let own = own(&read, file, &entry);
                    if !same(first, &own) {
                        let name = free_name(&format!("{}@{}", named.name, short(file)), &known);
                        let hidden = format!(
                            "hidden: context {:?} of {} has the name of one in {}, which counts (kubectl does the same); \
                             rename one of them, or give both files with --kubeconfig",
                            named.name,
                            file.display(),
                            first.file.display()
                        );
                        known.insert(name.clone(), entries.len());
                        entries.push(Entry { name, hidden: Some(hidden), ..own });
                    }
                }
            }
        }
    }
    entries
}

fn keep<T: Clone + serde::Serialize>(
    kept: &mut ByName<T>,
    doubled: &mut BTreeMap<(&'static str, String), (usize, Vec<usize>)>,
    kind: &'static str,
    name: &str,
    at: usize,
    found: &T,
) {
    match kept.get(name) {
        None => {
            kept.insert(name.to_owned(), (at, Arc::new(found.clone())));
        }
        Some((first, known)) => {
            let bytes = |one: &T| serde_json::to_value(one).unwrap_or_default();
            if bytes(known) != bytes(found) {
                doubled.entry((kind, name.to_owned())).or_insert_with(|| (*first, Vec::new())).1.push(at);
            }
        }
    }
}

/// The same context with the cluster and the user that stand in its own file.
fn own(read: &[(PathBuf, Kubeconfig)], file: &Path, entry: &Entry) -> Entry {
    let config = read.iter().find(|(other, _)| other == file).map(|(_, config)| config);
    let cluster = config.and_then(|config| config.clusters.iter().find(|named| named.name == entry.context.cluster));
    let user = config
        .and_then(|config| config.auth_infos.iter().find(|named| Some(&named.name) == entry.context.user.as_ref()));
    Entry {
        cluster: cluster.and_then(|named| named.cluster.clone()).map(Arc::new).or_else(|| entry.cluster.clone()),
        user: user.and_then(|named| named.auth_info.clone()).map(Arc::new).or_else(|| entry.user.clone()),
        ..entry.clone()
    }
}

/// Whether two contexts of one name lead to the same server: then nothing is hidden.
fn same(one: &Entry, other: &Entry) -> bool {
    let server = |entry: &Entry| entry.cluster.as_ref().and_then(|cluster| cluster.server.clone());
    server(one) == server(other)
}

pub(super) fn each_for_itself(read: Vec<(PathBuf, Kubeconfig)>) -> Vec<Entry> {
    let mut count: HashMap<String, usize> = HashMap::new();
    for (_, config) in &read {
        let mut names: Vec<&str> = config.contexts.iter().map(|named| named.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            *count.entry(name.to_owned()).or_default() += 1;
        }
    }
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut entries: Vec<Entry> = Vec::new();
    for (file, config) in read {
        for mut entry in first_wins(vec![(file.clone(), config)]) {
            if count.get(&entry.name).is_some_and(|files| *files > 1) {
                entry.name = format!("{}@{}", entry.name, short(&file));
            }
            entry.name = free_name(&entry.name, &known);
            known.insert(entry.name.clone(), entries.len());
            entries.push(entry);
        }
    }
    entries
}

/// The file's name; enough to tell files apart at a glance.
pub(super) fn short(file: &Path) -> String {
    file.file_name().map_or_else(|| file.display().to_string(), |name| name.to_string_lossy().into_owned())
}

fn free_name(wanted: &str, known: &HashMap<String, usize>) -> String {
    let mut name = wanted.to_owned();
    let mut number = 2;
    while known.contains_key(&name) {
        name = format!("{wanted}#{number}");
        number += 1;
    }
    name
}
