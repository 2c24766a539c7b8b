//! A write to an API server as it leaves: the headers and the mark that every one has, and the request of an action in the name
//! of its run.
//!
//! Not here: which condition it carries and how its answer counts ([`super`], [`super::objects`]), requests to PD
//! ([`super::pd_writes`]).

use http::Request;
use serde_json::Value;

use crate::client::encode;
use crate::client::wire::lease_timing::Until;
use crate::client::wire::link::Link;
use crate::client::wire::permit::WritePermit;
use crate::client::wire::read_only_gate::Mark;
use crate::client::wire::reply::Reply;
use crate::client::wire::request_error::{RequestError, RequestErrorKind};
use crate::runbook::action_types::field_manager;
use crate::runbook::actions::Action;

/// JSON, and an answer in JSON, marked as a write.
pub(super) fn request(
    method: &str,
    uri: &str,
    content_type: &str,
    body: &Value,
) -> Result<Request<Vec<u8>>, RequestError> {
    Request::builder()
        .method(method)
        .uri(uri)
        .header(http::header::CONTENT_TYPE, content_type)
        .header(http::header::ACCEPT, "application/json")
        .extension(Mark::Write)
        .body(body.to_string().into_bytes())
        .map_err(|error| RequestError::unsent(RequestErrorKind::Refused, error.to_string()))
}

/// The query that names who writes, with which the server stores nothing where it is only a rehearsal.
pub(super) fn by(permit: &WritePermit, dry_run: bool) -> String {
    format!("fieldManager={}{}", encode(&field_manager(permit.run())), dry(dry_run))
}

fn dry(dry_run: bool) -> &'static str {
    if dry_run { "&dryRun=All" } else { "" }
}

/// One action on its way to the API server of its target.
#[derive(Clone, Copy)]
pub(super) struct Writing<'a> {
    pub link: &'a Link,
    pub permit: &'a WritePermit,
    pub action: &'a Action,
}

impl Writing<'_> {
    /// Sends it once. `version`: the one read just before, where it is one of its conditions; `body`: what stands in no plan;
    /// `until` as [`super::fence`] gave it: without, the server is only asked what it would do.
    pub async fn send(&self, version: &str, body: Option<&Value>, until: Option<Until>) -> Result<Reply, RequestError> {
        let manager = encode(&field_manager(self.permit.run()));
        let planned = self.action.requests(&manager, version, None).into_iter().next();
        let none = || RequestError::unsent(RequestErrorKind::Refused, "the action has no request");
        let planned = planned.ok_or_else(none)?;
        let uri = format!("{}{}", planned.path, dry(until.is_none()));
        let mut request = request(&planned.method, &uri, &planned.content_type, body.unwrap_or(&planned.body))?;
        request.extensions_mut().insert(until.unwrap_or_default());
        self.link.call(request, self.link.limits().write).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::action_types::THIS_RUN;
    use crate::runbook::plan::steps::FIELD_MANAGER;

    #[test]
    fn a_plan_names_the_hand_that_will_write() {
        assert_eq!(encode(&field_manager(THIS_RUN)), FIELD_MANAGER);
    }
}
