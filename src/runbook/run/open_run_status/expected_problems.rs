//! What the open runs account for: problems and findings that are expected, and the commands that have to wait for them.
//!
//! Pure. Not here: what stands ([`super`]).

use crate::fleet::hazard_id::HazardId;
use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::Standing;
use super::current_wait::pod_name;
use crate::fleet::ObjectRef;
use crate::fleet::database::{Database, Member, StoreRow};
use crate::fleet::interrupted_work::{Diagnosis, Leftover};
use crate::fleet::problem::{Problem, ProblemKind};
use crate::fleet::problem_subject::{Subject, SubjectKind};
use crate::fleet::tidbcluster::Component;
use crate::hazards::{Finding, says};

impl Standing {
    /// Nothing is expected while PD's quorum is not seen to stand, nor once no process drives the run.
    fn at_work_on(&self, database: &Database) -> bool {
        self.open && !self.left() && self.sent && self.concerns(database) && database.quorum.stands()
    }

    /// Whether a problem is older than what it has sent: then it accounts for nothing of it. Two clocks are compared, so what
    /// lies close together counts as later.
    fn is_older(&self, problem: &Problem) -> bool {
        const APART: SignedDuration = SignedDuration::from_secs(30);
        // Heartbeats of stores are written down by PD every five minutes: a new leader tells of one that is as old as that.
        const NOT_WRITTEN_DOWN: SignedDuration = SignedDuration::from_secs(330);
        let apart = if problem.kind == ProblemKind::StoreNotUp { NOT_WRITTEN_DOWN } else { APART };
        let both = problem.since.zip(self.first_sent);
        both.is_some_and(|(since, sent)| sent.duration_since(since) > apart)
    }

    fn restarted(&self, of: Option<&ObjectRef>) -> bool {
        of.is_some_and(|of| self.restarts.contains(&of.to_string()))
    }

    /// Whether it restarts this member now.
    fn restarts_member(&self, member: &Member) -> bool {
        self.restarted(member.place.of()) && self.part.holds(Component::Pd, member.place.pod())
    }

    /// Whether a store is Disconnected for its doing: it restarts it, or PD pod by pod, whose new leaders have not heard of it.
    fn disconnects(&self, row: &StoreRow) -> bool {
        let component = row.store.component();
        row.store.is_silent()
            && self.restarted(row.place.of())
            && (self.part.component == Some(Component::Pd) || self.part.holds(component, row.place.pod()))
    }

    /// Whether what it is doing now accounts for a problem.
    pub fn explains(&self, database: &Database, problem: &Problem) -> bool {
        if !self.at_work_on(database) || self.is_older(problem) {
            return false;
        }
        let corrected = |member: &Member| {
            let pod = member.place.of().zip(member.place.pod());
            pod.is_some_and(|(of, pod)| self.corrects.contains(&pod_name(of, pod)))
        };
        let here = |subject: &Subject| {
            subject.kind == SubjectKind::TidbCluster
                && self.restarts.contains(&format!("{}/{}/{}", subject.context, subject.namespace, subject.name))
        };
        let members = || {
            let named = problem.about.iter().filter(|about| about.kind == SubjectKind::Member);
            named.filter_map(|about| database.members.iter().find(|member| member.id.hex() == about.name))
        };
        match problem.kind {
            ProblemKind::NotReady | ProblemKind::OutsideReady => problem.about.iter().any(here),
            ProblemKind::MemberUnhealthy => members().any(|member| self.restarts_member(member)),
            ProblemKind::PeerUrl => members().any(corrected),
            ProblemKind::StoreNotUp => {
                let named = problem.about.iter().filter(|about| about.kind == SubjectKind::Store);
                let rows =
                    named.filter_map(|about| database.stores.iter().find(|row| row.store.id.to_string() == about.name));
                rows.into_iter().any(|row| self.disconnects(row))
            }
            ProblemKind::OneUidTwice
            | ProblemKind::IdNotConfirmed
            | ProblemKind::OperatorDown
            | ProblemKind::Paused
            | ProblemKind::OwnDatabase
            | ProblemKind::LeadsBack
            | ProblemKind::TlsToggled
            | ProblemKind::PdCertificate
            | ProblemKind::DomainInDoubt
            | ProblemKind::ListsDiffer
            | ProblemKind::OtherCluster
            | ProblemKind::NeverStarted
            | ProblemKind::NoLeader
            | ProblemKind::NoQuorum => false,
        }
    }

    /// The same for a finding.
    pub fn explains_finding(&self, database: &Database, finding: &Finding) -> bool {
        if !self.at_work_on(database) {
            return false;
        }
        let subjects = |kind: SubjectKind| finding.subjects.iter().filter(move |subject| subject.kind == kind);
        let here = |set: &BTreeSet<String>, subject: &Subject| {
            set.contains(&format!("{}/{}/{}", subject.context, subject.namespace, subject.name))
        };
        let member = |name: &str| database.members.iter().find(|member| member.id.hex() == name);
        match finding.hazard.id {
            HazardId::NotReady => {
                let older = |subject: &Subject| {
                    let mut problems = database.problems.iter().filter(|one| one.kind == ProblemKind::NotReady);
                    problems.any(|one| one.about.contains(subject) && self.is_older(one))
                };
                subjects(SubjectKind::TidbCluster).next().is_some()
                    && !subjects(SubjectKind::TidbCluster).any(older)
                    && subjects(SubjectKind::TidbCluster).all(|subject| here(&self.restarts, subject))
            }
            HazardId::PdMemberUnhealthy => {
                subjects(SubjectKind::Member).next().is_some()
                    && subjects(SubjectKind::Member)
                        .all(|subject| member(&subject.name).is_some_and(|member| self.restarts_member(member)))
            }
            HazardId::PeerUrlsHalfUpdated => {
                let drifting: Vec<&Member> = database.members.iter().filter(|member| member.drift).collect();
                !drifting.is_empty()
                    && drifting.iter().all(|member| {
                        let pod = member.place.of().zip(member.place.pod());
                        pod.is_some_and(|(of, pod)| self.corrects.contains(&pod_name(of, pod)))
                    })
            }
            HazardId::StoreNotUp
            | HazardId::ComponentNotSettled
            | HazardId::OutsideReady
            | HazardId::PeerUrlUnexpected => {
                let mut said = database.problems.iter().filter(|problem| says(finding, problem)).peekable();
                said.peek().is_some() && said.all(|problem| self.explains(database, problem))
            }
            // A peerURL that no member can use makes others panic whoever is at work on it, and Ready that comes too early is so
            // after the run as well: a name stands above only where the run both brings it about and ends it.
            _ => false,
        }
    }

    /// What stands beside a problem that it explains.
    pub fn expected(&self) -> String {
        let doing = match (self.restarts.is_empty(), self.corrects.is_empty()) {
            (false, _) => format!("is restarting {}", self.restarts.iter().cloned().collect::<Vec<_>>().join(", ")),
            (true, false) => "corrects the peerURLs next".to_owned(),
            (true, true) => "is at work on it".to_owned(),
        };
        format!("expected: run {} {doing}", self.run)
    }

    fn first_command(&self) -> String {
        match self.next.as_slice() {
            [] => format!("tidepilot runs show {} # it is under way: wait for its end", self.run),
            [one] => one.clone(),
            [first, more @ ..] => format!("{first} # or: {}", more.join("; or: ")),
        }
    }
}

/// The run that accounts for a problem of a Database, if one does.
pub fn explained<'a>(runs: &'a [Standing], database: &Database, problem: &Problem) -> Option<&'a Standing> {
    runs.iter().find(|run| run.explains(database, problem))
}

/// Problems of all Databases that no run explains.
pub fn unexplained(runs: &[Standing], databases: &[Database]) -> bool {
    let mut all =
        databases.iter().flat_map(|database| database.problems.iter().map(move |problem| (database, problem)));
    all.any(|(database, problem)| explained(runs, database, problem).is_none())
}

/// Puts the open runs into what interrupted work was found: they come first, and no other command is proposed for their
/// Databases before they are over. `fleet_databases`: what was looked at.
pub fn into_diagnosis(runs: &[Standing], databases: &[Database], found: &mut Diagnosis) {
    for leftover in &mut found.leftovers {
        let database = databases.iter().find(|database| database.is_called(&leftover.database));
        let Some(run) = runs.iter().find(|run| run.open && database.is_some_and(|database| run.concerns(database)))
        else {
            continue;
        };
        if run.sent || leftover.remedy.is_run() {
            leftover.remedy = format!("{} # then look again", run.first_command()).into();
        }
    }
    let open = runs.iter().filter(|run| run.open).map(|run| Leftover {
        kind: "open-run",
        database: databases
            .iter()
            .find(|database| run.concerns(database))
            .map_or_else(|| run.database.clone().unwrap_or_default(), |database| database.name.clone()),
        at: run.target.clone(),
        sentence: run.sentence(),
        remedy: run.first_command().into(),
    });
    let open: Vec<Leftover> = open.collect();
    found.leftovers.splice(0..0, open);
}

/// Notes what the runs account for, and proposes no other command for their Databases before they are over.
pub fn into_findings(runs: &[Standing], databases: &[Database], findings: &mut [Finding]) {
    for finding in findings {
        let database = databases.iter().find(|database| finding.database.as_ref() == Some(&database.name));
        let Some(database) = database else { continue };
        let explained = runs.iter().find(|run| run.explains_finding(database, finding));
        finding.expected = explained.map(Standing::expected);
        let open = runs.iter().find(|run| run.open && run.concerns(database));
        if let Some(run) = open.filter(|_| finding.what_to_do.runs()) {
            finding.what_to_do = run.first_command().into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::database::{Place, database_of};
    use crate::runbook::language::sample_fleet_data;
    use crate::runbook::run::open_run_status::Part;
    use jiff::Timestamp;

    #[test]
    fn what_began_before_a_run_sent_anything_is_not_its_doing() {
        let at = |second: i64| Timestamp::from_second(1_700_000_000 + second).ok();
        let of = ObjectRef::new("east", "db", "basic");
        let problem = |since| Problem::new(ProblemKind::NotReady, Subject::tidb_cluster(&of), "not Ready").since(since);
        let run = |first_sent| Standing { first_sent, ..Standing::default() };
        for (since, sent, older) in [
            (at(0), at(31), true),
            // Two clocks.
            (at(0), at(29), false),
            (at(60), at(0), false),
            (None, at(0), false),
            (at(0), None, false),
        ] {
            assert_eq!(run(sent).is_older(&problem(since)), older, "{since:?} {sent:?}");
        }
    }

    #[test]
    fn a_fault_elsewhere_in_the_tidbcluster_is_not_the_doing_of_a_run_that_restarts_a_part() {
        let of = ObjectRef::new("sample", "db", "basic");
        let fleet = sample_fleet_data::observations().remove(0).fleet;
        let mut database = database_of(&fleet, &of).expect("a Database");
        for (at, row) in database.stores.iter_mut().enumerate() {
            row.store.state = "Disconnected".into();
            row.place = Place::new(of.clone(), format!("basic-tikv-{at}"));
        }
        let run = |component, pod: Option<&str>| Standing {
            open: true,
            sent: true,
            target: of.to_string(),
            restarts: [of.to_string()].into(),
            part: Part { component, pod: pod.map(str::to_owned) },
            ..Standing::default()
        };
        let store = |at: usize| {
            let about = Subject::of_pd(SubjectKind::Store, database.stores[at].store.id.to_string());
            Problem::new(ProblemKind::StoreNotUp, about, "is Disconnected")
        };
        let member = |at: usize| {
            let about = Subject::of_pd(SubjectKind::Member, database.members[at].id.hex());
            Problem::new(ProblemKind::MemberUnhealthy, about, "is not healthy")
        };
        let told =
            |run: Standing| [store(0), store(1), member(0), member(1)].map(|problem| run.explains(&database, &problem));
        assert_eq!(told(run(None, None)), [true; 4], "all of it restarts");
        assert_eq!(told(run(None, Some("basic-tikv-0"))), [true, false, false, false]);
        assert_eq!(told(run(None, Some("basic-pd-1"))), [false, false, false, true]);
        assert_eq!(told(run(None, Some("basic-tidb-0"))), [false; 4]);
        assert_eq!(told(run(Some(Component::Tikv), None)), [true, true, false, false]);
        assert_eq!(told(run(Some(Component::Tidb), None)), [false; 4]);
        // `check` calls expected what the other faces do.
        let finding = |at: usize| {
            Finding::new(HazardId::StoreNotUp, Some(&database.name), "is Disconnected").on(store(at).about[0].clone())
        };
        let mut ill = database.clone();
        ill.problems = vec![store(0), store(1)];
        let restarting = run(None, Some("basic-tikv-0"));
        assert!(restarting.explains_finding(&ill, &finding(0)) && !restarting.explains_finding(&ill, &finding(1)));
        // Its leader moves, and the next one hears of the stores anew.
        assert_eq!(told(run(Some(Component::Pd), None)), [true; 4]);
    }

    #[test]
    fn what_breaks_other_members_is_never_the_doing_of_a_run() {
        let of = ObjectRef::new("sample", "db", "basic");
        let fleet = sample_fleet_data::observations().remove(0).fleet;
        let mut database = database_of(&fleet, &of).expect("a Database");
        let (id, pod) = (database.members[0].id, database.members[0].place.pod().expect("a pod").to_owned());
        let on_member = || Subject::of_pd(SubjectKind::Member, id.hex());
        let on_part = || Subject::tidb_cluster(&of);
        database.problems = vec![
            Problem::new(ProblemKind::PeerUrl, on_member(), "another"),
            Problem::new(ProblemKind::NotReady, on_part(), "not Ready"),
            Problem::new(ProblemKind::OutsideReady, on_part(), "Pump"),
        ];
        let run = Standing {
            open: true,
            sent: true,
            target: of.to_string(),
            restarts: [of.to_string()].into(),
            corrects: [pod_name(&of, &pod)].into(),
            ..Standing::default()
        };
        for (id, subject, expected) in [
            (HazardId::PeerUrlUnexpected, on_member(), true),
            (HazardId::MalformedPeerUrl, on_member(), false),
            (HazardId::PeerUrlWrongScheme, on_member(), false),
            (HazardId::NotReady, on_part(), true),
            (HazardId::ReadyTooEarly, on_part(), false),
            (HazardId::ComponentNotSettled, on_part(), true),
            (HazardId::OutsideReady, on_part(), true),
        ] {
            let finding = Finding::new(id, Some(&database.name), "so").on(subject);
            assert_eq!(run.explains_finding(&database, &finding), expected, "{id}");
        }
    }

    #[test]
    fn a_store_that_a_new_leader_of_pd_has_not_heard_of_is_no_older_than_the_run() {
        let at = |second: i64| Timestamp::from_second(1_700_000_000 + second).ok();
        let store =
            |since| Problem::new(ProblemKind::StoreNotUp, Subject::of_pd(SubjectKind::Store, "1"), "away").since(since);
        let run = Standing { first_sent: at(400), ..Standing::default() };
        assert!(!run.is_older(&store(at(100))), "PD writes a heartbeat down every five minutes");
        assert!(run.is_older(&store(at(40))), "longer ago than PD keeps it to itself");
    }
}
