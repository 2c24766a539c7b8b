//! `tidepilot check`: findings as a table for 80 columns, as JSON, and as SARIF 2.1.0 for CI. The JSON is documented in
//! `docs/formats.md` and stable. Not here: what is found (`hazards`).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use super::plain;
use crate::fleet::certificate_list::{Certificate, Held, certificates, left};
use crate::fleet::database::{Database, databases};
use crate::fleet::database_invariants::{Holding, Invariant, invariants};
use crate::fleet::not_seen::NotSeenList;
use crate::fleet::{Fleet, kube_cluster_problems};
use crate::hazards::catalogue::CATALOGUE;
use crate::hazards::{Checked, Finding, Severity, catalogue_zh};
use crate::pluralize::counted;
use crate::runbook::run::open_run_status::Standing;

const WIDTH: usize = 80;

/// The document of `check -o json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    pub severity: Severity,
    /// Empty with `--file`.
    pub databases: Vec<DatabaseShown>,
    /// Of the TidbClusters with TLS, the one that ends first on top.
    pub certificates: Vec<Certificate>,
    /// The files of `--file`.
    pub files: Vec<String>,
    pub findings: Vec<Finding>,
    #[serde(flatten)]
    pub unseen: NotSeenList,
    /// Worth a word, and no part of the verdict.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What is half done; empty with `--file`.
    pub open_runs: Vec<Standing>,
    /// A KubeCluster or a part of a Database is not seen, so there may be certificates of which nothing is known.
    #[serde(skip)]
    pub dark: bool,
    /// Titles and remedies in Chinese too: for people only.
    #[serde(skip)]
    pub chinese: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseShown {
    pub name: String,
    pub id: Option<String>,
    /// The seven of "is this one cluster".
    pub invariants: Vec<Invariant>,
}

impl Shown {
    pub fn of_fleet(fleet: &Fleet, checked: Checked, least: Severity, now: Timestamp) -> Self {
        let chosen = databases(fleet).into_iter().filter(|database| checked.databases.contains(&database.name));
        let chosen: Vec<Database> = chosen.collect();
        let certificates = certificates(fleet, chosen.iter().flat_map(|database| &database.tidb_clusters), now);
        let chosen_is_dark = chosen.iter().any(|database| !database.away().is_empty());
        let databases = chosen
            .into_iter()
            .map(|database| DatabaseShown {
                invariants: invariants(fleet, &database),
                name: database.name,
                id: database.id,
            })
            .collect();
        let dark = !kube_cluster_problems::unseen(fleet).is_empty() || chosen_is_dark;
        Self { certificates, dark, ..Self::new(databases, Vec::new(), checked, least) }
    }

    pub fn of_texts(mut checked: Checked, least: Severity) -> Self {
        let files = std::mem::take(&mut checked.databases);
        Self::new(Vec::new(), files, checked, least)
    }

    fn new(databases: Vec<DatabaseShown>, files: Vec<String>, checked: Checked, least: Severity) -> Self {
        let Checked { findings, unseen, notes, databases: _ } = checked;
        let findings = findings.into_iter().filter(|finding| finding.severity >= least).collect();
        Self {
            severity: least,
            databases,
            certificates: Vec::new(),
            files,
            findings,
            unseen,
            notes,
            open_runs: Vec::new(),
            dark: false,
            chinese: false,
        }
    }

    /// Whether everything that was looked for could be seen.
    fn whole(&self) -> bool {
        self.unseen.is_empty() && self.findings.iter().all(|finding| !finding.unknown)
    }

    fn known(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| !finding.unknown && finding.expected.is_none())
    }

    /// What is wrong is known even where something else could not be seen.
    pub fn exit_code(&self) -> u8 {
        let holding = |test: fn(&Holding) -> bool| {
            let mut all = self.databases.iter().flat_map(|database| &database.invariants);
            all.any(|invariant| test(&invariant.holding))
        };
        // An invariant that is broken is as bad as what leaves things stuck.
        let broken = self.severity <= Severity::Medium && holding(|one| matches!(one, Holding::Broken(_)));
        let whole = self.whole() && !holding(|one| matches!(one, Holding::Unknown(_)));
        let half_done = self.open_runs.iter().any(Standing::half_done);
        let wrong = self.known().any(|finding| finding.severity > Severity::Info);
        match (wrong || broken || half_done, whole) {
            (true, _) => 2,
            (false, false) => 3,
            (false, true) => 0,
        }
    }

    /// What there is, without what changes by the clock alone: two looks that tell the same are no change.
    pub fn told(&self) -> Vec<String> {
        let findings = self.findings.iter().map(|finding| {
            let subjects: Vec<String> = finding.subjects.iter().map(ToString::to_string).collect();
            format!("{} {} {} {}", finding.id(), subjects.join(" "), finding.unknown, finding.expected.is_some())
        });
        let invariants = self.databases.iter().flat_map(|database| {
            let state = |one: &Invariant| match one.holding {
                Holding::Holds => "holds",
                Holding::Broken(_) => "broken",
                Holding::Unknown(_) => "unknown",
            };
            database.invariants.iter().map(move |one| format!("{} {} {}", database.name, one.number, state(one)))
        });
        let runs = self.open_runs.iter().map(|run| format!("{} {}", run.run, run.state));
        findings.chain(invariants).chain(runs).chain(self.unseen.iter().map(ToString::to_string)).collect()
    }

    pub fn text(&self) -> String {
        let mut out = String::new();
        for finding in &self.findings {
            one(&mut out, finding, self.chinese);
        }
        for database in &self.databases {
            let broken = database.invariants.iter().filter_map(|invariant| match &invariant.holding {
                Holding::Holds => None,
                Holding::Broken(why) => Some((invariant, "BROKEN", why)),
                Holding::Unknown(why) => Some((invariant, "UNKNOWN", why)),
            });
            for (invariant, word, why) in broken {
                let said = format!("{}, {}: {why}", database.name, invariant.title);
                hang(&mut out, &format!("{word:<8}"), &said);
            }
        }
        for run in &self.open_runs {
            hang(&mut out, "RUN     ", &run.sentence());
            for next in &run.next {
                let _ = writeln!(out, "  then  {}", plain(next));
            }
        }
        for unseen in &self.unseen {
            hang(&mut out, if self.files.is_empty() { "UNSEEN  " } else { "UNREAD  " }, unseen);
        }
        for note in &self.notes {
            hang(&mut out, "NOTE    ", note);
        }
        if !out.is_empty() && !out.ends_with("\n\n") {
            out.push('\n');
        }
        if let Some(said) = self.first_end() {
            hang(&mut out, "TLS     ", &said);
        }
        out.push_str(&self.summary());
        out.push('\n');
        out
    }

    /// Which certificate ends first, of those that are seen; never without how many are not.
    fn first_end(&self) -> Option<String> {
        let (seen, dark): (Vec<&Certificate>, Vec<&Certificate>) =
            self.certificates.iter().filter(|one| one.held != Held::Absent).partition(|one| one.held == Held::Seen);
        let first = seen.iter().min_by_key(|one| one.not_after)?;
        let end = first.not_after.map_or_else(String::new, |at| at.strftime("%Y-%m-%d").to_string());
        let days = first.days_left.unwrap_or_default();
        let ends = if days < 0 { "ended" } else { "ends" };
        let which = format!("{ends} {end} ({}): {} of {}", left(days), first.secret, first.of);
        Some(match (dark.len(), self.dark) {
            (0, false) => format!("{} seen; the first {which}", counted(seen.len(), "certificate")),
            (0, true) => format!(
                "{} seen, and which others there are is not known; the first of these {which}",
                counted(seen.len(), "certificate")
            ),
            (count, _) => {
                format!(
                    "{} seen, {count} not; the first of those that are seen {which}",
                    counted(seen.len(), "certificate")
                )
            }
        })
    }

    /// `2 high, 1 medium in prod-east, basic; something could not be seen`
    fn summary(&self) -> String {
        let counts: Vec<String> = Severity::ALL
            .into_iter()
            .map(|severity| (severity, self.known().filter(|finding| finding.severity == severity).count()))
            .filter(|(_, count)| *count > 0)
            .map(|(severity, count)| format!("{count} {}", severity.word()))
            .collect();
        let found = if counts.is_empty() { "nothing found".to_owned() } else { counts.join(", ") };
        let names: Vec<&str> = match self.files.is_empty() {
            true => self.databases.iter().map(|database| database.name.as_str()).collect(),
            false => self.files.iter().map(String::as_str).collect(),
        };
        let within = if names.is_empty() { String::new() } else { format!(" in {}", names.join(", ")) };
        let open = match (self.whole(), self.files.is_empty()) {
            (true, _) => "",
            (false, true) => "; something could not be seen",
            (false, false) => "; something could not be read or judged",
        };
        plain(&format!("{found}{within}{open}"))
    }

    pub fn sarif(&self) -> Value {
        let mut rules: BTreeMap<&str, Value> = BTreeMap::new();
        for finding in &self.findings {
            rules.entry(finding.id()).or_insert_with(|| {
                json!({
                    "id": finding.id(),
                    "fullDescription": {"text": finding.why},
                    "defaultConfiguration": {"level": level(finding.hazard.severity)},
                    "properties": {"hazard": finding.hazard.number},
                })
            });
        }
        let results: Vec<Value> = self.findings.iter().map(result).collect();
        let notes: Vec<Value> =
            self.unseen.iter().map(|unseen| json!({"level": "warning", "message": {"text": plain(unseen)}})).collect();
        json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{
                "tool": {"driver": {
                    "name": "tidepilot",
                    "version": env!("CARGO_PKG_VERSION"),
                    "rules": rules.into_values().collect::<Vec<_>>(),
                }},
                "invocations": [{"executionSuccessful": true, "toolExecutionNotifications": notes}],
                "results": results,
            }],
        })
    }
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "note",
    }
}

fn result(finding: &Finding) -> Value {
    let mut result = json!({
        "ruleId": finding.id(),
        // "open": not decided, which has no level.
        "kind": match (finding.unknown, &finding.expected) {
            (true, _) => "open",
            (false, Some(_)) => "informational",
            (false, None) => "fail",
        },
        "level": if finding.unknown || finding.expected.is_some() { "none" } else { level(finding.severity) },
        "message": {"text": plain(&format!("{}. {}", finding.sentence, finding.what_to_do))},
    });
    let logical: Vec<Value> = finding
        .subjects
        .iter()
        .map(|subject| json!({"fullyQualifiedName": plain(&subject.to_string()), "kind": "resource"}))
        .collect();
    let mut location = json!({"logicalLocations": logical});
    if let Some(at) = &finding.location {
        location["physicalLocation"] = json!({"artifactLocation": {"uri": at.file}, "region": {"startLine": at.line}});
    }
    result["locations"] = json!([location]);
    result
}

fn one(out: &mut String, finding: &Finding, chinese: bool) {
    let number = finding.hazard.number.map(|number| format!(" ({number})")).unwrap_or_default();
    let word = match (finding.unknown, &finding.expected) {
        (true, _) => "UNKNOWN".to_owned(),
        (false, Some(_)) => "WAIT".to_owned(),
        (false, None) => finding.severity.word().to_uppercase(),
    };
    let place = match (&finding.location, &finding.database) {
        (Some(at), _) => format!("{}:{}", at.file, at.line),
        (None, Some(database)) => database.clone(),
        (None, None) => "fleet".into(),
    };
    let _ = writeln!(out, "{}", plain(&format!("{word:<8}{}{number}  {place}", finding.id())));
    let chinese = catalogue_zh::of(finding.hazard.id).filter(|_| chinese);
    if let Some((title, _)) = chinese {
        hang(out, "        ", title);
    }
    let first = finding.subjects.first().map(|subject| format!("{subject}: ")).unwrap_or_default();
    hang(out, "        ", &format!("{first}{}", finding.sentence));
    if let Some(expected) = &finding.expected {
        hang(out, "        ", expected);
    }
    for evidence in &finding.evidence {
        let seen = evidence.seen.map(|at| format!(" (seen {})", at.strftime("%H:%M:%SZ"))).unwrap_or_default();
        let whose = if first.starts_with(&evidence.object) { String::new() } else { format!("{}: ", evidence.object) };
        let field = if evidence.field.is_empty() { String::new() } else { format!("{} = ", evidence.field) };
        hang(out, "  seen  ", &format!("{whose}{field}{}{seen}", evidence.value));
    }
    match chinese {
        Some((_, remedy)) => hang(out, "  处理  ", remedy),
        None => hang(out, "  why   ", finding.why),
    }
    // A command line is copied as it stands, so it is not broken.
    for (number, line) in super::to_do(&finding.what_to_do).iter().enumerate() {
        let head = if number == 0 { "  do    " } else { "        " };
        match ["kubectl ", "tidepilot ", "# "].iter().any(|word| line.starts_with(word)) {
            true => drop(writeln!(out, "{head}{line}")),
            false => hang(out, head, line),
        }
    }
    out.push('\n');
}

/// A text beside a head of eight columns, broken at spaces.
pub(super) fn hang(out: &mut String, head: &str, text: &str) {
    let mut line = head.to_owned();
    let mut begun = false;
    for word in plain(text).split_whitespace() {
        if begun && line.width() + 1 + word.width() > WIDTH {
            let _ = writeln!(out, "{line}");
            line = " ".repeat(8);
        } else if begun {
            line.push(' ');
        }
        line.push_str(word);
        begun = true;
    }
    let _ = writeln!(out, "{}", line.trim_end());
}

/// The catalogue for people.
pub fn catalogue() -> String {
    let mut out = String::new();
    for hazard in CATALOGUE {
        let number = hazard.number.map_or_else(|| "-".into(), |number| number.to_string());
        let head = format!("{number:>3}  {:<36}{:<8}{}", hazard.id, hazard.severity.word(), hazard.seen.words());
        let _ = writeln!(out, "{head}");
        hang(&mut out, "        ", hazard.why);
        hang(&mut out, "  seen  ", &format!("{}: {}", hazard.seen.words(), hazard.seen.by()));
    }
    out
}

pub fn catalogue_json(now: Timestamp) -> serde_json::Result<String> {
    Ok(serde_json::to_string_pretty(&super::document(json!({"hazards": CATALOGUE}), now)?)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hazards::lint::{Text, lint};

    fn shown(text: &str, least: Severity) -> Shown {
        Shown::of_texts(lint(&[Text { file: "f.yaml".into(), text: text.into() }]), least)
    }

    const RISKY: &str = "apiVersion: pingcap.com/v1alpha1\nkind: TidbCluster\nmetadata:\n  name: a\nspec:\n  configUpdateStrategy: InPlace\n  pvReclaimPolicy: Delete\n  pd:\n    replicas: 1\n    config: {}\n";

    #[test]
    fn severities_and_exit_codes() {
        assert_eq!(shown(RISKY, Severity::Low).exit_code(), 2);
        assert_eq!(shown(RISKY, Severity::High).findings.len(), 1);
        let medium = RISKY.replace("  pvReclaimPolicy: Delete\n", "");
        assert_eq!(shown(&medium, Severity::High).exit_code(), 0, "what is below does not count");
        assert_eq!(shown("# nothing\n", Severity::Low).exit_code(), 3);
    }

    #[test]
    fn the_table_fits_and_names_the_place() {
        let text = shown(RISKY, Severity::Low).text();
        assert!(text.lines().all(|line| line.width() <= WIDTH), "{text}");
        assert!(text.contains("HIGH    reclaim-policy-delete (61)  f.yaml:7"), "{text}");
        assert!(text.ends_with("1 high, 1 medium in f.yaml\n"), "{text}");
        let all = catalogue();
        assert!(all.lines().all(|line| line.width() <= WIDTH), "{all}");
    }

    #[test]
    fn sarif_has_rules_levels_and_lines() {
        let sarif = shown(RISKY, Severity::Low).sarif();
        let run = &sarif["runs"][0];
        assert_eq!((&sarif["version"], run["results"].as_array().map(Vec::len)), (&json!("2.1.0"), Some(2)));
        let result =
            run["results"].as_array().expect("results").iter().find(|one| one["level"] == "error").expect("one");
        assert_eq!(result["locations"][0]["physicalLocation"]["region"]["startLine"], 7);
        let rules: Vec<&Value> =
            run["tool"]["driver"]["rules"].as_array().expect("rules").iter().map(|rule| &rule["id"]).collect();
        assert_eq!(rules, ["config-not-rolled", "reclaim-policy-delete"]);
    }
}
