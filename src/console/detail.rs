//! One thing, with everything known of it, unabridged.

use super::text::{Page, pad, span};
use super::theme::{Role, Theme};
use crate::app::matrix::{pod_words, store_level};
use crate::app::views::certificates::{level as certificate_level, state};
use crate::app::views::findings::level as finding_level;
use crate::app::views::members::health;
use crate::app::words::{Level, access_word, age, crd_words, freshness_level, freshness_words};
use crate::app::{App, Subject};
use crate::fleet::ObjectRef;
use crate::fleet::certificate::colons;
use crate::fleet::database::Member;
use crate::fleet::expiry::{Certificate, Held, left};
use crate::fleet::rollout::rollout;
use crate::hazards::Finding;

/// Width of the labels at the left.
const LABEL: usize = 16;

struct Sheet {
    page: Page,
    theme: Theme,
    room: usize,
}

impl Sheet {
    fn head(&mut self, kind: &str, name: &str) {
        let spans =
            vec![span(format!("  {kind} "), self.theme.style(Role::Dim)), span(name, self.theme.style(Role::Strong))];
        self.page.push(spans);
        self.page.gap();
    }

    fn section(&mut self, title: &str) {
        self.page.gap();
        self.page.push(vec![span(format!("  {title}"), self.theme.style(Role::Title))]);
    }

    fn line(&mut self, label: &str, text: &str) {
        self.styled(label, text, Role::Plain);
    }

    fn level(&mut self, label: &str, level: Level, text: &str) {
        let text = format!("{} {text}", self.theme.glyph(level));
        self.styled(label, &text, Role::Level(level));
    }

    fn styled(&mut self, label: &str, text: &str, role: Role) {
        let label = span(format!("  {}", pad(label, LABEL)), self.theme.style(Role::Dim));
        self.page.hang(vec![label], text, self.theme.style(role), self.room.saturating_sub(1));
    }
}

pub fn page(app: &App, theme: Theme, subject: &Subject, room: usize) -> Page {
    let mut sheet = Sheet { page: Page::default(), theme, room };
    let known = match subject {
        Subject::Pod(of) => pod(app, &mut sheet, of),
        Subject::Cluster(context) => cluster(app, &mut sheet, context),
        Subject::TidbCluster(of) => tidb_cluster(app, &mut sheet, of),
        Subject::Member(id) => app.database().and_then(|db| db.member(*id)).map(|member| {
            sheet.head("PD member", &member.id.hex());
            self::member(&mut sheet, member);
        }),
        Subject::Store(id) => store(app, &mut sheet, *id),
        Subject::Finding(key) => app.finding(key).map(|finding| self::finding(app, &mut sheet, finding)),
        Subject::Certificate(key) => app.certificate(key).map(|one| certificate(app, &mut sheet, one)),
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
    sheet.section("and then");
    sheet.line("why", finding.why);
    sheet.line("what to do", &finding.what_to_do);
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

fn pod(app: &App, sheet: &mut Sheet, of: &ObjectRef) -> Option<()> {
    sheet.head("pod", &of.to_string());
    let cluster = app.fleet.clusters.get(&of.context)?;
    sheet.level(
        "cluster",
        freshness_level(&cluster.freshness),
        &format!("{} {}", of.context, freshness_words(cluster, app.now)),
    );
    let Some(pod) = cluster.pods.get(&of.key()) else {
        sheet.level("status", Level::Working, "wanted by the spec, and there is no such pod");
        return Some(());
    };
    let (level, word) = pod_words(pod);
    match cluster.freshness.is_live() {
        true => sheet.level("status", level, &word),
        false => sheet.level("status", Level::Unknown, &format!("{word}, when last seen")),
    }
    let containers = &pod.status.container_statuses;
    let ready = containers.iter().filter(|container| container.ready).count();
    sheet.line("containers", &format!("{ready}/{} ready, {} restarts", containers.len(), pod.restarts()));
    if let Some(ip) = &pod.status.pod_ip {
        sheet.line("IP", ip);
    }
    if let Some(created) = pod.metadata.creation_timestamp {
        sheet.line("age", &age(created, app.now));
    }
    if let Some(revision) = pod.metadata.labels.get("controller-revision-hash") {
        sheet.line("revision", revision);
    }
    let member = app.database()?.members.iter().find(|member| {
        member.kube_cluster.as_deref() == Some(&of.context)
            && member.namespace.as_deref() == Some(&of.namespace)
            && member.pod.as_deref() == Some(&of.name)
    });
    if let Some(member) = member {
        sheet.section("as PD says");
        self::member(sheet, member);
    }
    if let Some(view) = cluster.pd.get(&of.key()) {
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
    let store = app
        .database()?
        .stores
        .iter()
        .find(|row| row.kube_cluster.as_deref() == Some(&of.context) && row.pod.as_deref() == Some(&of.name));
    if let Some(row) = store {
        sheet.section("as PD says");
        store_lines(sheet, row);
    }
    Some(())
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
    let place = match (&member.kube_cluster, &member.namespace, &member.pod) {
        (Some(context), Some(namespace), Some(pod)) => format!("{context}/{namespace}/{pod}"),
        _ => "in no connected context".into(),
    };
    sheet.line("pod", &place);
    let role = if member.drift { Role::Level(Level::Bad) } else { Role::Plain };
    sheet.styled("peerURL", &member.peer_urls.join(" "), role);
    if let Some(expected) = member.expected_peer_url.as_ref().filter(|_| member.drift) {
        let label = format!("expected {}", sheet.theme.drift());
        sheet.styled(&label, expected, Role::Level(Level::Working));
    }
    sheet.line("clientURL", &member.client_urls.join(" "));
}

fn store(app: &App, sheet: &mut Sheet, id: u64) -> Option<()> {
    let row = app.database()?.stores.iter().find(|row| row.store.id == id)?;
    sheet.head("store", &id.to_string());
    store_lines(sheet, row);
    Some(())
}

fn store_lines(sheet: &mut Sheet, row: &crate::fleet::database::StoreRow) {
    let store = &row.store;
    sheet.level("state", store_level(&store.state), &store.state);
    sheet.line("store id", &store.id.to_string());
    sheet.line("kind", if store.tiflash { "TiFlash" } else { "TiKV" });
    sheet.line("address", &store.address);
    sheet.line("version", &store.version);
    sheet.line("regions", &format!("{}, {} led from here", store.region_count, store.leader_count));
    let place = match (&row.kube_cluster, &row.pod) {
        (Some(context), Some(pod)) => format!("{pod} in {context}"),
        _ => "in no connected context".into(),
    };
    sheet.line("pod", &place);
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
    Some(())
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
    Some(())
}
