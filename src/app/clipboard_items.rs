//! What can be copied of what is under the cursor: names, ids, URLs, and the kubectl line that shows the same.
//!
//! The first one is what is wanted most. Not here: how it is copied (`console::clipboard`).

use super::port_forwards::Forward;
use super::views::Item;
use super::{App, Subject, View};
use crate::fleet::ObjectRef;
use crate::fleet::kubectl_quoting::{kubectl, kubectl_in, quote};
use crate::fleet::logs_and_events::{Kind, LogOf, Thing};
use crate::hazards::Finding;
use crate::runbook::run::open_run_status::Standing;

/// TiDB's port for clients.
const SQL: u16 = 4000;

/// One thing that can be copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copyable {
    pub what: &'static str,
    pub text: String,
}

fn one(what: &'static str, text: impl Into<String>) -> Copyable {
    Copyable { what, text: text.into() }
}

impl App {
    /// What can be copied here, without what is empty or twice the same.
    pub fn copyable(&self) -> Vec<Copyable> {
        let mut all = match self.view() {
            View::Plan => self.plan.iter().flat_map(|plan| plan_lines(plan)).collect(),
            View::Run => self.run.iter().flat_map(|run| run_lines(run.id())).collect(),
            View::Approval => {
                let run = self.approving.as_ref().map(|approving| approving.run.clone());
                run.map(|run| one("run id", run)).into_iter().collect()
            }
            View::Logs { of, previous } => log_lines(of, *previous),
            View::Yaml(thing) => vec![one("name", &thing.of.name), one("kubectl", get(thing, " -o yaml"))],
            View::Compare(first, second) => {
                vec![one("kubectl of A", get(first, " -o yaml")), one("kubectl of B", get(second, " -o yaml"))]
            }
            View::Detail(subject) => self.of_subject(subject),
            _ => self.of_row(),
        };
        if let View::Events(Some(about)) = self.view() {
            all.push(one("kubectl", events_of(about)));
        }
        all.retain(|item| !item.text.is_empty() && item.text != "?");
        let mut seen = std::collections::BTreeSet::new();
        all.retain(|item| seen.insert(item.text.clone()));
        all
    }

    fn of_row(&self) -> Vec<Copyable> {
        let Some(row) = self.row() else { return Vec::new() };
        match (&row.item, self.view()) {
            (Item::Run(index), View::Runs) => self.runs.get(*index).map(of_run).unwrap_or_default(),
            (Item::Run(_), _) => vec![one("the line that approves", &row.copy), one("run id", &row.key)],
            (Item::Database(index), _) => {
                let id = self.databases().get(*index).and_then(|database| database.id.clone());
                vec![one("name", &row.copy), one("PD cluster id", id.unwrap_or_default())]
            }
            (Item::Namespace(_), _) => vec![one("namespace", &row.copy)],
            (Item::Runbook { .. }, _) => {
                vec![one("runbook", &row.copy), one("tidepilot", format!("tidepilot plan {}", quote(&row.copy)))]
            }
            (Item::Forward(index), _) => self.forwards.get(*index).map(of_forward).unwrap_or_default(),
            (Item::Line | Item::Happened { .. }, _) => vec![one("this line", &row.copy)],
            _ => match self.subject(&row) {
                Some(subject) => self.of_subject(&subject),
                None => vec![one("this row", &row.copy)],
            },
        }
    }

    fn of_subject(&self, subject: &Subject) -> Vec<Copyable> {
        match subject {
            Subject::Pod(of) => self.of_pod_lines(of),
            Subject::TidbCluster(of) => {
                let thing = Thing { kind: Kind::TidbCluster, of: of.clone() };
                vec![
                    one("name", &of.name),
                    one("full name", of.to_string()),
                    one("kubectl", get(&thing, " -o wide")),
                    one("kubectl, all of this view", in_place(of, "get tc -o wide")),
                    one("tidepilot", format!("tidepilot status --context {}", quote(&of.context))),
                ]
            }
            Subject::Member(id) => {
                let Some(member) = self.database().and_then(|all| all.member(*id)) else { return Vec::new() };
                let mut all = vec![
                    one("member id", id.hex()),
                    one("peerURL", member.peer_urls.join(",")),
                    one("peerURL as it should be", member.expected_peer_url.clone().unwrap_or_default()),
                    one("clientURL", member.client_urls.join(",")),
                    one("member's name", &member.name),
                    one("id, decimal", id.decimal()),
                ];
                all.extend(
                    super::selected_object::member_pod(member).map(|of| self.of_pod_lines(&of)).unwrap_or_default(),
                );
                all
            }
            Subject::Store(id) => {
                let row = self.database().and_then(|all| all.stores.iter().find(|row| row.store.id == *id));
                let Some(row) = row else { return Vec::new() };
                let mut all = vec![one("store id", id.to_string()), one("address", &row.store.address)];
                all.extend(super::selected_object::store_pod(row).map(|of| self.of_pod_lines(&of)).unwrap_or_default());
                all
            }
            Subject::Cluster(context) => {
                let server = self.fleet.clusters.get(context).map(|cluster| cluster.server.clone());
                vec![
                    one("context", context),
                    one("server", server.unwrap_or_default()),
                    one("kubectl", format!("{} get tc -A -o wide", kubectl_in(context))),
                ]
            }
            Subject::Finding(key) => self.finding(key).map(of_finding).unwrap_or_default(),
            Subject::Certificate(key) => {
                let Some(found) = self.certificate(key) else { return Vec::new() };
                vec![
                    one("Secret", &found.secret),
                    one("SHA-256", found.fingerprint.clone().unwrap_or_default()),
                    one("DNS names", found.hosts.join("\n")),
                    one("kubectl", in_place(&found.of, &format!("describe secret {}", quote(&found.secret)))),
                ]
            }
            Subject::Sentence(text) => vec![one("this sentence", text)],
            Subject::Run(id) => self.runs.iter().find(|run| run.run == *id).map(of_run).unwrap_or_default(),
        }
    }

    fn of_pod_lines(&self, of: &ObjectRef) -> Vec<Copyable> {
        let thing = Thing { kind: Kind::Pod, of: of.clone() };
        let pod = self.fleet.clusters.get(&of.context).and_then(|cluster| cluster.pods.get(&of.key()));
        let ip = pod.and_then(|pod| pod.status.pod_ip.clone()).unwrap_or_default();
        let mut all = vec![
            one("pod", &of.name),
            one("full name", of.to_string()),
            one("kubectl", get(&thing, " -o wide")),
            one("kubectl, described", in_place(of, &format!("describe pod {}", quote(&of.name)))),
        ];
        all.extend(log_lines(&[self.log_of(of)], false));
        let port = pod.and_then(|pod| pod.ports().next()).map(|(_, port)| port.container_port);
        all.extend(port.map(|port| one("kubectl, a port-forward", port_forward(of, port))));
        let container = pod.and_then(|pod| pod.containers().first().map(|name| (*name).to_owned()));
        all.extend(container.map(|container| {
            let rest = format!("exec -it {} -c {} -- sh -c 'bash || sh'", quote(&of.name), quote(&container));
            one("kubectl, a shell", in_place(of, &rest))
        }));
        all.push(one("kubectl, all of this view", in_place(of, "get pods -o wide")));
        all.push(one("IP", ip));
        all
    }
}

fn in_place(of: &ObjectRef, rest: &str) -> String {
    format!("{} {rest}", kubectl(of))
}

fn get(thing: &Thing, rest: &str) -> String {
    in_place(&thing.of, &format!("get {} {}{rest}", thing.kind.short(), quote(&thing.of.name)))
}

fn events_of(about: &Thing) -> String {
    let field = format!("involvedObject.name={}", about.of.name);
    in_place(&about.of, &format!("get events --sort-by=.lastTimestamp --field-selector {}", quote(&field)))
}

fn log_lines(of: &[LogOf], previous: bool) -> Vec<Copyable> {
    let line = |log: &LogOf| {
        let container = log.container.as_ref().map_or_else(String::new, |name| format!(" -c {}", quote(name)));
        let rest = if previous { " --previous" } else { "" };
        in_place(&log.pod, &format!("logs {}{container}{rest}", quote(&log.pod.name)))
    };
    let lines: Vec<String> = of.iter().map(line).collect();
    vec![one("kubectl, its log", lines.join("\n"))]
}

fn port_forward(of: &ObjectRef, port: u16) -> String {
    in_place(of, &format!("port-forward pod/{} :{port}", quote(&of.name)))
}

/// The address here first: that is what the next command wants.
fn of_forward(forward: &Forward) -> Vec<Copyable> {
    let address = forward.address().unwrap_or_default();
    let port = address.rsplit(':').next().unwrap_or_default();
    let mysql =
        (forward.port == SQL && !address.is_empty()).then(|| format!("mysql -h 127.0.0.1 -P {port} -u root -p"));
    vec![
        one("address here", address),
        one("port here", port),
        one("mysql", mysql.unwrap_or_default()),
        one("kubectl", port_forward(&forward.pod, forward.port)),
        one("pod", &forward.pod.name),
    ]
}

fn plan_lines(plan: &crate::runbook::plan::Plan) -> Vec<Copyable> {
    let changing = plan.steps.iter().filter(|step| step.action.writes());
    let by_hand = changing.map(|step| step.command.clone() + "\n").collect::<String>();
    let set = plan.given().into_iter().map(|(name, value)| format!(" --set {}", quote(&format!("{name}={value}"))));
    let line = format!("tidepilot plan {}{}", quote(&plan.runbook), set.collect::<String>());
    vec![one("the changes by hand", by_hand), one("tidepilot", line)]
}

fn run_lines(id: &str) -> Vec<Copyable> {
    vec![
        one("run id", id),
        one("tidepilot, its record", format!("tidepilot runs show {}", quote(id))),
        one("tidepilot, its report", format!("tidepilot runs report {}", quote(id))),
        one("tidepilot, is it whole", format!("tidepilot runs verify {}", quote(id))),
    ]
}

fn of_run(run: &Standing) -> Vec<Copyable> {
    let mut all = run_lines(&run.run);
    all.insert(1, one("how it stands", run.refusal()));
    all.push(one("target", &run.target));
    all
}

fn of_finding(finding: &Finding) -> Vec<Copyable> {
    let about: Vec<String> = finding.subjects.iter().map(ToString::to_string).collect();
    vec![
        one("the finding", format!("{}: {}", finding.id(), finding.sentence)),
        one("what to do", &*finding.what_to_do),
        one("why", finding.why),
        one("about", about.join("\n")),
    ]
}
