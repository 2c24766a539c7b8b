//! Judges the actions on single objects: is it there, is it what was wanted, is it gone?
//!
//! By what one look saw at the object's place ([`Sight`]); the same rules as [`super::judge`], of which this is the
//! part about objects that are created, copied and deleted. Pure.

use serde_json::{Value, json};

use super::Observation;
use super::action::Action;
use super::blame;
use super::judge::Judged;
use crate::fleet::certificate::{SecretFacts, fingerprint, kept_by};
use crate::fleet::object::{ObjectId, ObjectKind, Sight, differences, managers, uid, written_by};

/// Judges an action of this run on one object. Other actions are none of its business.
pub(super) fn judge(action: &Action, run: &str, seen: &Observation) -> Option<Judged> {
    match action {
        Action::CreateObject { target, object_kind, object } => {
            Some(create(&ObjectId::new(*object_kind, target), object, run, seen))
        }
        Action::DeleteObject { target, object_kind, uid, made_by } => {
            Some(delete(&ObjectId::new(*object_kind, target), uid.as_deref(), made_by.as_deref(), seen))
        }
        // Looked at anew whenever it is its turn: an earlier look at a network proves nothing.
        Action::NetProbe { ports, .. } => {
            Some(Judged::NotDone { before: Value::Null, after: json!({ "ports": ports }) })
        }
        Action::CopySecret { from, target, keys } => {
            Some(copy(&ObjectId::new(ObjectKind::Secret, from), &ObjectId::new(ObjectKind::Secret, target), keys, seen))
        }
        Action::IssueCa { target, .. } => Some(issue(action, None, &ObjectId::new(ObjectKind::Secret, target), seen)),
        Action::IssueCertificate { target, authority, .. } => Some(issue(
            action,
            Some(&ObjectId::new(ObjectKind::Secret, authority)),
            &ObjectId::new(ObjectKind::Secret, target),
            seen,
        )),
        Action::PatchTidbCluster { .. }
        | Action::WaitRollout { .. }
        | Action::ProbePeerUrl { .. }
        | Action::UpdatePeerUrl { .. }
        | Action::TransferPdLeader { .. }
        | Action::RemovePdMember { .. }
        | Action::Await { .. }
        | Action::Manual { .. } => None,
    }
}

/// What a look saw, or why nothing can be said.
fn sight<'a>(id: &ObjectId, seen: &'a Observation) -> Result<&'a Sight, Judged> {
    let Some(cluster) = seen.fleet.clusters.get(&id.context) else {
        return Err(Judged::Refuse(format!("context {} is not connected", id.context)));
    };
    if !cluster.freshness.is_live() {
        let why = cluster.message.as_deref().unwrap_or("no answer");
        return Err(Judged::Waiting(format!("KubeCluster {} is {}: {why}", id.context, cluster.freshness.word())));
    }
    match seen.fleet.sight(id) {
        Some(Sight::Unseen(why)) => Err(Judged::Waiting(format!("{id} cannot be read: {why}"))),
        None => Err(Judged::Waiting(format!("{id} was not looked at"))),
        Some(sight) => Ok(sight),
    }
}

fn deleting(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some_and(|at| !at.is_null())
}

/// TiDB Operator writes a new object back within a second: what it makes of the fields is no difference, and where an
/// object of this run differs otherwise, only a hand that is not the operator's makes it foreign.
fn create(id: &ObjectId, object: &Value, run: &str, seen: &Observation) -> Judged {
    let found = match sight(id, seen) {
        Ok(Sight::Absent) => {
            return Judged::NotDone { before: json!({"absent": true}), after: json!({ "object": object }) };
        }
        Ok(Sight::Present(found)) => found,
        Ok(Sight::Unseen(why)) => return Judged::Waiting(why.clone()),
        Err(judged) => return judged,
    };
    if deleting(found) {
        return Judged::Waiting(format!("{id} is being deleted"));
    }
    let different = differences(object, found);
    if different.is_empty() {
        return Judged::Done { evidence: json!({"uid": uid(found)}) };
    }
    let ours = !run.is_empty() && written_by(found, &format!("tidepilot/{run}"));
    let hands: Vec<&str> = managers(found).filter(|hand| !hand.starts_with("tidepilot/")).collect();
    if ours && !hands.is_empty() && hands.iter().all(|hand| hand.starts_with("tidb-controller-manager")) {
        return Judged::Done { evidence: json!({"uid": uid(found), "changedByTheOperator": different}) };
    }
    let how = match ours {
        true => format!("was made by this run and changed since by {}", hands.join(", ")),
        false => "exists already and is another one".to_owned(),
    };
    let who = blame::of_object(found).map_or_else(String::new, |who| format!(" ({who})"));
    Judged::Foreign {
        sentence: format!("{id} {how}: {}{who}", different.join("; ")),
        before: json!({"absent": true}),
        ours: object.clone(),
        theirs: json!({"uid": uid(found), "different": different}),
    }
}

fn delete(id: &ObjectId, wanted: Option<&str>, made_by: Option<&str>, seen: &Observation) -> Judged {
    let found = match sight(id, seen) {
        Ok(Sight::Absent) => return Judged::Done { evidence: json!({"absent": true}) },
        Ok(Sight::Present(found)) => found,
        Ok(Sight::Unseen(why)) => return Judged::Waiting(why.clone()),
        Err(judged) => return judged,
    };
    match (wanted, made_by) {
        (Some(wanted), _) if wanted != uid(found) => {
            return Judged::Done { evidence: json!({"gone": wanted, "another": uid(found)}) };
        }
        (None, Some(run)) if !written_by(found, &format!("tidepilot/{run}")) => {
            return Judged::Refuse(format!("{id} was not made by this run, so it is left as it is"));
        }
        (None, None) => return Judged::Refuse(format!("{id}: which one is meant is not known")),
        (Some(_), _) | (None, Some(_)) => {}
    }
    if deleting(found) {
        return Judged::Waiting(format!("{id} is being deleted"));
    }
    Judged::NotDone { before: json!({"uid": uid(found)}), after: json!({"absent": true}) }
}

/// A Secret's data as a look gives it: key → fingerprint (`client::objects`).
fn print<'a>(secret: &'a Value, key: &str) -> Option<&'a str> {
    secret.get("data")?.get(key)?.as_str()
}

fn copy(from: &ObjectId, to: &ObjectId, keys: &[String], seen: &Observation) -> Judged {
    let source = match sight(from, seen) {
        Ok(Sight::Present(source)) => source,
        Ok(Sight::Absent) => return Judged::Waiting(format!("{from}, which is to be copied, is not there")),
        Ok(Sight::Unseen(why)) => return Judged::Waiting(why.clone()),
        Err(judged) => return judged,
    };
    if let Some(missing) = keys.iter().find(|key| print(source, key).is_none()) {
        return Judged::Refuse(format!("{from} has no key {missing}"));
    }
    let prints = |secret: &Value| -> Value {
        keys.iter().map(|key| (key.clone(), json!(print(secret, key)))).collect::<serde_json::Map<_, _>>().into()
    };
    match sight(to, seen) {
        Ok(Sight::Absent) => {
            Judged::NotDone { before: json!({"absent": true}), after: json!({"keys": prints(source)}) }
        }
        Ok(Sight::Present(found)) if deleting(found) => Judged::Waiting(format!("{to} is being deleted")),
        Ok(Sight::Present(found)) if prints(found) == prints(source) => {
            Judged::Done { evidence: json!({"uid": uid(found), "keys": prints(found)}) }
        }
        Ok(Sight::Present(found)) => Judged::Foreign {
            sentence: format!(
                "{to} exists already and holds something else than {from}{}",
                blame::of_object(found).map_or_else(String::new, |who| format!(" ({who})"))
            ),
            before: json!({"absent": true}),
            ours: prints(source),
            theirs: prints(found),
        },
        Ok(Sight::Unseen(why)) => Judged::Waiting(why.clone()),
        Err(judged) => judged,
    }
}

/// A certificate is done when there is a good one, whoever made it: signed by the CA that was asked for, and with all that was
/// asked for. One that is to be replaced is done when it is another one than that.
fn issue(action: &Action, authority: Option<&ObjectId>, to: &ObjectId, seen: &Observation) -> Judged {
    let found = match sight(to, seen) {
        Ok(Sight::Absent) => None,
        Ok(Sight::Present(found)) => Some(found),
        Ok(Sight::Unseen(why)) => return Judged::Waiting(why.clone()),
        Err(judged) => return judged,
    };
    let signer = match authority.map(|authority| (authority, sight(authority, seen))) {
        None => None,
        Some((_, Ok(Sight::Present(secret)))) => SecretFacts::of(secret),
        Some((authority, Ok(Sight::Absent))) => {
            return Judged::Waiting(format!("{authority}, the CA that is to sign, is not there"));
        }
        Some((_, Ok(Sight::Unseen(why)))) => return Judged::Waiting(why.clone()),
        Some((_, Err(judged))) => return judged,
    };
    let after = json!({"issued": asked_for(action)});
    let Some(found) = found else {
        return Judged::NotDone { before: json!({"absent": true}), after };
    };
    if deleting(found) {
        return Judged::Waiting(format!("{to} is being deleted"));
    }
    let Some(facts) = SecretFacts::of(found) else {
        return Judged::Waiting(format!("{to} was seen without what its certificate says"));
    };
    let mut faults = action.faults_of_issued(&facts, seen.at);
    if authority.is_some() {
        let known = |key: &String| {
            signer.as_ref().is_some_and(|ca| {
                ca.signed_by.as_ref() == Some(key) || ca.certificate.as_ref().is_some_and(|own| own.public_key == *key)
            })
        };
        if !facts.signed_by.as_ref().is_some_and(known) {
            faults.push("it is signed by another CA".into());
        }
    }
    let certificate = facts.certificate.as_ref();
    if let Action::IssueCertificate { replaces: Some(replaces), .. } = action
        && fingerprint(found) == replaces.fingerprint
    {
        if let Some(name) = kept_by(found) {
            return Judged::Refuse(format!(
                "cert-manager keeps {to} (Certificate {name}) and would put its own back: change that Certificate instead"
            ));
        }
        if uid(found) == replaces.uid {
            // Under the name of what is asked for, so that a plan shows the one against the other.
            let before = json!({"issued": {
                "commonName": certificate.map(|certificate| &certificate.common_name),
                "fingerprint": replaces.fingerprint,
                "notAfter": certificate.map(|certificate| certificate.not_after),
            }});
            return Judged::NotDone { before, after };
        }
    }
    let evidence = json!({
        "uid": uid(found),
        "fingerprint": certificate.map(|certificate| &certificate.fingerprint),
        "notAfter": certificate.map(|certificate| certificate.not_after),
    });
    if faults.is_empty() {
        return Judged::Done { evidence };
    }
    let who = blame::of_object(found).map_or_else(String::new, |who| format!(" ({who})"));
    Judged::Foreign {
        sentence: format!("{to} exists already and is not what is wanted: {}{who}", faults.join("; ")),
        before: json!({"absent": true}),
        ours: after,
        theirs: json!({"seen": evidence, "faults": faults}),
    }
}

/// For people: what the certificate is to say.
fn asked_for(action: &Action) -> Value {
    match action {
        Action::IssueCa { common_name, days, .. } => json!({"ca": true, "commonName": common_name, "days": days}),
        Action::IssueCertificate { common_name, hosts, usages, days, .. } => {
            json!({"commonName": common_name, "hosts": hosts, "usages": usages, "days": days})
        }
        Action::PatchTidbCluster { .. }
        | Action::WaitRollout { .. }
        | Action::ProbePeerUrl { .. }
        | Action::NetProbe { .. }
        | Action::UpdatePeerUrl { .. }
        | Action::CreateObject { .. }
        | Action::DeleteObject { .. }
        | Action::CopySecret { .. }
        | Action::TransferPdLeader { .. }
        | Action::RemovePdMember { .. }
        | Action::Await { .. }
        | Action::Manual { .. } => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Change, Fleet, Freshness, ObjectRef, What};

    fn observation(kind: ObjectKind, name: &str, sight: Sight) -> Observation {
        let mut fleet = Fleet::default();
        let mut say = |what| fleet.apply(Change { context: "a".into(), at: jiff::Timestamp::UNIX_EPOCH, what });
        say(What::Connection { freshness: Freshness::Live, message: None });
        let (kind, key) = ObjectId::new(kind, &ObjectRef::new("a", "db", name)).key();
        say(What::Object { kind, key, sight: Box::new(sight) });
        Observation { at: jiff::Timestamp::UNIX_EPOCH, fleet, denied: None }
    }

    fn create_action() -> Action {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"a": "1"}});
        Action::CreateObject { target: ObjectRef::new("a", "db", "x"), object_kind: ObjectKind::ConfigMap, object }
    }

    fn word(judged: Judged) -> &'static str {
        match judged {
            Judged::Done { .. } => "done",
            Judged::NotDone { .. } => "not done",
            Judged::Waiting(_) => "waiting",
            Judged::Refuse(_) => "refuse",
            Judged::Foreign { .. } => "foreign",
        }
    }

    #[test]
    fn creation_is_judged_by_what_is_there() {
        let made =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "uid": "u"}, "data": {"a": "1"}});
        let mut dying = made.clone();
        dying["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        let mut other = made.clone();
        other["data"]["a"] = json!("2");
        let cases = [
            (Sight::Absent, "not done"),
            (Sight::Present(made), "done"),
            (Sight::Present(dying), "waiting"),
            (Sight::Present(other), "foreign"),
            (Sight::Unseen("forbidden".into()), "waiting"),
        ];
        for (sight, expected) in cases {
            let seen = observation(ObjectKind::ConfigMap, "x", sight.clone());
            assert_eq!(judge(&create_action(), "", &seen).map(word), Some(expected), "{sight:?}");
        }
        assert_eq!(
            judge(&create_action(), "", &observation(ObjectKind::Secret, "x", Sight::Absent)).map(word),
            Some("waiting")
        );
    }

    /// TiDB Operator writes a TidbCluster back within a second of its creation; a look comes before or after that.
    #[test]
    fn what_this_run_made_is_its_own_whoever_defaulted_it() {
        let object = json!({"apiVersion": "pingcap.com/v1alpha1", "kind": "TidbCluster", "metadata": {"name": "x"},
            "spec": {"paused": false, "pd": {"replicas": 1, "config": {}}, "tidb": {"replicas": 1, "config": {"lease": "45s"}}}});
        let action = Action::CreateObject {
            target: ObjectRef::new("a", "db", "x"),
            object_kind: ObjectKind::TidbCluster,
            object: object.clone(),
        };
        let managed = |mut found: Value, managers: &[&str]| {
            let entries: Vec<Value> = managers.iter().map(|manager| json!({"manager": manager})).collect();
            found["metadata"]["managedFields"] = json!(entries);
            Sight::Present(found)
        };
        let mut written = object.clone();
        written["spec"] = json!({"pd": {"replicas": 1, "config": "", "baseImage": "pingcap/pd"},
            "tidb": {"replicas": 1, "config": "lease = \"45s\"\n\n[log]\n  [log.file]\n    max-backups = 3\n"}});
        let mut odd = written.clone();
        odd["spec"]["tidb"]["config"] = json!("lease = \"1s\"\n");
        let operator = "tidb-controller-manager";
        let cases = [
            (managed(object.clone(), &["tidepilot/r1"]), "done"),
            (managed(written.clone(), &["tidepilot/r1", operator]), "done"),
            // A resume, or an object that was there before and is the same.
            (managed(written.clone(), &[operator]), "done"),
            (managed(odd.clone(), &["tidepilot/r1", operator]), "done"),
            (managed(odd.clone(), &["tidepilot/r1", operator, "kubectl-edit"]), "foreign"),
            (managed(odd.clone(), &["tidepilot/r1"]), "foreign"),
            (managed(odd, &["tidepilot/r2", operator]), "foreign"),
        ];
        for (sight, expected) in cases {
            let seen = observation(ObjectKind::TidbCluster, "x", sight.clone());
            assert_eq!(judge(&action, "r1", &seen).map(word), Some(expected), "{sight:?}");
        }
    }

    #[test]
    fn only_the_object_that_is_meant_is_deleted() {
        let object = |uid: &str, manager: &str| {
            Sight::Present(json!({"metadata": {"uid": uid, "managedFields": [{"manager": manager}]}}))
        };
        let action = |uid: Option<&str>, made_by: Option<&str>| Action::DeleteObject {
            target: ObjectRef::new("a", "db", "x"),
            object_kind: ObjectKind::Pod,
            uid: uid.map(str::to_owned),
            made_by: made_by.map(str::to_owned),
        };
        let cases = [
            (action(Some("u"), None), object("u", "kubectl"), "not done"),
            (action(Some("u"), None), object("v", "kubectl"), "done"),
            (action(Some("u"), None), Sight::Absent, "done"),
            (action(None, Some("r1")), object("u", "tidepilot/r1"), "not done"),
            (action(None, Some("r1")), object("u", "tidepilot/r2"), "refuse"),
            (action(None, None), object("u", "tidepilot/r2"), "refuse"),
        ];
        for (action, sight, expected) in cases {
            let seen = observation(ObjectKind::Pod, "x", sight.clone());
            assert_eq!(judge(&action, "r1", &seen).map(word), Some(expected), "{action:?} {sight:?}");
        }
    }
}
