//! The one pager: every list that is read to its end, `continue` followed. Half a list would pass for a whole one, so
//! one that is longer than it may be is an error.
//!
//! What a guard decides on goes through here (open runs, leases, approvals), as does what is looked at. Not here: what
//! is listed, and what an answer means.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::client::encode;
use crate::client::wire::link::Link;
use crate::client::wire::request_error::{RequestError, RequestErrorKind};

/// How much of one list is read.
#[derive(Clone, Copy, Debug)]
pub(in crate::client) struct Limit {
    pub per_page: usize,
    pub pages: usize,
}

/// Small objects.
pub(in crate::client) const MANY: Limit = Limit { per_page: 500, pages: 20 };
/// Objects that may have some hundred kilobytes each.
pub(in crate::client) const LARGE: Limit = Limit { per_page: 50, pages: 100 };

/// Most bytes of one whole list: 50,000 pods are about 40 MB on the wire.
const BYTES: usize = 96 * 1024 * 1024;

/// A whole list.
#[derive(Debug)]
pub(in crate::client) struct Listed<T> {
    pub items: Vec<T>,
    /// From where it can be watched.
    pub resource_version: String,
}

#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct Page<T> {
    #[serde(default)]
    metadata: PageMeta,
    items: Option<Vec<T>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PageMeta {
    resource_version: String,
    #[serde(rename = "continue")]
    next: Option<String>,
}

/// Every item of a list. `path`: with its selectors, without `limit`. Read anew, once, where the server has forgotten
/// the list in the middle of it (410).
pub(in crate::client) async fn list<T: DeserializeOwned>(
    link: &Link,
    path: &str,
    limit: Limit,
) -> Result<Listed<T>, RequestError> {
    match once(link, path, limit).await {
        Err(trouble) if trouble.kind == RequestErrorKind::Expired => once(link, path, limit).await,
        other => other,
    }
}

/// One more parameter.
pub(in crate::client) fn with(path: &str, parameter: &str) -> String {
    match path.chars().last() {
        Some('?' | '&') => format!("{path}{parameter}"),
        _ if path.contains('?') => format!("{path}&{parameter}"),
        _ => format!("{path}?{parameter}"),
    }
}

async fn once<T: DeserializeOwned>(link: &Link, path: &str, limit: Limit) -> Result<Listed<T>, RequestError> {
    let mut items = Vec::new();
    let mut next = String::new();
    let mut bytes = 0_usize;
    for _ in 0..limit.pages {
        let at = with(path, &format!("limit={}{next}", limit.per_page));
        let (page, length): (Page<T>, usize) = link.get_sized(&at).await?;
        bytes += length;
        if bytes > BYTES {
            let sentence = format!(
                "{} sent more than {} MB of {} and did not come to an end; give a namespace with -n",
                link.server(),
                BYTES / 1024 / 1024,
                path.split('?').next().unwrap_or(path)
            );
            return Err(RequestError { kind: RequestErrorKind::Answered, ..RequestError::cut(sentence) });
        }
        items.extend(page.items.unwrap_or_default());
        match page.metadata.next.filter(|token| !token.is_empty()) {
            Some(token) => next = format!("&continue={}", encode(&token)),
            None => return Ok(Listed { items, resource_version: page.metadata.resource_version }),
        }
    }
    let sentence = format!(
        "{} has more than {} objects at {}; give a namespace with -n",
        link.server(),
        limit.per_page * limit.pages,
        path.split('?').next().unwrap_or(path)
    );
    Err(RequestError { kind: RequestErrorKind::Answered, ..RequestError::cut(sentence) })
}
