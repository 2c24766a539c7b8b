//! One thing, with everything known of it, unabridged.

use super::labelled_page::Sheet;
use super::text::{Page, span};
use super::theme::{Role, Theme};
use super::{pod_page, regions, run_page};
use crate::app::region_counts_refresh::is_away;
use crate::app::status_level::{Level, access_word, age, crd_words, freshness_level, freshness_words};
use crate::app::views::certificates::{level as certificate_level, state};
use crate::app::views::findings::level as finding_level;
use crate::app::{App, Subject};
use crate::fleet::ObjectRef;
use crate::fleet::certificate_facts::colons;
use crate::fleet::certificate_list::{Certificate, Held, left};
use crate::fleet::connection_health::Weather;
use crate::fleet::database::StoreRow;
use crate::fleet::managed_fields::last_writes;
use crate::fleet::problem_subject::SubjectKind;
use crate::fleet::rollout::rollout;
use crate::fleet::tidbcluster::TidbCluster;
use crate::hazards::Finding;
use crate::pluralize::counted;

pub fn page(app: &App, theme: Theme, subject: &Subject, room: usize) -> Page {
    let mut sheet = Sheet::new(theme, room);
    let known = match subject {
        Subject::Pod(of) => pod_page::pod(app, &mut sheet, of),
        Subject::Cluster(context) => cluster(app, &mut sheet, context),
        Subject::TidbCluster(of) => tidb_cluster(app, &mut sheet, of),
        Subject::Member(id) => app.database().and_then(|db| db.member(*id)).map(|member| {
            pod_page::member_page(app, &mut sheet, member);
        }),
        Subject::Store(id) => {
            let row = app.database().and_then(|all| all.stores.iter().find(|row| row.store.id == *id));
            row.map(|row| pod_page::store_page(app, &mut sheet, row))
        }
        Subject::Finding(key) => app.finding(key).map(|finding| self::finding(app, &mut sheet, finding)),
        Subject::Certificate(key) => app.certificate(key).map(|one| certificate(app, &mut sheet, one)),
        Subject::Run(id) => app.runs.iter().find(|run| run.run == *id).map(|run| run_page::page(app, &mut sheet, run)),
        Subject::Sentence(sentence) => {
            sheet.page.hang(vec![span("  ", theme.style(Role::Plain))], sentence, theme.style(Role::Plain), room);
            Some(())
        }
    };
    if known.is_none() {
        sheet.page.push(vec![span("  It is not there any more. Esc goes back.", theme.style(Role::Dim))]);
    }
    sheet.page
}

fn finding(app: &App, sheet: &mut Sheet, finding: &Finding) {
    let word = if finding.unknown { "not known" } else { finding.severity.word() };
    sheet.head("finding", finding.id());
    sheet.level("severity", finding_level(finding), word);
    if let Some(number) = finding.hazard.number {
        sheet.line("hazard", &format!("{number} of the catalogue (tidepilot check --catalogue)"));
    }
    sheet.line("database", finding.database.as_deref().unwrap_or("(the fleet)"));
    for subject in &finding.subjects {
        sheet.line("about", &subject.to_string());
    }
    sheet.line("found", &finding.sentence);
    sheet.section("evidence");
    for evidence in &finding.evidence {
        let seen = evidence.seen.map_or("never heard of".to_owned(), |at| format!("seen {} ago", age(at, app.now)));
        sheet.line("", &format!("{}: {} = {} ({seen})", evidence.object, evidence.field, evidence.value));
    }
    let stores = app.databases().iter().flat_map(|database| &database.stores).filter(|row| {
        let name = row.store.id.to_string();
        finding.subjects.iter().any(|subject| subject.kind == SubjectKind::Store && subject.name == name)
    });
    // Numbers of stores repeat from Database to Database.
    let own = |row: &&StoreRow| {
        let database = app.databases().iter().find(|all| all.stores.iter().any(|other| std::ptr::eq(other, *row)));
        database.is_some_and(|database| finding.database.as_ref() == Some(&database.name))
    };
    for row in stores.filter(own).filter(|row| is_away(row)).take(2) {
        regions::section(app, sheet, row);
    }
    for subject in finding.subjects.iter().filter(|subject| subject.kind == SubjectKind::TidbCluster).take(2) {
        let of = ObjectRef::new(&subject.context, &subject.namespace, &subject.name);
        if let Some(tc) = app.fleet.tidb_cluster(&of) {
            written(app, sheet, tc, &format!("who wrote {of} last"), 3);
        }
    }
    sheet.section("and then");
    sheet.line("why", finding.why);
    sheet.line("what to do", &finding.what_to_do);
}

/// The last write of each tool, from the object itself: it wrote one of the fields that it owns.
fn written(app: &App, sheet: &mut Sheet, tc: &TidbCluster, title: &str, most: usize) {
    const FIELDS: usize = 8;
    let all = last_writes(&tc.metadata);
    if all.is_empty() {
        return;
    }
    sheet.section(title);
    for write in all.iter().take(most) {
        let ago = write.at.map_or_else(|| "at some time".to_owned(), |at| format!("{} ago", age(at, app.now)));
        let more = match write.fields.len().saturating_sub(FIELDS) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let fields = write.fields.iter().take(FIELDS).cloned().collect::<Vec<_>>().join(", ");
        sheet.line(&ago, &format!("{} (owns {fields}{more})", write.by));
    }
}

fn certificate(app: &App, sheet: &mut Sheet, one: &Certificate) {
    sheet.head("certificate", &one.secret);
    sheet.level("state", certificate_level(one), state(one));
    sheet.line("of", &format!("TidbCluster {}", one.of));
    sheet.line("for", &one.title);
    for (name, value) in [("common name", &one.common_name), ("signed by", &one.issuer)] {
        if let Some(value) = value {
            sheet.line(name, value);
        }
    }
    for (name, time) in [("valid from", one.not_before), ("until", one.not_after)] {
        if let Some(time) = time {
            let left = one.days_left.filter(|_| name == "until").map(|days| format!(" ({})", left(days)));
            sheet.line(name, &format!("{}{}", time.strftime("%Y-%m-%d %H:%MZ"), left.unwrap_or_default()));
        }
    }
    if let Some(fingerprint) = &one.fingerprint {
        sheet.line("SHA-256", fingerprint);
    }
    let asked = app.looked_closer().map_or("not yet".to_owned(), |at| format!("{} ago", age(at, app.now)));
    sheet.line("asked for", &asked);
    sheet.section("what is wrong");
    if one.troubles.is_empty() {
        sheet.line("", "nothing");
    }
    for trouble in &one.troubles {
        sheet.line("", &trouble.sentence);
    }
    if one.held == Held::Seen {
        sheet.section("what it says");
        let hosts = if one.hosts.is_empty() { "none".to_owned() } else { one.hosts.join(", ") };
        sheet.line("DNS names", &hosts);
    }
    for (name, id) in [("key id", &one.key_id), ("signer's key id", &one.signer_key_id)] {
        if let Some(id) = id {
            sheet.line(name, &colons(id));
        }
    }
}

fn cluster(app: &App, sheet: &mut Sheet, context: &str) -> Option<()> {
    let cluster = app.fleet.clusters.get(context)?;
    sheet.head("KubeCluster", context);
    sheet.level("state", freshness_level(&cluster.freshness), &freshness_words(cluster, app.now));
    if let Some(message) = &cluster.message {
        sheet.line("", message);
    }
    if let Some(other) = app.fleet.same_cluster_as(context) {
        sheet.line("same as", other);
    }
    if let Some(heard) = cluster.heard {
        sheet.line("last heard", &format!("{} ago", age(heard, app.now)));
    }
    sheet.line("access", access_word(app, cluster));
    sheet.line("server", &cluster.server);
    sheet.line("version", cluster.version.as_deref().unwrap_or("not known"));
    sheet.line("kube-system UID", cluster.uid.as_deref().unwrap_or("not known"));
    let (level, words) = crd_words(&cluster.crd);
    sheet.level("TidbCluster CRD", level, words);
    match cluster.operator() {
        Ok(version) => sheet.line("operator", version.unwrap_or("not known")),
        Err(why) => sheet.level("operator", Level::Bad, why),
    }
    let domains = cluster.dns.domains.join(", ");
    sheet.line("cluster domain", if domains.is_empty() { "not known" } else { &domains });
    let names: Vec<String> = cluster.tidb_clusters.keys().map(ToString::to_string).collect();
    sheet.line("TidbClusters", &if names.is_empty() { "none".to_owned() } else { names.join(", ") });
    if let Some(weather) = app.weather.get(context) {
        connection(app, sheet, weather);
    }
    Some(())
}

/// How one is logged in, and how what was asked in this session has fared.
fn connection(app: &App, sheet: &mut Sheet, weather: &Weather) {
    sheet.section("connection");
    if let Some(credential) = &weather.credential {
        let until = credential.until.map(|until| format!(", until {}", until.strftime("%Y-%m-%d %H:%MZ")));
        let ended = credential.until.is_some_and(|until| until <= app.now);
        let role = if ended { Role::Level(Level::Bad) } else { Role::Plain };
        sheet.styled("login", &format!("{}{}", credential.kind, until.unwrap_or_default()), role);
    }
    if let Some(ms) = weather.quickest_ms {
        sheet.line("there and back", &format!("{ms} ms, the quickest of the last requests"));
    }
    match weather.clocks_differ() {
        Some(skew) => {
            let which = if skew > 0 { "ahead of" } else { "behind" };
            sheet.level("clock", Level::Working, &format!("{} s {which} this machine's", skew.abs()));
        }
        None if weather.skew_s.is_some() => sheet.line("clock", "as this machine's, to about 2 s"),
        None => {}
    }
    sheet.line("asked", &format!("{} in this session (:log has them)", counted(weather.sent, "request")));
    let level = |count: u64| if count > 0 { Role::Level(Level::Working) } else { Role::Dim };
    sheet.styled("failed", &weather.failed.to_string(), level(weather.failed));
    sheet.styled("busy (429)", &weather.busy.to_string(), level(weather.busy));
}

fn tidb_cluster(app: &App, sheet: &mut Sheet, of: &ObjectRef) -> Option<()> {
    let cluster = app.fleet.clusters.get(&of.context)?;
    let tc = app.fleet.tidb_cluster(of)?;
    sheet.head("TidbCluster", &of.to_string());
    sheet.level(
        "cluster",
        freshness_level(&cluster.freshness),
        &format!("{} {}", of.context, freshness_words(cluster, app.now)),
    );
    sheet.line("version", tc.spec.version.as_deref().unwrap_or("not set"));
    sheet.line("clusterDomain", tc.domain().unwrap_or("(none)"));
    sheet.line("acrossK8s", if tc.across_k8s() { "true" } else { "false" });
    if let Some(to) = &tc.spec.cluster {
        let namespace = to.namespace.as_deref().unwrap_or(tc.namespace());
        let domain = to.cluster_domain.as_deref().unwrap_or("no domain");
        sheet.line("joined", &format!("{namespace}/{} ({domain})", to.name));
    }
    sheet.line("TLS", if tc.tls() { "mutual" } else { "off" });
    if tc.paused() {
        sheet.level("paused", Level::Working, "the operator does nothing for it");
    }
    sheet.line("PD cluster id", tc.status.cluster_id.as_deref().unwrap_or("not known"));
    for condition in &tc.status.conditions {
        let level = if condition.status == "True" { Level::Good } else { Level::Working };
        let text = [condition.status.as_str(), condition.reason.as_str(), condition.message.as_str()];
        sheet.level(&condition.kind, level, &text.join(" "));
    }
    written(app, sheet, tc, "who wrote it", usize::MAX);
    sheet.section("rollout");
    for part in rollout(cluster, tc) {
        let title = part.component.title();
        if part.suspended {
            sheet.level(title, Level::Working, "suspended (suspendAction): its pods are gone, its volumes stay");
        } else if part.settled {
            sheet.level(title, Level::Good, &format!("settled, {} of {} ready", part.ready, part.replicas));
        } else {
            sheet.level(title, Level::Working, &part.reason);
        }
    }
    pod_page::events(app, sheet);
    Some(())
}
