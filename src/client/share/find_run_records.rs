//! The runs that are recorded in the clusters: looked for by label, in every context.
//!
//! Reads only. Not here: writing a record ([`super::run_record_configmaps`]).

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use futures::future::join_all;
use futures::stream;
use serde::Deserialize;
use serde_json::Value;

use crate::client::kube::list_pagination::{self, LARGE};
use crate::client::share::lease::{HOST, Place, RUN, USER};
use crate::client::share::run_record_configmaps::{
    DATABASE, Head, MANAGED_BY, OPENED, OPENER, RUNBOOK, STATE, TARGET, Written, head_name,
};
use crate::client::wire::link::{Link, Links};
use crate::client::wire::request_error::{RequestError, RequestErrorKind};
use crate::client::write::store_object::ManagedKind;
use crate::client::{encode, plain};
use crate::pluralize::counted;

/// The TidbClusters of a whole cluster.
const TIDB_CLUSTERS: &str = "/apis/pingcap.com/v1alpha1/tidbclusters";

/// Most namespaces of one context that are asked one by one, and how many at a time.
const MOST: usize = 200;
const AT_A_TIME: usize = 8;

/// The heads of one place, by their uid.
type Heads = Result<Vec<(String, Head)>, RequestError>;

/// What was found, and one sentence for each context that could not be looked into.
#[derive(Debug, Default)]
pub struct Found {
    pub heads: Vec<Head>,
    pub unseen: Vec<String>,
    /// One sentence for each context of which only some namespaces were looked into: a run whose TidbCluster was deleted may lie
    /// in another one.
    pub narrowed: Vec<String>,
    /// Contexts whose whole cluster may not be listed.
    pub forbidden: BTreeSet<String>,
}

/// The open runs in every context; with `run`, that one, open or closed. Reads only.
pub async fn find(links: &Links, run: Option<&str>) -> Found {
    find_in(links, run, &BTreeMap::new(), &BTreeMap::new()).await
}

/// Contexts that just did not answer, with why; they are not waited for once more.
pub type Dark = BTreeMap<String, String>;

/// The same. `namespaces`, by context: where to look where the whole cluster may not be listed; where TidbClusters are,
/// unless it is given.
pub async fn find_in(
    links: &Links,
    run: Option<&str>,
    namespaces: &BTreeMap<String, BTreeSet<String>>,
    dark: &Dark,
) -> Found {
    let selector = match run {
        Some(run) => format!("{MANAGED_BY}=tidepilot,{STATE},{RUN}={run}"),
        None => format!("{MANAGED_BY}=tidepilot,{STATE}=open"),
    };
    let asked = links.iter().filter(|link| !dark.contains_key(link.context())).map(|link| {
        let selector = &selector;
        async move {
            let all = heads(link, link.namespace(), selector).await;
            if link.namespace().is_some() || !matches!(&all, Err(trouble) if is_forbidden(trouble)) {
                return (link.context(), 0, vec![(String::new(), all)]);
            }
            let fewer = match namespaces.get(link.context()) {
                Some(fewer) => fewer.clone(),
                None => with_tidb_clusters(link).await,
            };
            // Without any the refusal of the whole is what is to be told.
            if fewer.is_empty() {
                return (link.context(), 0, vec![(String::new(), all)]);
            }
            let ask = |namespace: String| async move { heads(link, Some(&namespace), selector).await };
            (link.context(), fewer.len(), each(fewer, ask).await)
        }
    });
    let mut found = Found::default();
    found.unseen.extend(dark.iter().map(|(context, why)| format!("{context}: {why}")));
    // Two contexts may lead to one cluster; its objects are the same by their uid.
    let mut by_uid: BTreeMap<String, Head> = BTreeMap::new();
    for (context, namespaces, places) in join_all(asked).await {
        found.note_narrowed(context, namespaces, &places);
        for (namespace, heads) in places {
            if !namespace.is_empty() || matches!(&heads, Err(trouble) if is_forbidden(trouble)) {
                found.forbidden.insert(context.to_owned());
            }
            match heads {
                Ok(heads) => by_uid.extend(heads),
                Err(trouble) => {
                    let namespace = if namespace.is_empty() { namespace } else { format!("/{}", plain(&namespace)) };
                    found.unseen.push(format!("{context}{namespace}: {}", trouble.sentence));
                }
            }
        }
    }
    found.heads = by_uid.into_values().collect();
    found.heads.sort_by(|a, b| (&b.opened, &b.run).cmp(&(&a.opened, &a.run)));
    found
}

impl Found {
    /// `namespaces`: in how many of a context a record can lie, where its whole may not be listed; else 0. `places`: those that were
    /// asked.
    fn note_narrowed(&mut self, context: &str, namespaces: usize, places: &[(String, Heads)]) {
        if namespaces == 0 {
            return;
        }
        let seen: Vec<String> =
            places.iter().filter(|(_, heads)| heads.is_ok()).map(|(namespace, _)| plain(namespace)).collect();
        let more = seen.len().saturating_sub(3);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let named = match seen.as_slice() {
            [] => String::new(),
            seen => format!(" ({}{more})", seen[..seen.len().min(3)].join(", ")),
        };
        self.narrowed.push(format!(
            "the whole of {context} may not be listed: open runs were looked for in {} only, where TidbClusters are{named}",
            counted(seen.len(), "namespace")
        ));
        if places.len() < namespaces {
            let left = counted(namespaces - places.len(), "namespace");
            self.unseen.push(format!("{context}: {left} with a TidbCluster not asked"));
        }
    }
}

/// The heads of each of these namespaces, in their order: of [`MOST`] at most, and of no more once one answered with trouble
/// that the others would have too.
async fn each<Ask, Asked>(namespaces: BTreeSet<String>, ask: Ask) -> Vec<(String, Heads)>
where
    Ask: Fn(String) -> Asked,
    Asked: Future<Output = Heads>,
{
    let asked = namespaces.into_iter().take(MOST).map(|namespace| {
        let heads = ask(namespace.clone());
        async move { (namespace, heads.await) }
    });
    let mut answers = stream::iter(asked).buffer_unordered(AT_A_TIME);
    let mut all = Vec::new();
    while let Some((namespace, heads)) = answers.next().await {
        let over = matches!(&heads, Err(trouble) if !is_forbidden(trouble));
        all.push((namespace, heads));
        if over {
            break;
        }
    }
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    all
}

fn is_forbidden(trouble: &RequestError) -> bool {
    trouble.kind == RequestErrorKind::Forbidden
}

/// An object of which only the namespace counts.
#[derive(Deserialize)]
struct Placed {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    namespace: Option<String>,
}

/// Where a record can lie: who looks at a fleet may often list its TidbClusters everywhere and ConfigMaps beside them only.
async fn with_tidb_clusters(link: &Link) -> BTreeSet<String> {
    let listed = list_pagination::list::<Placed>(link, TIDB_CLUSTERS, LARGE).await;
    let items = listed.map(|listed| listed.items).unwrap_or_default();
    items.into_iter().filter_map(|one| one.metadata.namespace).collect()
}

/// Every open run in the places of a Database's leases. An error where one could not be looked into.
pub async fn open_in(links: &Links, places: &[Place]) -> Result<Vec<Head>, String> {
    let selector = format!("{MANAGED_BY}=tidepilot,{STATE}=open");
    let asked = places.iter().map(|place| {
        let selector = &selector;
        async move { heads(links.need(&place.context)?, Some(&place.namespace), selector).await.map_err(|t| t.sentence) }
    });
    let mut all = Vec::new();
    for heads in join_all(asked).await {
        all.extend(heads?.into_iter().map(|(_, head)| head));
    }
    Ok(all)
}

/// The head of one run's record, where it is known in which namespace it would be; `None`: it is not there. Reads only.
pub async fn at(links: &Links, context: &str, namespace: &str, run: &str) -> Result<Option<Head>, RequestError> {
    let unsent = |why: String| RequestError::unsent(RequestErrorKind::Refused, why);
    let link = links.need(context).map_err(unsent)?;
    match link.get::<Value>(&format!("{}/{}", ManagedKind::ConfigMap.path(namespace), head_name(run))).await {
        Ok(object) => Ok(Some(head(context, &object).1)),
        Err(trouble) if trouble.kind == RequestErrorKind::Missing => Ok(None),
        Err(trouble) => Err(trouble),
    }
}

async fn heads(link: &Link, namespace: Option<&str>, selector: &str) -> Heads {
    let scope = namespace.map(|namespace| format!("/namespaces/{}", encode(namespace))).unwrap_or_default();
    let path = format!("/api/v1{scope}/configmaps?labelSelector={}", encode(selector));
    let listed = list_pagination::list::<Value>(link, &path, LARGE).await?;
    Ok(listed.items.iter().map(|object| head(link.context(), object)).collect())
}

pub(in crate::client) fn head(context: &str, object: &Value) -> (String, Head) {
    let metadata = &object["metadata"];
    let text = |value: &Value| plain(value.as_str().unwrap_or_default());
    let said = |name: &str| text(&metadata["annotations"][name]);
    let head = Head {
        run: text(&metadata["labels"][RUN]),
        runbook: said(RUNBOOK),
        target: said(TARGET),
        database: said(DATABASE),
        user: said(USER),
        host: said(HOST),
        opened: said(OPENED),
        open: metadata["labels"][STATE] == "open",
        context: context.to_owned(),
        namespace: text(&metadata["namespace"]),
        opener: said(OPENER),
        written: written(metadata),
        object: text(&metadata["name"]),
    };
    (text(&metadata["uid"]), head)
}

/// The latest of the managers that the server notes.
fn written(metadata: &Value) -> Option<Written> {
    let entries = metadata["managedFields"].as_array()?.iter();
    let noted = entries.filter_map(|entry| {
        let text = |name: &str| entry[name].as_str().map(plain);
        Some(Written { manager: text("manager")?, at: text("time")? })
    });
    noted.max_by(|a, b| a.at.cmp(&b.at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};

    fn trouble(kind: RequestErrorKind) -> Heads {
        Err(RequestError::unsent(kind, "why"))
    }

    fn named(count: usize) -> BTreeSet<String> {
        (0..count).map(|at| format!("n{at:03}")).collect()
    }

    /// Which namespaces are asked where each answers so, and how many of them at once at the most.
    async fn asked(count: usize, answer: fn(&str) -> Heads) -> (Vec<(String, Heads)>, usize, usize) {
        let (asked, now, most) = (RefCell::new(0), Cell::new(0_usize), Cell::new(0));
        let (asked_of, now_of, most_of) = (&asked, &now, &most);
        let ask = |namespace: String| async move {
            *asked_of.borrow_mut() += 1;
            now_of.set(now_of.get() + 1);
            most_of.set(now_of.get().max(most_of.get()));
            tokio::task::yield_now().await;
            now_of.set(now_of.get() - 1);
            answer(&namespace)
        };
        let answers = each(named(count), ask).await;
        (answers, asked.take(), most.get())
    }

    #[tokio::test]
    async fn namespaces_are_asked_side_by_side_and_no_more_than_so_many() {
        let (answers, count, most) = asked(5_000, |_| Ok(Vec::new())).await;
        assert_eq!((answers.len(), count, most), (MOST, MOST, AT_A_TIME));
        assert!(answers.is_sorted_by_key(|(namespace, _)| namespace.clone()));
        // Rights differ from namespace to namespace.
        let (answers, ..) = asked(20, |_| trouble(RequestErrorKind::Forbidden)).await;
        assert_eq!(answers.len(), 20);
        // What else is wrong is wrong with the server.
        let (answers, count, _) = asked(100, |_| trouble(RequestErrorKind::Refused)).await;
        assert!(answers.len() == 1 && count <= 2 * AT_A_TIME, "{} of {count}", answers.len());
    }

    #[test]
    fn some_namespaces_are_told_from_the_whole_of_a_cluster() {
        let mut found = Found::default();
        found.note_narrowed("east", 0, &[(String::new(), Ok(Vec::new()))]);
        assert!(found.narrowed.is_empty() && found.unseen.is_empty());
        let place = |name: &str, heads| (name.to_owned(), heads);
        let places = [place("a\u{1b}", Ok(Vec::new())), place("b", trouble(RequestErrorKind::Forbidden))];
        found.note_narrowed("east", 2, &places);
        assert_eq!(
            found.narrowed,
            [
                "the whole of east may not be listed: open runs were looked for in 1 namespace only, where TidbClusters are (a )"
            ]
        );
        assert!(found.unseen.is_empty());
        found.note_narrowed("east", 3, &places);
        assert_eq!(found.unseen, ["east: 1 namespace with a TidbCluster not asked"]);
    }
}
