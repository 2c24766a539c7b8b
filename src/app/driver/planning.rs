//! From a runbook's id and inputs to a plan: one fresh look, the preflight, the rights, the server's dry runs.
//!
//! Nothing is stored by it. Not here: what the steps are (`runbook::plan::bind`), carrying them out ([`super`]).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use super::{Driver, now, refused};
use crate::client::certificates::cfssl;
use crate::client::kube::{pod_probe, rights};
use crate::client::wire::permit::{ProbePermit, WritePermit};
use crate::client::{self, write};
use crate::fleet::closer_look::Extra;
use crate::fleet::database::database_of;
use crate::fleet::dns::Served;
use crate::fleet::object_kind::ObjectId;
use crate::fleet::tidbcluster::{Component, TidbCluster};
use crate::fleet::{Change, Fleet, KubeCluster, ObjectRef, What, rollout};
use crate::runbook::Observation;
use crate::runbook::action_types::{Reversibility, Signer};
use crate::runbook::actions::merge_patch;
use crate::runbook::actions::right_types::{Need, Reach};
use crate::runbook::actions::{Action, IssueCa, IssueCertificate, PatchTidbCluster};
use crate::runbook::before_after_image::Image;
use crate::runbook::language::document::Runbook;
use crate::runbook::language::given_inputs;
use crate::runbook::plan::bind::{bind, bind_accepting};
use crate::runbook::plan::digest;
use crate::runbook::plan::overrule::Accepted;
use crate::runbook::plan::reads_for_facts;
use crate::runbook::plan::required_rights::needs;
use crate::runbook::plan::{CheckResult, Plan, PlannedStep, Rehearsal};
use crate::runbook::run::Run;

/// What the check is called that rehearses every request on the server.
const REHEARSED: &str = "The server takes every request in a dry run";

impl Driver {
    /// Makes a plan from one fresh look at every context. With `rehearse`, the server dry-runs each patch; without, and where
    /// one of its contexts is read-only, nothing but reads is sent and the results are predicted.
    pub async fn plan(&self, id: &str, inputs: &BTreeMap<String, String>, rehearse: bool) -> Result<Plan, String> {
        self.plan_accepting(id, inputs, &Accepted::new(), rehearse).await
    }

    /// The same with what a person overrules.
    pub async fn plan_accepting(
        &self,
        id: &str,
        inputs: &BTreeMap<String, String>,
        accepted: &Accepted,
        rehearse: bool,
    ) -> Result<Plan, String> {
        let (runbook, document) = self.catalog.find(id)?;
        let inputs = &given_inputs::at(&runbook, inputs, now());
        let given = given_inputs::read(&runbook, inputs).map_err(|error| error.to_string())?;
        if let Some(unknown) = given.contexts.iter().find(|context| self.links.get(context).is_none()) {
            let known: Vec<&str> = self.links.iter().map(|link| link.context()).collect();
            return Err(format!("no context is called {unknown:?}; connected are: {}", known.join(", ")));
        }
        let target = given.target;
        let extras = reads_for_facts::extras_of_facts(&runbook);
        let mut fleet = self.links.look_settled(&extras, |database| database.tidb_clusters.contains(&target)).await;
        for context in &given.contexts {
            if let Some(first) = fleet.same_cluster_as(context) {
                return Err(format!(
                    "context {context} is the same Kubernetes cluster as {first}, and its objects go by that name: give {first} instead of {context}, or choose one of them with --context"
                ));
            }
        }
        if rehearse {
            let places = given_inputs::domains(&runbook, &given.values);
            let told = self.ask_pods(&fleet, &target, &places).await;
            told.into_iter().for_each(|change| fleet.apply(change));
        }
        // The rights follow from the plan's actions, and the plan has to say which of them are lacking.
        let mut seen = Observation { at: now(), fleet, denied: Some(Vec::new()) };
        let reads = reads_for_facts::objects_of_facts(&runbook, &given.values, &seen);
        self.add_objects(&mut seen.fleet, &reads).await;
        let draft = bind_accepting(&runbook, inputs, &seen, accepted).map_err(|error| error.to_string())?;
        let objects = draft.steps.iter().flat_map(|step| step.action.objects()).collect();
        self.add_objects(&mut seen.fleet, &objects).await;
        let reach = self.reach(&runbook, &draft, &seen);
        let required = self.needs(&draft, &reach).into_iter().filter(|need| need.required);
        let required: Vec<rights::Right> = required.map(|need| need.right).collect();
        seen.denied = Some(rights::denied(&self.links, &required).await);
        let mut plan = bind_accepting(&runbook, inputs, &seen, accepted).map_err(|error| error.to_string())?;
        plan.checks.extend(self.second_person(&plan));
        plan.checks.extend(cfssl_unfit(&plan));
        plan.basis = digest::basis(&plan, &seen);
        plan.document = document;
        plan.checks.extend(
            self.read_only_elsewhere(&seen.fleet, &plan.contexts)
                .map(|why| refused("read-only", "Every context of it may be written to", why)),
        );
        let reads_only = |context: &String| self.links.get(context).is_some_and(|link| link.read_only());
        let rehearse = rehearse && !plan.contexts.iter().any(reads_only);
        if rehearse && plan.refusals().next().is_none() {
            self.rehearse(&mut plan).await;
            plan.checks.extend(self.rehearse_probe(&plan, &seen.fleet).await);
        }
        Ok(plan)
    }

    /// A context to be written to that leads to a Kubernetes cluster which is read-only under another name; one sentence.
    pub(super) fn read_only_elsewhere(&self, fleet: &Fleet, contexts: &[String]) -> Option<String> {
        contexts.iter().find_map(|context| {
            let own = self.links.get(context).is_some_and(|link| !link.read_only());
            let other = fleet.read_only_as(context).filter(|_| own)?;
            Some(format!(
                "context {context} is the same Kubernetes cluster as {other}, which is read-only: nothing is sent to it under either name"
            ))
        })
    }

    /// Adds what is seen at the places of single objects.
    pub(super) async fn add_objects(&self, fleet: &mut Fleet, objects: &BTreeSet<ObjectId>) {
        for change in self.links.look_at_objects(objects).await {
            fleet.apply(change);
        }
    }

    /// The least rights with which this runbook can be run, with the plan that they follow from. The namespace: where
    /// a run has to be told `-n` for them to be enough.
    pub async fn least_rights(
        &self,
        id: &str,
        inputs: &BTreeMap<String, String>,
    ) -> Result<(Plan, Option<String>, Vec<Need>), String> {
        let (runbook, _) = self.catalog.find(id)?;
        let inputs = &given_inputs::at(&runbook, inputs, now());
        let given = given_inputs::read(&runbook, inputs).map_err(|error| error.to_string())?;
        let extras = reads_for_facts::extras_of_facts(&runbook);
        let fleet = client::assemble(self.links.look_closer(None, &extras).await);
        let mut seen = Observation { at: now(), fleet, denied: Some(Vec::new()) };
        let reads = reads_for_facts::objects_of_facts(&runbook, &given.values, &seen);
        self.add_objects(&mut seen.fleet, &reads).await;
        let plan = bind(&runbook, inputs, &seen).map_err(|error| error.to_string())?;
        let mut reach = self.reach(&runbook, &plan, &seen);
        let everywhere = reach.tidb_clusters.iter().map(|(of, _)| of).chain(&reach.later);
        let everywhere = everywhere.chain(plan.steps.iter().map(|step| step.action.target()));
        let namespaces: BTreeSet<&String> = everywhere.map(|of| &of.namespace).collect();
        if let (None, Some(only), 1) = (&reach.namespace, namespaces.first(), namespaces.len()) {
            reach.namespace = Some((*only).clone());
        }
        let needs = self.needs(&plan, &reach);
        Ok((plan, reach.namespace, needs))
    }

    /// Every right of a run of this plan: the only source of preflight and `rbac`.
    fn needs(&self, plan: &Plan, reach: &Reach) -> Vec<Need> {
        needs(&plan.contexts, plan.steps.iter().map(|step| &step.action), reach)
    }

    fn reach(&self, runbook: &Runbook, plan: &Plan, seen: &Observation) -> Reach {
        let fleet = &seen.fleet;
        let database = database_of(fleet, &plan.target);
        let all = database.map_or_else(|| vec![plan.target.clone()], |database| database.tidb_clusters);
        let asked = reads_for_facts::asked_of_pd(runbook, &plan.inputs, seen);
        let absent = |of: &&ObjectRef| fleet.tidb_cluster(of).is_none() && !asked.contains(of);
        let without_pd = all.iter().filter(absent).cloned().collect();
        let later = asked.iter().filter(|of| !all.contains(of)).cloned().collect();
        let link = self.links.get(&plan.target.context);
        Reach {
            tidb_clusters: all
                .into_iter()
                .map(|of| {
                    let tls = fleet.tidb_cluster(&of).is_some_and(TidbCluster::tls);
                    (of, tls)
                })
                .collect(),
            without_pd,
            later,
            namespace: link.and_then(|link| link.namespace().map(str::to_owned)),
            made: plan.makes_tidb_clusters().collect(),
            own_certificate: link.is_some_and(|link| link.options().pd_tls.is_some()),
            journal_in: (!self.local_only).then(|| plan.target.clone()),
            second_person_in: (!self.local_only && plan.steps.iter().any(|step| step.approvers > 1))
                .then(|| plan.target.context.clone()),
            extras: reads_for_facts::extras_of_facts(runbook),
            claims_in: reads_for_facts::contexts_of_extra(runbook, &plan.inputs, seen, Extra::Claims),
            reads: reads_for_facts::objects_of_facts(runbook, &plan.inputs, seen),
        }
    }

    /// Adds what the pods' own resolver says where a look alone leaves it open whether a domain is served. That does not
    /// change, so pods are asked once per run.
    pub(super) async fn add_domain(&self, fleet: &mut Fleet, run: &Run, known: &mut Vec<Change>) {
        let places = run.domains();
        let open = |(of, domain): &(ObjectRef, Option<String>)| {
            fleet.clusters.get(&of.context).is_some_and(|cluster| match domain {
                Some(domain) => cluster.dns.serves(domain) != Served::Yes,
                None => cluster.cluster_domain().is_none(),
            })
        };
        if !places.iter().any(open) {
            return;
        }
        if known.is_empty() {
            *known = self.ask_pods(fleet, &run.plan.target, &places).await;
        }
        known.iter().cloned().for_each(|change| fleet.apply(change));
    }

    /// Whether programs may be run in pods there: not tried where it is not granted, so that a role which leaves it out leaves
    /// no refusal in the server's audit log.
    async fn may_exec(&self, of: &ObjectRef) -> bool {
        let exec = rights::Right {
            context: of.context.clone(),
            verb: "get".into(),
            resource: "pods".into(),
            subresource: "exec".into(),
            namespace: of.namespace.clone(),
            ..rights::Right::default()
        };
        rights::denied(&self.links, &[exec]).await.is_empty()
    }

    /// What PD pods find in their own resolver: the domain of the target's cluster and those of the places, and whether the
    /// domain that is to be set there is served. A cluster without a pod to ask tells nothing.
    async fn ask_pods(&self, fleet: &Fleet, target: &ObjectRef, places: &[(ObjectRef, Option<String>)]) -> Vec<Change> {
        let mut changes = Vec::new();
        let asked = std::iter::once((target, None)).chain(places.iter().map(|(of, domain)| (of, domain.as_deref())));
        let mut own = BTreeSet::new();
        for (of, domain) in asked {
            let Some(cluster) = fleet.clusters.get(&of.context) else { continue };
            let Ok(permit) = ProbePermit::for_contexts(&self.links, [&of.context]) else { continue };
            if !self.may_exec(of).await {
                continue;
            }
            let say = |what| Change { context: of.context.clone(), at: now(), what };
            for (pod, name, addresses) in pods_to_ask(cluster, of) {
                if own.insert(of.context.clone()) {
                    match pod_probe::resolv_domain(&self.links, &permit, &pod).await {
                        Ok(domain) => changes.push(say(What::PodsDomain(domain))),
                        Err(_) => drop(own.remove(&of.context)),
                    }
                }
                let Some(domain) = domain.filter(|domain| cluster.dns.serves(domain) != Served::Yes) else { break };
                let named = (name.as_str(), addresses.as_slice());
                if let Ok(answered) = pod_probe::serves_domain(&self.links, &permit, &pod, named, domain).await {
                    changes.push(say(What::NameTried { domain: domain.to_owned(), answered }));
                    break;
                }
            }
        }
        changes
    }

    /// Where a step with no rollback is followed by probes from inside PD's pods: whether they can look at all. `None`: they
    /// can, or there is no such step.
    async fn rehearse_probe(&self, plan: &Plan, fleet: &Fleet) -> Option<CheckResult> {
        let ahead =
            plan.steps.iter().position(|step| step.reversibility == Reversibility::Irreversible && !step.already_so);
        let probes = plan.steps.iter().skip(ahead?).any(|step| matches!(step.action, Action::ProbePeerUrl(_)));
        let permit = ProbePermit::for_contexts(&self.links, &plan.contexts).ok().filter(|_| probes)?;
        let lines = pod_probe::rehearse(&self.links, &permit, &plan.target, fleet).await;
        let bad: Vec<String> =
            lines.iter().filter(|line| !line.good()).map(|line| format!("{}: {}", line.from, line.detail)).collect();
        let sentence = "the run will have to look from inside the PD pods before it changes a peerURL, and already today a pod cannot see itself there";
        (!bad.is_empty())
            .then(|| refused("probe", "PD's pods can look at the new names", format!("{sentence}: {}", bad.join("; "))))
    }

    /// Puts the server's dry-run answers into the plan; one that is refused becomes a refused check.
    async fn rehearse(&self, plan: &mut Plan) {
        let contexts: BTreeSet<&String> = plan.contexts.iter().collect();
        let permit = match WritePermit::for_run(&self.links, "plan", contexts) {
            Ok(permit) => permit,
            Err(sentence) => return plan.checks.push(refused("dry-run", REHEARSED, sentence)),
        };
        for step in plan.steps.iter_mut().filter(|step| step.action.writes() && !step.already_so) {
            let merge = match &step.action {
                Action::PatchTidbCluster(PatchTidbCluster { merge, .. }) => merge.clone(),
                // There is no field of it yet that could be compared: the server's yes is all there is to learn.
                Action::CreateObject(_) => Value::Null,
                _ => continue,
            };
            let merge = &merge;
            match write::rehearse(&self.links, &permit, "plan", &step.action).await {
                Ok(Some(_)) if merge.is_null() => step.rehearsed = Rehearsal::ServerDryRun,
                Ok(Some(object)) => {
                    let fields = merge_patch::found(merge, &object);
                    // Old API servers ignore Strict and drop unknown fields: compare with what was asked.
                    if fields != merge_patch::asked(merge) {
                        let sentence = format!("the server would store {} instead of what was asked", json!(fields));
                        plan.checks.push(refused("dry-run", REHEARSED, sentence));
                    }
                    step.after = Image::of_fields(fields);
                    step.rehearsed = Rehearsal::ServerDryRun;
                }
                Ok(None) => {}
                Err(sentence) => {
                    plan.checks.push(refused("dry-run", REHEARSED, format!("the server's dry run refused: {sentence}")))
                }
            }
        }
    }
}

/// The folder for cfssl's files, where cfssl signs something that is still to be signed.
pub(super) fn cfssl_folder(plan: &Plan) -> Option<String> {
    let folder = |step: &PlannedStep| match &step.action {
        Action::IssueCa(IssueCa { signer: Signer::Cfssl { folder }, .. })
        | Action::IssueCertificate(IssueCertificate { signer: Signer::Cfssl { folder }, .. }) => Some(folder.clone()),
        _ => None,
    };
    plan.steps.iter().filter(|step| !step.already_so).find_map(folder)
}

/// Why this machine cannot let cfssl sign what the plan has it sign; `None`: nothing shows, or cfssl signs nothing.
fn cfssl_unfit(plan: &Plan) -> Option<CheckResult> {
    let why = cfssl::unfit(Path::new(&cfssl_folder(plan)?))?;
    Some(refused("cfssl", "This machine can sign with cfssl", why))
}

/// The PD pods of a KubeCluster that can be asked about its DNS, those of the TidbCluster first; a few. With the name of
/// each up to `svc`, and its addresses.
fn pods_to_ask(cluster: &KubeCluster, of: &ObjectRef) -> Vec<(ObjectRef, String, Vec<String>)> {
    let own = cluster.tidb_clusters.get(&of.key()).into_iter();
    let others = cluster.tidb_clusters.iter().filter(|(key, _)| **key != of.key()).map(|(_, tc)| tc);
    let pods = own
        .chain(others)
        .flat_map(|tc| rollout::component_pods(cluster, tc, Component::Pd).into_iter().map(move |pod| (tc, pod)));
    let running = pods.filter(|(_, pod)| pod.status.phase == "Running");
    let asked = running.take(3).map(|(tc, pod)| {
        let meta = &pod.metadata;
        let name = format!("{}.{}-pd-peer.{}.svc", meta.name, tc.metadata.name, meta.namespace);
        (ObjectRef::new(&of.context, &meta.namespace, &meta.name), name, pod.status.addresses())
    });
    asked.collect()
}
