//! What looks from inside the clusters gave: at a peerURL before it is set, and at the network between KubeClusters. Pure.

use jiff::Timestamp;
use serde_json::json;

use crate::runbook::action_types::ProbeLine;
use crate::runbook::actions::network_probe_result::RouteProbe;
use crate::runbook::actions::{Action, NetProbe, ProbePeerUrl, UpdatePeerUrl};
use crate::runbook::plan::PlannedStep;
use crate::runbook::run::engine::pause;
use crate::runbook::run::engine_effects::Effect;
use crate::runbook::run::record::{Cause, Event, How, PauseReason};
use crate::runbook::run::{Run, StepState};

/// How long a probe's answer may be relied on; seconds.
const FRESH_PROBE_S: i64 = 60;

impl Run {
    pub(super) fn probed(&self, step: &str, lines: &[ProbeLine], stop_asked: bool, now: Timestamp) -> Vec<Effect> {
        // Also one that was completed earlier: its proof had grown old.
        let Some(step) = self.step(step) else { return vec![Effect::Observe] };
        if stop_asked {
            return pause(&step.id, Cause::Asked, PauseReason::Asked);
        }
        if !lines.is_empty() && lines.iter().all(ProbeLine::good) {
            let event = Event::Completed { step: step.id.clone(), how: How::Observed, evidence: json!(lines) };
            return vec![Effect::Append(event), Effect::Observe];
        }
        let bad = lines.iter().find(|line| !line.good());
        let sentence = bad.map_or_else(
            || "no PD pod could look at the new peerURL".to_owned(),
            |line| format!("from {}: {}", line.from, line.detail),
        );
        self.wait(step, sentence, now)
    }

    /// A way that is shut is tried again for a while (a negative answer of DNS is kept for up to 30 s); then the look
    /// is over and what it saw is its result, good or not: nothing that this run could do would open it.
    pub(super) fn crossed(&self, step: &str, ways: &[RouteProbe], stop_asked: bool, now: Timestamp) -> Vec<Effect> {
        let Some(step) = self.step(step) else { return vec![Effect::Observe] };
        if stop_asked {
            return pause(&step.id, Cause::Asked, PauseReason::Asked);
        }
        let Action::NetProbe(NetProbe { patience_s, .. }) = &step.action else { return vec![Effect::Observe] };
        let patience = i64::try_from(*patience_s).unwrap_or(i64::MAX);
        let shut = ways.iter().find_map(RouteProbe::trouble);
        match shut {
            None if ways.is_empty() => self.wait(step, "there is nowhere to look from".to_owned(), now),
            Some(shut) if now.duration_since(self.progress).as_secs() < patience => self.wait(step, shut, now),
            Some(_) | None => {
                let evidence = json!({ "ways": ways });
                vec![
                    Effect::Append(Event::Completed { step: step.id.clone(), how: How::Observed, evidence }),
                    Effect::Observe,
                ]
            }
        }
    }

    /// The probe that an update relies on, when it was taken too long ago: a gate or a pause may lie between.
    pub(super) fn stale_probe(&self, step: &PlannedStep, now: Timestamp) -> Option<&PlannedStep> {
        let Action::UpdatePeerUrl(UpdatePeerUrl { to, restores: false, .. }) = &step.action else { return None };
        let probe = self.plan.steps.iter().find(|other| {
            other.item == step.item
                && matches!(&other.action, Action::ProbePeerUrl(ProbePeerUrl { url, .. }) if to.contains(url))
        })?;
        let skipped = matches!(self.state(&probe.id), StepState::Completed(How::Skipped { .. } | How::ByHand));
        let age = self.probed_at.get(&probe.id).map(|at| now.duration_since(*at).as_secs().abs());
        (!skipped && age.is_none_or(|age| age > FRESH_PROBE_S)).then_some(probe)
    }
}
