//! How a TidbCluster is patched, and how that is rehearsed: under its uid and the resourceVersion read just before, once more after
//! a conflict that touches nothing of ours; fields that the API server pruned are told.
//!
//! Not here: what the patch says (`runbook::actions::patch_tidb_cluster`), what refuses one that comes late
//! ([`super::late_write_fence`]), how its answer counts ([`super`]).

use http::StatusCode;
use serde_json::Value;

use crate::client::wire::link::Link;
use crate::client::write::request::Writing;
use crate::client::write::{Verdict, fence, judge, version_of};
use crate::fleet::{Fleet, ObjectRef};
use crate::runbook::action_types::Answer;
use crate::runbook::actions::PatchTidbCluster;
use crate::runbook::actions::api_request_parts::tidb_cluster_path;
use crate::runbook::actions::merge_patch;

/// What the server says the patch would give; it stores nothing.
pub(super) async fn rehearse(writing: Writing<'_>, what: &PatchTidbCluster) -> Result<Value, String> {
    let PatchTidbCluster { target, uid, merge } = what;
    let link = writing.link;
    let current = current(link, target, uid).await?;
    let asked = writing.send(&version_of(&current), None, None).await;
    let reply = asked.map_err(|trouble| trouble.sentence)?;
    let result: Value = link.decode(&reply).map_err(|trouble| trouble.sentence)?;
    match dropped(merge, &result).as_slice() {
        [] => Ok(result),
        lost => {
            Err(format!("{} would drop {} without a word; its CRD is too old for it", link.server(), lost.join(", ")))
        }
    }
}

pub(super) async fn patch(writing: Writing<'_>, what: &PatchTidbCluster, seen: &Fleet) -> Result<Answer, String> {
    let Writing { link, permit, .. } = writing;
    let PatchTidbCluster { target, uid, merge } = what;
    let before = current(link, target, uid).await?;
    // What was decided on must still be there: the version sent is read only now.
    let decided = seen.tidb_cluster(target).and_then(|tc| serde_json::to_value(tc).ok());
    let decided = decided.ok_or_else(|| format!("{target} was not seen; look again"))?;
    if !alike(merge, &decided, &before) {
        return Err(format!("{target} was changed in the same fields since it was looked at; nothing was sent"));
    }
    let until = fence(permit).await?;
    let mut sent = writing.send(&version_of(&before), None, Some(until)).await;
    if matches!(&sent, Ok(reply) if reply.status == StatusCode::CONFLICT) {
        // The operator writes status into the same object, so its version moves all the time. A conflict was not
        // applied; once more is right only if nobody touched what we are about to change.
        let again = current(link, target, uid).await?;
        if !alike(merge, &before, &again) {
            return Err(format!("{target} was changed by somebody else in the same fields; plan again"));
        }
        let until = fence(permit).await?;
        sent = writing.send(&version_of(&again), None, Some(until)).await;
    }
    let reply = match sent {
        Ok(reply) => reply,
        Err(trouble) if trouble.sent => return Ok(Answer::Unknown { reason: trouble.sentence }),
        Err(trouble) => return Err(format!("nothing was sent: {}", trouble.sentence)),
    };
    match judge(link, &reply) {
        Verdict::Taken => {}
        Verdict::Refused(reason) => return Err(reason),
        Verdict::Unknown(reason) => return Ok(Answer::Unknown { reason }),
    }
    let status = reply.status.as_u16();
    let Ok(after) = serde_json::from_slice::<Value>(&reply.body) else {
        return Ok(Answer::Accepted { status, detail: "the answer could not be read".into() });
    };
    let lost = dropped(merge, &after);
    if lost.is_empty() {
        return Ok(Answer::Accepted { status, detail: format!("resourceVersion {}", version_of(&after)) });
    }
    let lost = lost.join(", ");
    if touched(merge, &before) == touched(merge, &after) {
        return Err(format!("{} took the patch but dropped {lost}; its CRD is too old for it", link.server()));
    }
    Ok(Answer::Accepted { status, detail: format!("but {lost} was dropped") })
}

/// The TidbCluster as it is now. `Err`: it cannot be read, or is another one than that with this uid.
pub(super) async fn current(link: &Link, target: &ObjectRef, uid: &str) -> Result<Value, String> {
    let current: Value = link.get(&tidb_cluster_path(target)).await.map_err(|trouble| trouble.sentence)?;
    match current.pointer("/metadata/uid").and_then(Value::as_str) {
        Some(found) if found == uid => Ok(current),
        found => Err(format!(
            "{target} is another object than the one planned for (uid {}, expected {uid}); plan again",
            found.unwrap_or("missing")
        )),
    }
}

fn touched<'a>(merge: &Value, object: &'a Value) -> Vec<Option<&'a Value>> {
    merge_patch::leaves(merge).iter().map(|(at, _)| object.pointer(at).filter(|value| !value.is_null())).collect()
}

/// Whether two looks show the same in the fields of the patch, as TiDB Operator may have written them back in between.
fn alike(merge: &Value, one: &Value, other: &Value) -> bool {
    merge_patch::unchanged(merge, &merge_patch::found(merge, one).into_iter().collect(), other)
}

/// The fields that did not become what was asked: an old API server prunes unknown ones without a word.
fn dropped(merge: &Value, result: &Value) -> Vec<String> {
    let differs = |(at, asked): &(String, &Value)| {
        let found = result.pointer(at).unwrap_or(&Value::Null);
        found != *asked && !(asked.as_object().is_some_and(serde_json::Map::is_empty) && found.is_object())
    };
    merge_patch::leaves(merge).into_iter().filter(differs).map(|(at, _)| merge_patch::name(&at)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pruned_fields_are_noticed() {
        let merge = json!({"spec": {"acrossK8s": true, "clusterDomain": "a.com", "gone": null}});
        let full = json!({"spec": {"acrossK8s": true, "clusterDomain": "a.com", "pd": {}}, "status": {}});
        assert_eq!(dropped(&merge, &full), Vec::<String>::new());
        let pruned = json!({"spec": {"clusterDomain": "a.com", "gone": 1}});
        assert_eq!(dropped(&merge, &pruned), ["spec.acrossK8s", "spec.gone"]);
    }

    #[test]
    fn touched_fields_ignore_everything_else() {
        let merge = json!({"spec": {"clusterDomain": "a.com"}});
        let (before, after) =
            (json!({"spec": {}, "status": {"a": 1}}), json!({"spec": {"clusterDomain": null}, "status": {"a": 2}}));
        assert_eq!(touched(&merge, &before), touched(&merge, &after));
        assert_ne!(touched(&merge, &before), touched(&merge, &json!({"spec": {"clusterDomain": "b"}})));
    }
}
