//! What is not seen is never safe: every context of every scenario is hidden in turn, in every way in which one can be, and
//! nothing that `status`, `check`, the console, the facts or a runbook's checks say of the rest may sound better for it.
//!
//! The world is looked at once and then hidden by leaving changes out, as a connection would. Not here: what each sentence
//! says ([`tidepilot::fleet::quorum_after_cluster_loss`] has the arithmetic of it).

use std::collections::{BTreeMap, BTreeSet};

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use tidepilot::app::message::Message;
use tidepilot::app::{App, AppOptions, View};
use tidepilot::console;
use tidepilot::fleet::closer_look::Extras;
use tidepilot::fleet::database::{Database, databases};
use tidepilot::fleet::database_invariants::{Holding, invariants};
use tidepilot::fleet::quorum_after_cluster_loss::Loss;
use tidepilot::fleet::{Change, Crd, Fleet, Freshness, ObjectRef, What};
use tidepilot::hazards::{Severity, check};
use tidepilot::report::check::Shown;
use tidepilot::report::status::Status;
use tidepilot::report::status_text::quorum_sentence;
use tidepilot::runbook::Observation;
use tidepilot::runbook::language::document::{Runbook, SHIPPED};
use tidepilot::runbook::language::given_inputs;
use tidepilot::runbook::plan::CheckState;
use tidepilot::runbook::plan::bind::bind;
use tidepilot::runbook::plan::reads_for_facts::objects_of_facts;
use tidepilot::sim::scenario::{self, Scenario};

use super::{World, assemble};

/// The ways in which a context is not seen.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Hiding {
    /// Left out with `--context`.
    NotListed,
    Connecting,
    AuthNeeded,
    Unreachable,
    /// TidbClusters, pods and StatefulSets may not be listed.
    Forbidden,
    /// It was seen, and then it was lost.
    Lost,
    Stale,
}

const HIDINGS: [Hiding; 7] = [
    Hiding::NotListed,
    Hiding::Connecting,
    Hiding::AuthNeeded,
    Hiding::Unreachable,
    Hiding::Forbidden,
    Hiding::Lost,
    Hiding::Stale,
];

fn hide(changes: &[Change], context: &str, how: Hiding, now: jiff::Timestamp) -> Vec<Change> {
    let connection = |freshness| What::Connection { freshness, message: Some("so it is".into()) };
    let kept = |what: &What| match how {
        Hiding::NotListed => false,
        Hiding::Connecting | Hiding::AuthNeeded | Hiding::Unreachable => matches!(what, What::Configured { .. }),
        Hiding::Forbidden => matches!(what, What::Configured { .. } | What::Identity { .. }),
        Hiding::Lost | Hiding::Stale => true,
    };
    let mut all: Vec<Change> =
        changes.iter().filter(|change| change.context != context || kept(&change.what)).cloned().collect();
    let mut say = |what| all.push(Change { context: context.to_owned(), at: now, what });
    match how {
        Hiding::NotListed | Hiding::Connecting => {}
        Hiding::AuthNeeded => say(connection(Freshness::AuthNeeded)),
        Hiding::Unreachable | Hiding::Lost => say(connection(Freshness::Unreachable)),
        Hiding::Forbidden => {
            say(What::Crd(Crd::Unknown));
            say(connection(Freshness::Forbidden));
        }
        Hiding::Stale => say(connection(Freshness::Stale { since: now })),
    }
    all
}

/// What is known of a Database at worst: 0 well, 1 not known, 2 wrong.
fn rank(database: &Database) -> u8 {
    match (database.problems.is_empty(), database.unseen.is_empty()) {
        (false, _) => 2,
        (true, false) => 1,
        (true, true) => 0,
    }
}

pub struct Seen {
    changes: Vec<Change>,
    pub fleet: Fleet,
    databases: Vec<Database>,
    pub now: jiff::Timestamp,
}

impl Seen {
    fn new(changes: Vec<Change>, now: jiff::Timestamp) -> Self {
        let fleet = assemble(changes.iter().cloned());
        Self { databases: databases(&fleet), fleet, changes, now }
    }

    fn database(&self, id: &str) -> Option<&Database> {
        self.databases.iter().find(|database| database.id.as_deref() == Some(id))
    }
}

/// Everything that sounds better of a part than of the whole.
fn better(whole: &Seen, part: &Seen, context: &str, how: Hiding) -> Vec<String> {
    let mut all = Vec::new();
    // A Database with something in the hidden context cannot be known to be well.
    let touched: BTreeSet<&str> = whole
        .databases
        .iter()
        .filter(|database| {
            database.tidb_clusters.iter().any(|of| of.context == context)
                || database.members.iter().any(|member| member.place.context() == Some(context))
        })
        .filter_map(|database| database.id.as_deref())
        .collect();
    for seen in &part.databases {
        let Some((id, full)) = seen.id.as_deref().and_then(|id| Some((id, whole.database(id)?))) else { continue };
        let mut say = |what: String| all.push(format!("{id}: {what}"));
        let least = if touched.contains(id) { 1 } else { rank(full).min(1) };
        if rank(seen) < least {
            say(format!("well, though {:?} {:?}", full.problems, full.unseen));
        }
        if seen.quorum.members > 0 && seen.quorum.members != full.quorum.members {
            say(format!("{} members of {}", seen.quorum.members, full.quorum.members));
        }
        if seen.quorum.healthy > full.quorum.healthy || seen.quorum.tolerate > full.quorum.tolerate {
            say(format!("{:?} of {:?}", seen.quorum, full.quorum));
        }
        let worst = |database: &Database| database.losses.sentence().and(database.losses.worst());
        if seen.losses.any_may_go() && !full.losses.any_may_go() {
            say("any cluster may go".into());
        }
        if let (Some(seen), Some(full)) = (worst(seen), worst(full))
            && seen < full.min(Loss::Unknown)
        {
            say(format!("losing a cluster: {seen:?}, and of the whole {full:?}"));
        }
        let (said, all_said) = (quorum_sentence(seen), quorum_sentence(full));
        let warns = |text: &str| ["no quorum", "not known", "not seen"].iter().any(|word| text.contains(word));
        if warns(&all_said) && !warns(&said) {
            say(format!("status says {said:?}, and of the whole {all_said:?}"));
        }
        let up = |database: &Database| database.stores.iter().filter(|row| row.store.state == "Up").count();
        if up(seen) > up(full) {
            say(format!("{} stores Up of {}", up(seen), up(full)));
        }
        let (ours, theirs) = (invariants(&part.fleet, seen), invariants(&whole.fleet, full));
        for (ours, theirs) in ours.iter().zip(&theirs) {
            let held = theirs.holding == Holding::Holds && !touched.contains(id);
            if ours.holding == Holding::Holds && !held {
                say(format!("holds: {}", ours.title));
            }
        }
    }
    let hidden_part = !touched.is_empty() && !part.databases.is_empty();
    let status = Status::of(&part.fleet);
    let (checked, whole_checked) = (check(&part.fleet, None, part.now), check(&whole.fleet, None, whole.now));
    // Nobody can know what is behind a context that was named and is not seen.
    let dark = how != Hiding::NotListed
        || (hidden_part && touched.iter().any(|id| part.database(id).is_some()))
        || part.databases.is_empty();
    if dark && status.verdict().exit_code() == 0 {
        all.push("status says 0".into());
    }
    for finding in whole_checked.findings.iter().filter(|finding| !finding.unknown) {
        let about = whole.databases.iter().find(|one| Some(&one.name) == finding.database.as_ref());
        let still = about.and_then(|one| part.database(one.id.as_deref()?));
        let said = checked.findings.iter().any(|one| one.id() == finding.id());
        if still.is_some() && !said && checked.unseen.is_empty() {
            all.push(format!("check has no {} any more, and nothing unseen", finding.id()));
        }
    }
    let shown = Shown::of_fleet(&part.fleet, checked, Severity::Low, part.now);
    let text = shown.text();
    if dark && shown.exit_code() == 0 {
        all.push("check says 0".into());
    }
    let tls = text.lines().find(|line| line.starts_with("TLS"));
    if dark && tls.is_some_and(|line| !line.contains("not")) {
        all.push(format!("the first end of all certificates: {tls:?}"));
    }
    // Who leaves a context out has not been told that there is nothing in it.
    let dark = dark && (how != Hiding::NotListed || !part.databases.is_empty());
    all.extend(screens(whole, part, dark, &touched));
    all
}

/// What the console's screens say.
fn screens(whole: &Seen, part: &Seen, dark: bool, touched: &BTreeSet<&str>) -> Vec<String> {
    let mut all = Vec::new();
    let mut app = App::new(AppOptions { color: true, ..AppOptions::default() });
    for change in &part.changes {
        app.update(Message::Fleet(change.clone()), part.now);
    }
    let count = app.databases().len().max(1);
    for index in 0..count {
        app.choose_database(index);
        let id = app.databases().get(index).and_then(|database| database.id.clone());
        let full = id.as_deref().and_then(|id| whole.database(id));
        let well =
            full.is_some_and(|full| rank(full) == 0 && !touched.contains(full.id.as_deref().unwrap_or_default()));
        for view in [
            View::Overview,
            View::Databases,
            View::Clusters,
            View::Members,
            View::Stores,
            View::TidbClusters,
            View::Findings,
            View::Certificates,
        ] {
            {
                let (width, height) = (120, 40);
                app.go(view.clone());
                app.resize(width, height);
                let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("infallible");
                terminal.draw(|frame| console::draw(&app, frame)).expect("infallible");
                let buffer = terminal.backend().buffer().clone();
                let lines: Vec<String> = (0..height)
                    .map(|y| (0..width).map(|x| buffer[(x, y)].symbol().to_owned()).collect::<String>())
                    .collect();
                let mut say = |line: &str| all.push(format!("{} at {width}: {}", view.title(), line.trim()));
                for line in &lines {
                    if *app.view() == View::Overview && line.contains("all well") && !well {
                        say(line);
                    }
                    if line.contains("survives the loss") && !full.is_some_and(|full| full.losses.any_may_go()) {
                        say(line);
                    }
                    if line.contains("PD keeps") || line.contains("may be lost") {
                        say(line);
                    }
                    let tolerated = line.split("tolerates ").nth(1).and_then(|rest| rest.chars().next()?.to_digit(10));
                    let header = *app.view() != View::Databases || count == 1;
                    let most = full.map_or(0, |full| full.quorum.tolerate);
                    if header && tolerated.is_some_and(|said| said as usize > most) {
                        say(line);
                    }
                    // What is empty is not empty for being hidden.
                    let empty = [
                        "Nothing is wrong",
                        "No TidbCluster here has TLS",
                        "no TidbCluster in any cluster",
                        "Nothing found",
                    ];
                    if dark && empty.iter().any(|word| line.contains(word)) && !lines.join(" ").contains("not seen") {
                        say(line);
                    }
                }
            }
        }
    }
    all
}

/// Inputs with which each runbook can be planned for a TidbCluster.
fn given(runbook: &str, of: &ObjectRef, fleet: &Fleet) -> BTreeMap<String, String> {
    let domain = fleet
        .clusters
        .get(&of.context)
        .and_then(|cluster| cluster.cluster_domain().map(str::to_owned))
        .unwrap_or_default();
    let pairs: Vec<(&str, String)> = match runbook {
        "join-cluster" => vec![("join", of.to_string()), ("tidbCluster", format!("{}/new/joiner", of.context))],
        "verify-network" => vec![("first", of.to_string()), ("second", format!("{}/new/x", of.context))],
        "deploy-initial-cluster" => {
            vec![
                ("tidbCluster", format!("{}/new/first", of.context)),
                ("clusterDomain", domain),
                ("version", "v8.5.7".into()),
            ]
        }
        "migrate-cluster-domain" => vec![("tidbCluster", of.to_string()), ("clusterDomain", domain)],
        "restart-component" => vec![("tidbCluster", of.to_string()), ("component", "pd".into())],
        "transfer-pd-leader" => vec![("tidbCluster", of.to_string()), ("pod", format!("{}-pd-0", of.name))],
        "upgrade-cluster" => vec![("tidbCluster", of.to_string()), ("version", "v8.5.8".into())],
        _ => vec![("tidbCluster", of.to_string())],
    };
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The checks of a runbook's plan: those that pass, and what the others say.
#[derive(Default)]
struct Judged {
    passed: BTreeSet<String>,
    said: BTreeMap<String, String>,
}

/// `None` where there is no plan.
fn judged(runbook: &Runbook, of: &ObjectRef, seen: &Observation) -> Option<Judged> {
    let given = given_inputs::at(runbook, &given(&runbook.id, of, &seen.fleet), seen.at);
    let mut judged = Judged::default();
    for check in bind(runbook, &given, seen).ok()?.checks {
        match check.state {
            CheckState::Passed => drop(judged.passed.insert(check.id)),
            _ => drop(judged.said.insert(check.id, check.sentence)),
        }
    }
    Some(judged)
}

/// What a refusal claims of all, or advises to take away, on a part of a Database: it cannot know. Where the whole says the same
/// it is so. An empty place in a list is a sentence that was not made for the case.
fn claims(said: &str) -> bool {
    let all = ["is the only", "the only", "nobody runs", "remove them", "only 3 of 3", "belong to no pod"];
    let empty = [" ,", ": ;", ": .", ": ,", "  "];
    let lower = said.to_lowercase();
    all.iter().any(|word| lower.contains(word)) || empty.iter().any(|word| said.contains(word))
}

fn bind_error(runbook: &Runbook, of: &ObjectRef, seen: &Observation) -> String {
    let given = given_inputs::at(runbook, &given(&runbook.id, of, &seen.fleet), seen.at);
    bind(runbook, &given, seen).map_or_else(|error| error.to_string(), |_| String::new())
}

/// Checks that pass on a part and do not on the whole, and refusals that claim what only the whole could tell.
fn better_checks(runbooks: &[Runbook], whole: &Seen, part: &Seen, passes: &mut Passes) -> Vec<String> {
    let mut all = Vec::new();
    let observed = |seen: &Seen| Observation { at: seen.now, fleet: seen.fleet.clone(), denied: Some(Vec::new()) };
    let (whole, part) = (observed(whole), observed(part));
    for runbook in runbooks {
        for (of, _) in part.fleet.tidb_clusters() {
            let Some(now) = judged(runbook, &of, &part) else { continue };
            let key = (runbook.id.clone(), of.clone());
            let full = passes.entry(key).or_insert_with(|| judged(runbook, &of, &whole));
            let Some(full) = full else {
                // An expression that is too dear for the whole says nothing of what is seen.
                if bind_error(runbook, &of, &whole).contains("is not evaluated") {
                    continue;
                }
                all.push(format!("{} of {of} has a plan now", runbook.id));
                continue;
            };
            all.extend(now.passed.difference(&full.passed).map(|id| format!("{} of {of} passes {id}", runbook.id)));
            let bold = now.said.iter().filter(|(id, said)| claims(said) && full.said.get(*id) != Some(*said));
            all.extend(bold.map(|(id, said)| format!("{} of {of} says in {id}: {said}", runbook.id)));
        }
    }
    all
}

type Passes = BTreeMap<(String, ObjectRef), Option<Judged>>;

/// One PD in each of three KubeClusters: the one fleet that may lose any of them.
const THREE: &str = include_str!("three.yaml");

pub async fn look(scenario: Scenario, runbooks: &[Runbook]) -> Seen {
    let world = World::of(scenario).await;
    let mut changes = Vec::new();
    // What a scenario plants stays; the rest settles within a moment.
    for _ in 0..6 {
        changes = world.links.look_closer(None, &Extras::all()).await;
        let fleet = assemble(changes.iter().cloned());
        if databases(&fleet).iter().all(|database| database.problems.is_empty() && database.unseen.is_empty()) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
    let mut seen = Observation { at: world.now, fleet: assemble(changes.iter().cloned()), denied: Some(Vec::new()) };
    let targets: Vec<ObjectRef> = seen.fleet.tidb_clusters().map(|(of, _)| of).collect();
    let mut wanted = BTreeSet::new();
    for runbook in runbooks {
        for of in &targets {
            let given = given_inputs::at(runbook, &given(&runbook.id, of, &seen.fleet), seen.at);
            if let Ok(read) = given_inputs::read(runbook, &given) {
                wanted.extend(objects_of_facts(runbook, &read.values, &seen));
            }
        }
    }
    let more = world.links.look_at_objects(&wanted).await;
    for change in more {
        seen.fleet.apply(change.clone());
        changes.push(change);
    }
    Seen::new(changes, world.now)
}

fn shipped() -> Vec<Runbook> {
    SHIPPED.iter().map(|(id, _)| Runbook::shipped(id).expect("a runbook of ours")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_sounds_better_because_something_is_not_seen() {
    let runbooks = shipped();
    let mut worlds: Vec<(String, Scenario)> =
        scenario::names().map(|name| (name.to_owned(), Scenario::named(name).expect("embedded"))).collect();
    worlds.push(("three".into(), Scenario::parse("three", THREE).expect("a scenario")));
    let mut wrong = Vec::new();
    let mut compared = 0;
    for (name, scenario) in worlds {
        let whole = look(scenario, &runbooks).await;
        let mut passes = Passes::new();
        let contexts: Vec<String> = whole.fleet.clusters.keys().cloned().collect();
        for context in &contexts {
            for how in HIDINGS {
                let part = Seen::new(hide(&whole.changes, context, how, whole.now), whole.now);
                compared += part.databases.len();
                let mut found = better(&whole, &part, context, how);
                // For facts, a context that says nothing is one that says nothing.
                if matches!(how, Hiding::NotListed | Hiding::Lost) {
                    found.extend(better_checks(&runbooks, &whole, &part, &mut passes));
                }
                wrong.extend(found.into_iter().map(|one| format!("{name} without {context} ({how:?}): {one}")));
            }
        }
        if name == "three" {
            let database = &whole.databases[0];
            assert!(database.losses.any_may_go(), "{database:#?}");
            assert!(quorum_sentence(database).contains("survives the loss of any one cluster"));
        }
        if name == "default" {
            lone_west(&whole);
        }
    }
    assert!(compared > 100, "only {compared} were compared");
    assert!(wrong.is_empty(), "{} sound better:\n{}", wrong.len(), wrong.join("\n"));
}

/// The sentence that this file is about.
fn lone_west(whole: &Seen) {
    let only_west =
        hide(&hide(&whole.changes, "east", Hiding::NotListed, whole.now), "legacy", Hiding::NotListed, whole.now);
    let part = Seen::new(only_west, whole.now);
    let said = "what losing a cluster would do is not known: 2 of 3 members are in no connected context";
    assert_eq!(quorum_sentence(&part.databases[0]), format!("PD 3/3, tolerates 1; {said}"));
    let status = Status::of(&part.fleet);
    assert_eq!(status.verdict().exit_code(), 3);
    let json = serde_json::to_value(&status).expect("JSON");
    assert_eq!(
        json["databases"][0]["losses"],
        serde_json::json!({
            "kubeClusters": {"west": "unknown"}, "elsewhere": "unknown", "unplaced": 2, "members": 3,
        })
    );
    // The measure itself: told the other way round, the whole sounds better than its part.
    let swapped = better(&part, whole, "nowhere", Hiding::NotListed);
    assert!(swapped.iter().any(|one| one.contains("well, though")), "{swapped:#?}");
}
