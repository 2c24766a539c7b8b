//! The product's hands: what the loop of a run ([`super::run_loop`]) asks for, done on real connections under a permit and a
//! lease.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch;

use super::poll_backoff::Quiet;
use super::run_journal::{RunJournal, Unwritten};
use super::run_loop::{Hands, Taken};
use super::stop_grace::Haste;
use super::{Driver, GateAnswer, RunChannels, approve, ask, now, tell};
use crate::app::message::RunMessage;
use crate::client::kube::snapshot::Depth;
use crate::client::kube::watch_wakeup::Wake;
use crate::client::kube::{cross_cluster_probe, pod_probe};
use crate::client::wire::permit::{ProbePermit, WritePermit};
use crate::client::wire::suspend_aware_clock::Moment;
use crate::client::{self, write};
use crate::fleet::Change;
use crate::runbook::Observation;
use crate::runbook::action_types::{Answer, ProbeLine};
use crate::runbook::actions::Action;
use crate::runbook::actions::network_probe_result::RouteProbe;
use crate::runbook::plan::Gate;
use crate::runbook::run::approval_validity::{Approval, Wanted};
use crate::runbook::run::engine::Run;
use crate::runbook::run::record::{Event, Record};

/// What one driving of one run holds.
pub(super) struct WireHands<'a> {
    driver: &'a Driver,
    journal: &'a mut RunJournal,
    channels: &'a mut RunChannels,
    contexts: BTreeSet<String>,
    write: WritePermit,
    probe: ProbePermit,
    haste: Haste,
    stop: watch::Receiver<bool>,
    began: Instant,
    looked: Moment,
    /// Opened with the first wait.
    wake: Option<Wake>,
    quiet: Quiet,
    /// Where TidbClusters were seen before the first wait.
    namespaces: BTreeSet<String>,
    /// The domains that a pod was asked for; they do not change during a run.
    domains: Vec<Change>,
}

impl<'a> WireHands<'a> {
    /// `Err`: read-only; one sentence.
    pub fn of(
        driver: &'a Driver,
        run: &Run,
        journal: &'a mut RunJournal,
        channels: &'a mut RunChannels,
    ) -> Result<Self, String> {
        let contexts: BTreeSet<String> = run.plan.contexts.iter().cloned().collect();
        let mut write = WritePermit::for_run(&driver.links, &run.id, &contexts)?;
        let probe = ProbePermit::for_contexts(&driver.links, &contexts)?;
        if let Some(lease) = journal.lease() {
            write = write.under(Arc::clone(lease));
        }
        Ok(Self {
            haste: Haste::new(channels.stop.clone()),
            stop: channels.stop.clone(),
            began: Instant::now(),
            looked: driver.witness.moment(),
            wake: None,
            quiet: Quiet::default(),
            namespaces: BTreeSet::new(),
            domains: Vec::new(),
            driver,
            journal,
            channels,
            contexts,
            write,
            probe,
        })
    }
}

impl Hands for WireHands<'_> {
    fn now(&self) -> Timestamp {
        now()
    }

    fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    fn age_of_look(&self) -> Duration {
        self.driver.witness.since(self.looked)
    }

    fn stop_asked(&self) -> bool {
        *self.stop.borrow()
    }

    fn hurried(&mut self) -> bool {
        self.haste.is_over()
    }

    fn taken(&self) -> Option<Taken> {
        self.journal.taken().map(Taken)
    }

    async fn append(&mut self, event: Event) -> Result<Record, Unwritten> {
        // What comes now is waited for anew.
        self.quiet.moved();
        self.journal.append(now(), event).await
    }

    async fn observe(&mut self, run: &Run, depth: Depth) -> Option<Observation> {
        let begun = self.driver.witness.moment();
        let look = self.driver.observe(run, &self.contexts, depth, &mut self.domains);
        let mut look = std::pin::pin!(self.haste.bound(look));
        let seen = tokio::select! {
            seen = &mut look => seen,
            // Only the time before it can be cut short: a request that has begun is not dropped on its way.
            () = self.journal.is_late() => tokio::join!(look, self.journal.store()).0,
        }?;
        self.looked = begun;
        if self.wake.is_none() {
            self.namespaces = seen.fleet.tidb_clusters().map(|(of, _)| of.namespace).collect();
        }
        Some(seen)
    }

    async fn probe(&mut self, action: &Action, seen: &Observation) -> Option<Vec<ProbeLine>> {
        self.journal.store().await;
        self.haste.bound(pod_probe::probe(&self.driver.links, &self.probe, action, &seen.fleet)).await
    }

    async fn cross(&mut self, action: &Action, seen: &Observation) -> Option<Vec<RouteProbe>> {
        self.journal.store().await;
        self.haste.bound(cross_cluster_probe::cross(&self.driver.links, &self.probe, action, &seen.fleet)).await
    }

    async fn perform(&mut self, run: &Run, action: &Action, seen: &Observation) -> Answer {
        let sent = write::perform(&self.driver.links, &self.write, &run.id, action, &seen.fleet);
        let reason = "a person asked to stop before an answer came".to_owned();
        self.haste.bound(sent).await.unwrap_or(Answer::Unknown { reason })
    }

    async fn ask(&mut self, gate: &Gate) -> Result<GateAnswer, Taken> {
        self.journal.store().await;
        let lease = self.journal.lease().cloned();
        tokio::select! {
            said = ask(self.channels, gate) => Ok(said),
            why = approve::until_taken(lease.as_ref()) => Err(Taken(why)),
        }
    }

    async fn approvals(&mut self, run: &Run, of: &Wanted) -> Result<Vec<Approval>, Taken> {
        self.journal.store().await;
        let lease = self.journal.lease().cloned();
        let looking = self.driver.approvals(&run.plan, of, lease.as_ref(), self.channels);
        self.haste.bound(looking).await.unwrap_or_else(|| Ok(Vec::new())).map_err(Taken)
    }

    async fn look_around(&mut self, run: &Run, seen: &Observation) -> String {
        self.journal.store().await;
        let looked = self.driver.look_around(run, &self.contexts, seen);
        self.haste.bound(looked).await.unwrap_or_default()
    }

    async fn wait(&mut self, run: &Run, time: Duration) {
        self.journal.store().await;
        let links = &self.driver.links;
        let wake = self.wake.get_or_insert_with(|| {
            let all: BTreeSet<String> = namespaces(run).chain(self.namespaces.iter().cloned()).collect();
            Wake::of(links, &self.contexts, &all)
        });
        let now = tokio::time::Instant::now();
        let hears = wake.hears();
        let longest = now + self.quiet.longest(time, hears);
        // However much moves, it is not looked at more often than without a watch.
        let soonest = now + time;
        let moved = async {
            wake.moved().await;
            tokio::time::sleep_until(soonest).await;
        };
        tokio::select! {
            () = tokio::time::sleep_until(longest) => if hears { self.quiet.passed() },
            () = moved => self.quiet.moved(),
            _ = self.channels.stop.changed() => {}
        }
    }

    async fn tell(&mut self, message: RunMessage) {
        tell(self.channels, message).await;
    }
}

/// Where it matters to a run that something moves.
fn namespaces(run: &Run) -> impl Iterator<Item = String> {
    let of_steps = run.plan.steps.iter().map(|step| &step.action.target().namespace);
    of_steps.chain([&run.plan.target.namespace]).cloned()
}

impl Driver {
    /// One fresh look at everything that a run's next decision stands on.
    async fn observe(
        &self,
        run: &Run,
        contexts: &BTreeSet<String>,
        depth: Depth,
        domains: &mut Vec<Change>,
    ) -> Observation {
        let looked = self.links.look_closer_at(Some(contexts), &run.extras(), depth).await;
        let mut fleet = client::assemble(looked);
        self.add_domain(&mut fleet, run, domains).await;
        let mut seen = Observation { at: now(), fleet, denied: None };
        let objects = run.objects(&seen);
        self.add_objects(&mut seen.fleet, &objects).await;
        seen
    }
}
