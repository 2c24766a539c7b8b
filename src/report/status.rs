//! `tidepilot status`: the fleet as a table, JSON or YAML. The JSON is documented in `docs/formats.md` and stable.

use serde::Serialize;

use crate::fleet::database::{Database, databases};
use crate::fleet::not_seen::{NotSeen, NotSeenList};
use crate::fleet::problem::Problem;
use crate::fleet::problem_subject::Subject;
use crate::fleet::rollout::rollout;
use crate::fleet::{Fleet, ObjectRef, kube_cluster_problems};
use crate::runbook::run::open_run_status::{self, Standing};

/// The document of `status -o json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    pub kube_clusters: Vec<KubeClusterStatus>,
    pub databases: Vec<Database>,
    /// What is wrong with the KubeClusters, one sentence each; what is with a Database is in it.
    pub problems: Vec<Problem>,
    /// The same problems and those of the Databases, each with what tells it from others.
    pub wrong: Vec<Told>,
    /// What could not be seen of the KubeClusters; what of a Database is in it.
    #[serde(flatten)]
    pub unseen: NotSeenList,
    /// What is half done: of this machine and of others, as far as the clusters tell.
    pub open_runs: Vec<OpenRun>,
    /// Where no open run could be looked for, one sentence each.
    pub open_runs_unseen: Vec<String>,
    /// What it comes to; the exit code follows from it.
    pub verdict: Verdict,
    /// Why, one sentence each; empty when all is well.
    pub because: Vec<String>,
    /// The same, each with what tells it from others.
    pub reasons: Vec<Told>,
}

/// A sentence for programs, with what stays the same while its words change.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// Of a problem: as in `check` and its catalogue; of what is not seen: as in `notSeen[]`; of a run: `run-open`.
    pub id: &'static str,
    /// `problem`, `unseen`, `run`
    pub kind: &'static str,
    /// Name of the Database; null where it is about a KubeCluster.
    pub database: Option<String>,
    pub subjects: Vec<Subject>,
    pub sentence: String,
}

impl Told {
    fn problem(database: Option<&Database>, problem: &Problem) -> Self {
        Self {
            id: problem.kind.hazard().word(),
            kind: "problem",
            database: database.map(|database| database.name.clone()),
            subjects: problem.about.clone(),
            sentence: problem.sentence.clone(),
        }
    }

    fn unseen(one: &NotSeen) -> Self {
        Self {
            id: one.kind.id(),
            kind: "unseen",
            database: one.database.clone(),
            subjects: one.about.clone(),
            sentence: one.sentence.clone(),
        }
    }

    fn run(run: &Standing) -> Self {
        let subjects = ObjectRef::parse(&run.target).iter().map(Subject::tidb_cluster).collect();
        Self { id: "run-open", kind: "run", database: None, subjects, sentence: run.sentence() }
    }

    /// The Database said before its sentence, where several stand in one list.
    fn named(self) -> Self {
        match &self.database {
            Some(name) => Self { sentence: format!("Database {name}: {}", self.sentence), ..self },
            None => self,
        }
    }
}

/// An open run, with the problems of `databases` that it accounts for.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenRun {
    #[serde(flatten)]
    pub run: Standing,
    pub explains: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KubeClusterStatus {
    pub context: String,
    /// live, stale, unreachable, forbidden, auth-needed, never-seen
    pub freshness: &'static str,
    pub version: Option<String>,
    /// Of the operator that is at work; absent where none is, or where it is not known.
    pub operator_version: Option<String>,
    /// Why no operator is at work: `scaled to 0`, `not running`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<&'static str>,
    pub tidb_clusters: Vec<TidbClusterStatus>,
    /// One plain sentence, where there is something to say.
    pub message: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TidbClusterStatus {
    pub namespace: String,
    pub name: String,
    pub version: Option<String>,
    pub cluster_domain: Option<String>,
    pub across_k8s: bool,
    /// The Ready condition's status: `True`, `False`; absent when there is none.
    pub ready: Option<String>,
    /// Components that a suspendAction has taken away.
    pub suspended: Vec<&'static str>,
}

/// The three answers of `status`, worst known first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Well,
    Wrong,
    Unseen,
}

impl Verdict {
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Well => 0,
            Verdict::Wrong => 2,
            Verdict::Unseen => 3,
        }
    }
}

impl Status {
    pub fn of(fleet: &Fleet) -> Self {
        let kube_clusters = fleet
            .clusters
            .values()
            .map(|cluster| KubeClusterStatus {
                context: cluster.context.clone(),
                freshness: cluster.freshness.word(),
                version: cluster.version.clone(),
                operator_version: cluster.operator().ok().flatten().map(ToOwned::to_owned),
                operator: cluster.operator().err(),
                tidb_clusters: cluster
                    .tidb_clusters
                    .values()
                    .map(|tc| TidbClusterStatus {
                        namespace: tc.namespace().to_owned(),
                        name: tc.name().to_owned(),
                        version: tc.spec.version.clone(),
                        cluster_domain: tc.spec.cluster_domain.clone(),
                        across_k8s: tc.across_k8s(),
                        ready: tc.ready_condition().map(|c| c.status.clone()),
                        suspended: rollout(cluster, tc)
                            .iter()
                            .filter(|part| part.suspended)
                            .map(|part| part.component.title())
                            .collect(),
                    })
                    .collect(),
                message: match fleet.same_cluster_as(&cluster.context) {
                    Some(first) => Some(format!("the same Kubernetes cluster as context {first}")),
                    None => cluster.message.clone(),
                },
            })
            .collect();
        let databases = databases(fleet);
        let problems = kube_cluster_problems::problems(fleet);
        let own = databases.iter().flat_map(|db| db.problems.iter().map(|problem| Told::problem(Some(db), problem)));
        let wrong = problems.iter().map(|problem| Told::problem(None, problem)).chain(own).collect();
        Self {
            kube_clusters,
            databases,
            problems,
            wrong,
            unseen: kube_cluster_problems::unseen(fleet).into(),
            open_runs: Vec::new(),
            open_runs_unseen: Vec::new(),
            verdict: Verdict::Well,
            because: Vec::new(),
            reasons: Vec::new(),
        }
        .judged()
    }

    fn judged(self) -> Self {
        let verdict = self.judge();
        let reasons = self.reasons(verdict);
        Self { verdict, because: reasons.iter().map(|one| one.sentence.clone()).collect(), reasons, ..self }
    }

    /// With what is half done.
    pub fn with_runs(self, runs: Vec<Standing>, unseen: Vec<String>) -> Self {
        let explains = |run: &Standing| {
            let all = self.databases.iter().flat_map(|database| {
                database
                    .problems
                    .iter()
                    .filter(|problem| run.explains(database, problem))
                    .map(|problem| problem.sentence.clone())
            });
            all.collect()
        };
        let open_runs = runs.into_iter().map(|run| OpenRun { explains: explains(&run), run }).collect();
        Self { open_runs, open_runs_unseen: unseen, ..self }.judged()
    }

    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// What the verdict rests on.
    fn reasons(&self, verdict: Verdict) -> Vec<Told> {
        match verdict {
            Verdict::Well => Vec::new(),
            Verdict::Unseen => {
                let parts = self
                    .databases
                    .iter()
                    .flat_map(|db| db.unseen.iter().map(|one| Told::unseen(&one.clone().of(&db.name)).named()));
                self.unseen.iter().map(Told::unseen).chain(parts).collect()
            }
            Verdict::Wrong => {
                let runs: Vec<Standing> = self.open_runs.iter().map(|open| open.run.clone()).collect();
                let parts = self.databases.iter().flat_map(|db| {
                    let loose = db.problems.iter().filter(|one| open_run_status::explained(&runs, db, one).is_none());
                    loose.map(|one| Told::problem(Some(db), one).named()).collect::<Vec<_>>()
                });
                let half = runs.iter().filter(|run| run.half_done()).map(Told::run);
                self.problems.iter().map(|one| Told::problem(None, one)).chain(parts).chain(half).collect()
            }
        }
    }

    /// What is wrong is known even when something else could not be seen, so it comes first.
    fn judge(&self) -> Verdict {
        let runs: Vec<Standing> = self.open_runs.iter().map(|open| open.run.clone()).collect();
        let wrong = !self.problems.is_empty()
            || open_run_status::unexplained(&runs, &self.databases)
            || runs.iter().any(Standing::half_done);
        let unseen = !self.unseen.is_empty() || self.databases.iter().any(|database| !database.unseen.is_empty());
        match (wrong, unseen) {
            (true, _) => Verdict::Wrong,
            (false, true) => Verdict::Unseen,
            (false, false) => Verdict::Well,
        }
    }
}
