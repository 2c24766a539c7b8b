//! The page of a pod, and of the PD member or store that lives in it: what is wrong, its containers with how they last
//! ended, its conditions, where it runs, what PD says, and what happened to it.
//!
//! Not here: other pages ([`super::detail`]), the short form beside a table ([`super::inspector`]).

use super::labelled_page::Sheet;
use super::theme::Role;
use crate::app::overview_matrix::{pod_words, store_level};
use crate::app::selected_object::{member_pod, store_pod};
use crate::app::status_level::{Level, age, freshness_level, freshness_words};
use crate::app::views::findings::level as finding_level;
use crate::app::views::members::health;
use crate::app::{App, View};
use crate::fleet::ObjectRef;
use crate::fleet::database::{Member, StoreRow};
use crate::fleet::workload::{ContainerStatus, Pod};
use crate::pluralize::counted;

/// The page of a pod.
pub fn pod(app: &App, sheet: &mut Sheet, of: &ObjectRef) -> Option<()> {
    sheet.head("pod", &of.to_string());
    app.fleet.clusters.get(&of.context)?;
    let all = app.databases();
    let member = all.iter().flat_map(|one| &one.members).find(|one| member_pod(one).as_ref() == Some(of));
    let store = all.iter().flat_map(|one| &one.stores).find(|row| store_pod(row).as_ref() == Some(of));
    state(app, sheet, of);
    wrong(app, sheet, Some(of), member, store);
    containers(app, sheet, of);
    if let Some(member) = member {
        sheet.section("as PD says");
        self::member(sheet, member);
    }
    if let Some(row) = store {
        sheet.section("as PD says");
        store_lines(app, sheet, row);
    }
    answers(app, sheet, of);
    events(app, sheet);
    Some(())
}

/// The page of a PD member.
pub fn member_page(app: &App, sheet: &mut Sheet, member: &Member) {
    sheet.head("PD member", &member.id.hex());
    self::member(sheet, member);
    let of = member_pod(member);
    wrong(app, sheet, of.as_ref(), Some(member), None);
    rest(app, sheet, of.as_ref());
}

/// The page of a store.
pub fn store_page(app: &App, sheet: &mut Sheet, row: &StoreRow) {
    sheet.head("store", &row.store.id.to_string());
    store_lines(app, sheet, row);
    let of = store_pod(row);
    wrong(app, sheet, of.as_ref(), None, Some(row));
    super::regions::section(app, sheet, row);
    rest(app, sheet, of.as_ref());
}

/// What Kubernetes says of the pod of a member or store.
fn rest(app: &App, sheet: &mut Sheet, of: Option<&ObjectRef>) {
    let Some(of) = of else { return };
    sheet.section("as Kubernetes says");
    sheet.line("pod", &of.to_string());
    state(app, sheet, of);
    containers(app, sheet, of);
    answers(app, sheet, of);
    events(app, sheet);
}

fn found<'a>(app: &'a App, of: &ObjectRef) -> Option<&'a Pod> {
    app.fleet.clusters.get(&of.context)?.pods.get(&of.key())
}

fn state(app: &App, sheet: &mut Sheet, of: &ObjectRef) {
    let Some(cluster) = app.fleet.clusters.get(&of.context) else { return };
    let live = cluster.freshness.is_live();
    if !live {
        let words = format!("{} {}", of.context, freshness_words(cluster, app.now));
        sheet.level("cluster", freshness_level(&cluster.freshness), &words);
    }
    let Some(pod) = found(app, of) else {
        return sheet.level("status", Level::Working, "wanted by the spec, and there is no such pod");
    };
    let (level, word) = pod_words(pod);
    match live {
        true => sheet.level("status", level, &word),
        false => sheet.level("status", Level::Unknown, &format!("{word}, when last seen")),
    }
    let node = pod.spec.node_name.as_deref().unwrap_or("(none: it is not scheduled)");
    sheet.line("node", node);
    sheet.known("IP", pod.status.pod_ip.as_deref().unwrap_or_default());
    if let Some(created) = pod.metadata.creation_timestamp {
        sheet.line("age", &age(created, app.now));
    }
    let revision = pod.metadata.labels.get("controller-revision-hash");
    sheet.known("revision", revision.map(String::as_str).unwrap_or_default());
}

fn wrong(app: &App, sheet: &mut Sheet, of: Option<&ObjectRef>, member: Option<&Member>, store: Option<&StoreRow>) {
    let found = app.findings_about(of, member, store);
    if found.is_empty() {
        return;
    }
    sheet.section("what is wrong");
    for finding in found {
        sheet.level("", finding_level(finding), &format!("{}: {}", finding.id(), finding.sentence));
    }
}

fn containers(app: &App, sheet: &mut Sheet, of: &ObjectRef) {
    let Some(pod) = found(app, of) else { return };
    sheet.section("containers");
    if pod.status.container_statuses.is_empty() {
        sheet.line("", "none is reported yet");
    }
    for one in &pod.status.container_statuses {
        let (level, words) = container(app, one);
        sheet.level(&one.name, level, &words);
        sheet.known("  image", &one.image);
        let ports = pod.ports().filter(|(container, _)| *container == one.name);
        let ports: Vec<String> = ports.map(|(_, port)| format!("{} {}", port.container_port, port.name)).collect();
        sheet.known("  ports", &ports.join(", "));
        if let Some(end) = &one.last_state.terminated {
            let when = end.finished_at.map(|at| format!(", {} ago", age(at, app.now))).unwrap_or_default();
            sheet.level("  last end", Level::Working, &format!("{}{when}", end.words()));
        }
    }
    let told: Vec<_> = pod.status.conditions.iter().filter(|one| !one.kind.is_empty()).collect();
    if !told.is_empty() {
        sheet.section("conditions");
    }
    for one in told {
        match one.status.as_str() {
            "True" => sheet.level(&one.kind, Level::Good, one.message.trim()),
            status => sheet.level(&one.kind, Level::Working, format!("{status} {}", one.message).trim()),
        }
    }
}

/// `waiting: CrashLoopBackOff (back-off 5m0s …), 7 restarts`
fn container(app: &App, one: &ContainerStatus) -> (Level, String) {
    let because = |reason: &str, message: &str| match (reason, message) {
        ("", "") => String::new(),
        (reason, "") => format!(": {reason}"),
        (reason, message) => format!(": {reason} ({message})"),
    };
    let ready = if one.ready { "running, ready" } else { "running, not ready" };
    let state = &one.state;
    let (level, mut words) = if let Some(why) = &state.waiting {
        (Level::Bad, format!("waiting{}", because(&why.reason, &why.message)))
    } else if let Some(end) = &state.terminated {
        let more = because(&end.reason, &end.message);
        (Level::Working, format!("ended with exit {}{more}", end.exit_code))
    } else {
        let since = state.running.as_ref().and_then(|running| running.started_at);
        let since = since.map_or_else(String::new, |at| format!(" for {}", age(at, app.now)));
        (if one.ready { Level::Good } else { Level::Working }, format!("{ready}{since}"))
    };
    if one.restart_count > 0 {
        words.push_str(&format!(", {}", crate::pluralize::counted(one.restart_count, "restart")));
    }
    (level, words)
}

/// What PD itself answered through this pod.
fn answers(app: &App, sheet: &mut Sheet, of: &ObjectRef) {
    let Some(view) = app.fleet.clusters.get(&of.context).and_then(|cluster| cluster.pd.get(&of.key())) else { return };
    sheet.line("asked", &format!("{} ago", age(view.at, app.now)));
    match &view.answer {
        Ok(answer) => {
            sheet.line("version", answer.version.as_deref().unwrap_or("not known"));
            for gap in &answer.gaps {
                sheet.level("not read", Level::Unknown, gap);
            }
        }
        Err(why) => sheet.level("no answer", Level::Bad, why),
    }
}

/// What happened to it; asked for while its page is in front.
pub fn events(app: &App, sheet: &mut Sheet) {
    if !matches!(app.view(), View::Detail(_)) {
        return;
    }
    sheet.section("events");
    for why in app.closeup.unseen() {
        sheet.level("", Level::Unknown, &why);
    }
    let happened = app.closeup.happened();
    if happened.is_empty() && app.closeup.unseen().is_empty() {
        let sentence = if app.closeup.heard() { "none is kept: they are forgotten after an hour" } else { "asking" };
        sheet.styled("", sentence, Role::Dim);
    }
    for (_, event) in happened {
        let times = i64::try_from(event.count).unwrap_or(i64::MAX);
        let times = if times > 1 { format!(" {}", crate::pluralize::counted(times, "time")) } else { String::new() };
        let text = format!("{}{times}: {}", event.reason, event.message);
        let label = format!("{} ago", age(event.last, app.now));
        match event.warning {
            true => sheet.level(&label, Level::Working, &text),
            false => sheet.styled(&label, &text, Role::Plain),
        }
    }
}

fn member(sheet: &mut Sheet, member: &Member) {
    let (level, word) = health(member);
    sheet.level("health", level, word);
    sheet.line("id", &format!("{} (decimal {})", member.id.hex(), member.id.decimal()));
    sheet.line("name", if member.name.is_empty() { "(none)" } else { &member.name });
    if member.leader {
        let text = format!("{} leader", sheet.theme.leader());
        sheet.styled("role", &text, Role::Accent);
    }
    let place = member.place.pod_there().map_or_else(|| "in no connected context".to_owned(), |pod| pod.to_string());
    sheet.line("pod", &place);
    let role = if member.drift { Role::Level(Level::Bad) } else { Role::Plain };
    sheet.styled("peerURL", &member.peer_urls.join(" "), role);
    if let Some(expected) = member.expected_peer_url.as_ref().filter(|_| member.drift) {
        let label = format!("expected {}", sheet.theme.drift());
        sheet.styled(&label, expected, Role::Level(Level::Working));
    }
    sheet.line("clientURL", &member.client_urls.join(" "));
}

fn store_lines(app: &App, sheet: &mut Sheet, row: &StoreRow) {
    let (store, load) = (&row.store, &row.store.load);
    sheet.level("state", store_level(&store.state), &store.state);
    sheet.line("store id", &store.id.to_string());
    let database = app.databases().iter().find(|all| all.stores.iter().any(|other| std::ptr::eq(other, row)));
    let leaving = app.leaving(database.and_then(|database| database.id.as_deref()), store);
    sheet.known("leaves", leaving.as_deref().unwrap_or_default());
    sheet.line("kind", if store.tiflash { "TiFlash" } else { "TiKV" });
    sheet.line("address", &store.address);
    sheet.line("version", &store.version);
    let leaders = counted(store.leader_count, "leader");
    sheet.line("region peers", &format!("{}, {leaders} among them", store.region_count));
    if !load.capacity.is_empty() {
        let full = load.full().map(|full| format!(", {full} % full")).unwrap_or_default();
        sheet.line("capacity", &format!("{}, {} free{full}", load.capacity, load.available));
    }
    if let Some(heard) = load.last_heartbeat {
        // One that is being emptied is heard of.
        let away = store.is_away();
        let since = if away { "down since" } else { "last heard" };
        sheet.line(since, &format!("{} ago ({})", age(heard, app.now), heard.strftime("%Y-%m-%d %H:%M:%SZ")));
    }
    if let Some(started) = load.started {
        sheet.line("started", &format!("{} ago", age(started, app.now)));
    }
    if let Some(score) = load.slow_score {
        sheet.line("slow score", &format!("{score} of 100; 1 is well"));
    }
    let labels: Vec<String> = store.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    sheet.known("labels", &labels.join(" "));
    let place = row
        .place
        .pod_there()
        .map_or_else(|| "in no connected context".to_owned(), |pod| format!("{} in {}", pod.name, pod.context));
    sheet.line("pod", &place);
}
