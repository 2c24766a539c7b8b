//! What a plan restarts, and what clients of the database will feel of it: from how many pods there are and how the operator
//! rolls each component. No time is foretold: how long it takes depends on data that nobody has; the longest wait is the runbook's.
//!
//! What the operator does: TiDB Operator 1.6, `pkg/manager/member/*_upgrader.go`. Not here: whether a restart may begin (the
//! plan's checks).

use super::App;
use crate::fleet::ObjectRef;
use crate::fleet::database::Database;
use crate::fleet::object_kind::ObjectKind;
use crate::fleet::tidbcluster::Component;
use crate::pluralize::{counted, is};
use crate::runbook::actions::{Action, DeleteObject};
use crate::runbook::plan::{Plan, PlannedStep};

/// What one step waits for: pods of these components, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restart {
    pub of: ObjectRef,
    /// How many pods of each component of the TidbCluster, in the operator's order.
    pub pods: Vec<(Component, i64)>,
    /// How many minutes the run waits for it at the most, where one step says it.
    pub longest: Option<u64>,
    /// One pod that is made anew, where it is not every pod.
    pub alone: Option<String>,
}

impl Restart {
    /// `PD 3, TiKV 3, TiDB 2 pods of legacy/pingcap/basic, one at a time`
    pub fn words(&self) -> String {
        if let Some(pod) = &self.alone {
            return format!("pod {pod} of {}, and no other", self.of);
        }
        let all: i64 = self.pods.iter().map(|(_, count)| count).sum();
        let noun = if all == 1 { "pod" } else { "pods" };
        let pace = if all == 1 { "" } else { ", one at a time" };
        format!("{} {noun} of {}{pace}", self.pods_in_words(), self.of)
    }

    /// `PD 3, TiKV 3, TiDB 2`
    pub fn pods_in_words(&self) -> String {
        let parts = self.pods.iter().map(|(component, count)| format!("{} {count}", component.title()));
        parts.collect::<Vec<_>>().join(", ")
    }
}

impl App {
    /// What a step restarts; `None` where it restarts nothing, or that is not seen.
    pub fn restarts_of(&self, step: &PlannedStep) -> Option<Restart> {
        if step.already_so {
            return None;
        }
        let wait = match &step.action {
            Action::WaitRollout(wait) => wait,
            Action::DeleteObject(delete) => return self.restart_of_pod(delete),
            _ => return None,
        };
        let tc = self.fleet.tidb_cluster(&wait.target)?;
        let wanted = |component: &Component| wait.component.is_none_or(|only| only == *component);
        let pods: Vec<(Component, i64)> = Component::ALL
            .into_iter()
            .filter(wanted)
            .filter_map(|component| Some((component, tc.component(component)?.replicas)))
            .filter(|(_, count)| *count > 0)
            .collect();
        let longest = Some(step.total_s.div_ceil(60));
        (!pods.is_empty()).then(|| Restart { of: wait.target.clone(), pods, longest, alone: None })
    }

    /// A pod that is deleted comes again, with its StatefulSet.
    fn restart_of_pod(&self, delete: &DeleteObject) -> Option<Restart> {
        if delete.object_kind != ObjectKind::Pod || delete.made_by.is_some() {
            return None;
        }
        let at = &delete.target;
        let pod = self.fleet.clusters.get(&at.context)?.pods.get(&at.key())?;
        let of = ObjectRef::new(&at.context, &at.namespace, pod.instance()?);
        let component = Component::parse(pod.component()?)?;
        self.fleet.tidb_cluster(&of)?;
        Some(Restart { of, pods: vec![(component, 1)], longest: None, alone: Some(at.name.clone()) })
    }

    /// Everything that a plan restarts.
    pub fn restarts(&self, plan: &Plan) -> Vec<Restart> {
        plan.steps.iter().filter_map(|step| self.restarts_of(step)).collect()
    }

    /// What a plan takes away until somebody brings it back.
    pub fn outage(&self, plan: &Plan) -> Option<String> {
        let of = plan.suspends()?;
        let seen = self.fleet.clusters.get(&of.context).zip(self.fleet.tidb_cluster(of));
        let own = seen.into_iter().flat_map(|(cluster, tc)| cluster.pods_of(tc));
        // Discovery stays.
        let pods = own.filter(|pod| pod.component().is_some_and(|key| Component::parse(key).is_some())).count();
        plan.outage(Some(pods).filter(|pods| *pods > 0))
    }

    /// What clients feel of one, a sentence for each component that they meet.
    pub fn felt(&self, restart: &Restart) -> Vec<String> {
        let felt = |(component, count): &(Component, i64)| match restart.alone {
            Some(_) => self.felt_alone(restart, *component),
            None => self.felt_of(&restart.of, *component, *count),
        };
        restart.pods.iter().filter_map(felt).collect()
    }

    /// What the question before a restart of one TiKV pod says: as the operator rolls them, leaders would be moved away first.
    pub(super) fn felt_at_once(&self, plan: &Plan) -> Option<String> {
        let alone = |restart: &Restart| restart.alone.is_some();
        let tikv = |restart: &Restart| restart.pods.iter().any(|(component, _)| *component == Component::Tikv);
        let restart = self.restarts(plan).into_iter().find(|restart| alone(restart) && tikv(restart))?;
        let (count, noun) = self.led_by(&restart)?;
        (count > 0).then(|| format!("Clients feel it: {noun} on its store {} not moved away first.", is(count)))
    }

    /// How many region leaders are on the store of the one pod that is restarted, and the same in words.
    fn led_by(&self, restart: &Restart) -> Option<(i64, String)> {
        let pod = restart.alone.as_ref()?;
        let stores = &self.database_of(&restart.of)?.stores;
        let row = stores.iter().find(|row| row.place.of() == Some(&restart.of) && row.place.pod() == Some(pod))?;
        let count = row.store.leader_count;
        Some((count, counted(count, "region leader")))
    }

    /// Nobody moves anything away before one pod is deleted, as the operator does where it rolls them.
    fn felt_alone(&self, restart: &Restart, component: Component) -> Option<String> {
        let of = &restart.of;
        let others = self.others(self.database_of(of)?, component, 1);
        match component {
            Component::Tikv if others > 0 => {
                let led = self.led_by(restart).map(|(_, noun)| format!(", now {noun},")).unwrap_or_default();
                Some(format!(
                    "data: requests for the regions that its store leads{led} wait until other stores have elected leaders; nothing moves \
                     them away first, and when it is back PD moves leaders to it again"
                ))
            }
            Component::Pd if others > 0 => {
                let leader = self.database_of(of)?.leader().and_then(|member| member.place.pod());
                let leads = leader.is_some() && leader == restart.alone.as_deref();
                Some(match leads {
                    true => "PD: this pod leads, so that PD decides nothing for seconds, until another member does"
                        .to_owned(),
                    false => "PD: the other members go on, and the leader stays".to_owned(),
                })
            }
            _ => self.felt_of(of, component, 1),
        }
    }

    fn database_of(&self, of: &ObjectRef) -> Option<&Database> {
        self.databases().iter().find(|database| database.tidb_clusters.contains(of))
    }

    /// How many pods of a component the whole Database has beside one.
    fn others(&self, database: &Database, component: Component, here: i64) -> i64 {
        let parts = database.tidb_clusters.iter().filter_map(|part| self.fleet.tidb_cluster(part));
        let all: i64 = parts.filter_map(|tc| Some(tc.component(component)?.replicas)).sum();
        all.max(here) - 1
    }

    fn felt_of(&self, of: &ObjectRef, component: Component, here: i64) -> Option<String> {
        let database = self.database_of(of)?;
        let others = self.others(database, component, here);
        Some(match (component, others) {
            (Component::Tidb, 0) => {
                "SQL: the only TiDB pod restarts; until it is back no statement is taken".to_owned()
            }
            (Component::Tidb, _) => format!(
                "SQL: the connections to a TiDB pod end once, when it restarts; {} other {} new ones meanwhile",
                others,
                if others == 1 { "takes" } else { "take" }
            ),
            (Component::Tiproxy, 0) => "SQL: the only TiProxy pod restarts; connections through it end".to_owned(),
            (Component::Tiproxy, _) => {
                "SQL: the connections through a TiProxy pod end once, when it restarts".to_owned()
            }
            (Component::Tikv, 0) => "data: the only TiKV store restarts; until it is back nothing is read".to_owned(),
            (Component::Tikv, _) => {
                let stores = database.stores.iter().filter(|row| row.place.of() == Some(of) && !row.store.tiflash);
                let leaders: Vec<i64> = stores.map(|row| row.store.leader_count).collect();
                let told = match leaders.as_slice() {
                    [] => String::new(),
                    some => format!(" (now {} on these stores)", counted(some.iter().sum::<i64>(), "leader")),
                };
                format!(
                    "data: a store's region leaders are moved away before it restarts{told}; requests that meet a move are tried again"
                )
            }
            (Component::Tiflash, 0) => {
                "analytics: the only TiFlash store restarts; queries that need it fail".to_owned()
            }
            (Component::Tiflash, _) => "analytics: queries on a TiFlash store end when it restarts".to_owned(),
            (Component::Pd, 0) => "PD: its only member restarts; until it is back no transaction begins".to_owned(),
            (Component::Pd, _) => {
                "PD: leadership is transferred before its leader restarts; transactions wait for that moment".to_owned()
            }
            (Component::Ticdc, _) => "TiCDC: a changefeed moves to another pod, and lags meanwhile".to_owned(),
            (Component::Pump, _) => return None,
        })
    }
}
