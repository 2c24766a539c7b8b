//! Moves the resourceVersion of a TidbCluster, so that a write which is still on its way is refused when it comes.
//!
//! A patch names the version that it was made from, but neither a take-over nor an abandon changes the object, so one
//! that was held up in the network would still fit it. One annotation of ours, new each time, makes every version that
//! somebody may have read before void. Not here: which write may be under way (`runbook::run`). PD's membership has no
//! such version: a request to it that comes late is carried out.

use http::StatusCode;
use serde_json::json;

use crate::client::wire::link::Links;
use crate::client::wire::permit::WritePermit;
use crate::client::wire::request_error::{RequestError, RequestErrorKind};
use crate::client::write::request::Writing;
use crate::client::write::tidb_cluster_patch::current;
use crate::client::write::{Verdict, fence, judge, version_of, writable};
use crate::fleet::ObjectRef;
use crate::runbook::actions::Action;
use crate::runbook::actions::PatchTidbCluster;
use crate::runbook::actions::api_request_parts::tidb_cluster_path;

/// On a TidbCluster: the run that last moved its version, and a number that is new each time.
const FENCE: &str = "tidepilot/fence";
/// TiDB Operator writes status into the same object.
const ROUNDS: usize = 5;

/// Moves it once. What is gone, or another object by now, takes no late write either.
pub async fn move_version(
    links: &Links,
    permit: &WritePermit,
    run: &str,
    target: &ObjectRef,
    uid: &str,
) -> Result<(), String> {
    let link = writable(links, permit, run, target)?;
    let value = format!("{run} {:08x}", rand::random::<u32>());
    let merge = json!({"metadata": {"annotations": {FENCE: value}}});
    let action = Action::PatchTidbCluster(PatchTidbCluster { target: target.clone(), uid: uid.to_owned(), merge });
    let writing = Writing { link, permit, action: &action };
    let mut why = String::new();
    for _ in 0..ROUNDS {
        let found = match link.get::<serde_json::Value>(&tidb_cluster_path(target)).await {
            Ok(found) => found,
            Err(RequestError { kind: RequestErrorKind::Missing, .. }) => return Ok(()),
            Err(trouble) => return Err(trouble.sentence),
        };
        if found.pointer("/metadata/uid").and_then(serde_json::Value::as_str) != Some(uid) {
            return Ok(());
        }
        let until = fence(permit).await?;
        why = match writing.send(&version_of(&found), None, Some(until)).await {
            Ok(reply) if reply.status == StatusCode::CONFLICT => "it changes all the time".to_owned(),
            Ok(reply) => match judge(link, &reply) {
                Verdict::Taken => return Ok(()),
                Verdict::Refused(why) => return Err(why),
                Verdict::Unknown(why) => why,
            },
            Err(trouble) if !trouble.sent => return Err(trouble.sentence),
            Err(trouble) => trouble.sentence,
        };
        // Without a clear answer: whoever else moved it since has done the same.
        if current(link, target, uid).await.is_ok_and(|now| version_of(&now) != version_of(&found)) {
            return Ok(());
        }
    }
    Err(why)
}
