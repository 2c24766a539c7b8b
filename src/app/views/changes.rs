//! What was changed, by which program, when, and from what to what: what this session saw, the templates that Kubernetes keeps of
//! StatefulSets, and of all that is older the last write of each tool. Drawn by `console::table`.
//!
//! Kubernetes keeps one time for each tool, not for each field, and no former values: of an older write it is said what is there
//! now. Not here: events ([`super::events`]), who changed a field that a run stopped at (`fleet::managed_fields`).

use jiff::Timestamp;

use super::{Cell, Item, LIST, Note, Row, Tone, ViewSpec, column, middle, number, sentence};
use crate::app::App;
use crate::app::change_history::{Became, Kind, Seen};
use crate::app::status_level::Level;
use crate::fleet::ObjectRef;
use crate::fleet::controller_revision::{Step, steps};
use crate::fleet::managed_fields::{LastWrite, OPERATOR, last_writes};
use crate::fleet::object_diff::{Difference, Edited as _, Fields, KeptValue, PARTITION};

/// Where the column of what was changed stands.
const WHAT: usize = 4;

/// A template is kept, and its StatefulSet written, within so many seconds.
const TOGETHER: i64 = 5;

pub const SPEC: ViewSpec = ViewSpec {
    title: "changes",
    names: &["changes", "changed"],
    about: "what was changed, by which program, when, from what to what",
    columns: &[
        number("AGO", 4, 0).aging(),
        column("CLUSTER", 7, 1),
        middle("OBJECT", 24, 0),
        column("BY PROGRAM", 34, 0),
        sentence("WHAT", 40, 2),
    ],
    rows,
    empty: "Nothing was changed since this session began, and no object that is seen says who wrote it. What changes comes by itself; :events has what happened to pods.",
    faults: false,
    help: "BY is the program that wrote: Kubernetes notes no person; before and after are known of what this session saw and of templates that Kubernetes keeps; of an older write what is there now; ago<1h shows what is younger",
    ..LIST
};

/// One change of one object.
struct Told {
    key: String,
    kind: Kind,
    of: ObjectRef,
    at: Option<Timestamp>,
    by: String,
    what: String,
}

fn rows(app: &App) -> Vec<Row> {
    let unseen = app.closeup.unseen().into_iter().map(|why| {
        let cells = vec![Cell::plain(""), Cell::plain(""), Cell::level(Level::Unknown, "unseen")];
        let row = Row::new(why.clone(), Level::Unknown, Item::Line).cells(cells);
        row.note(2, format!("former templates of StatefulSets: {why}"), Tone::Level(Level::Unknown))
    });
    let mut all: Vec<Told> = seen(app);
    all.extend(templates(app));
    all.extend(written(app));
    all.retain(|one| app.in_focus(Some(&one.of.context)));
    all.sort_by_key(|one| std::cmp::Reverse(one.at));
    let mut rows: Vec<Row> = unseen.collect();
    let first = rows.len();
    rows.extend(all.into_iter().map(|one| row(app, one)));
    if let Some(newest) = rows.get_mut(first) {
        newest.notes.push(Note::plain(1, known(app), Tone::Dim));
    }
    rows
}

/// What can be known, and what cannot.
fn known(app: &App) -> String {
    let since = app.edited.since.map(|at| format!(" since {}", at.strftime("%H:%M:%SZ"))).unwrap_or_default();
    format!(
        "by program: Kubernetes notes no person; before and after: of what this session saw{since} and of templates that are kept; an older write tells what is there now"
    )
}

fn row(app: &App, one: Told) -> Row {
    let name = format!("{} {}/{}", one.kind.short(), one.of.namespace, one.of.name);
    let at = one.at.map(|at| at.to_string()).unwrap_or_default();
    let copy = format!("{at} {} {name} by {}: {}", one.of.context, one.by, one.what);
    let item = item(app, &one);
    let mut row = Row::new(one.key, Level::Done, item).copies(copy).cells(vec![
        Cell::aged(one.at, app.now),
        Cell::plain(&one.of.context),
        Cell::strong(name),
        Cell::plain(one.by),
        Cell::plain(&one.what),
    ]);
    row.notes.push(Note { instead_of: Some(WHAT), spare: true, ..Note::plain(1, one.what, Tone::Dim) });
    row.old = !app.is_live(&one.of.context);
    row
}

/// What the keys of an object are about: of a StatefulSet its TidbCluster.
fn item(app: &App, one: &Told) -> Item {
    let of = &one.of;
    match one.kind {
        Kind::TidbCluster => Item::TidbCluster(of.clone()),
        Kind::StatefulSet => {
            let set = app.fleet.clusters.get(&of.context).and_then(|cluster| cluster.stateful_sets.get(&of.key()));
            let instance = set.and_then(|set| set.metadata.labels.get("app.kubernetes.io/instance"));
            instance.map_or(Item::Line, |name| Item::TidbCluster(ObjectRef::new(&of.context, &of.namespace, name)))
        }
    }
}

fn arrow(app: &App) -> &'static str {
    if app.options.ascii { "->" } else { "→" }
}

/// `nothing`: what is said where nothing is other that is kept.
fn words(app: &App, difference: &Difference, nothing: &str) -> String {
    if difference.is_empty() { nothing.to_owned() } else { difference.words(arrow(app)) }
}

/// What came in while this session looked.
fn seen(app: &App) -> Vec<Told> {
    let templates = steps(app.closeup.revisions());
    let told = app.edited.all().filter(|one| !rolls(one) && !doubled(one, &templates)).map(|one| {
        let (by, what) = match &one.became {
            Became::New => ("(not told)".to_owned(), "made".to_owned()),
            Became::Gone => ("(not told)".to_owned(), "deleted".to_owned()),
            Became::Other(moved) => {
                let by: Vec<&str> = moved.by.iter().map(|(name, _)| name.as_str()).collect();
                let by = if by.is_empty() { "(not told)".to_owned() } else { by.join(", ") };
                let unkept = "fields whose values are not kept here: configuration, resources, variables";
                (by, words(app, &moved.difference, unkept))
            }
        };
        let key = format!("seen {}", one.number);
        Told { key, kind: one.kind, of: one.of.clone(), at: Some(one.written()), by, what }
    });
    told.collect()
}

/// How the operator goes from pod to pod is no change that anybody made; by hand it is one.
fn rolls(one: &Seen) -> bool {
    let Became::Other(moved) = &one.became else { return false };
    moved.difference.only(|field| field == PARTITION) && moved.by.iter().all(|(by, _)| by == OPERATOR)
}

/// A template that Kubernetes keeps says more than what was seen of the same change.
fn doubled(one: &Seen, templates: &[Step<'_>]) -> bool {
    let Became::Other(moved) = &one.became else { return false };
    // Nothing that is kept is other: then it is the template, or something that nobody sees.
    let only = moved.difference.is_empty() || moved.difference.only(|field| field.starts_with("spec.template."));
    one.kind == Kind::StatefulSet
        && only
        && templates.iter().any(|step| set_of(step) == one.of && near(step, Some(one.written())))
}

fn near(step: &Step<'_>, at: Option<Timestamp>) -> bool {
    let (Some(since), Some(at)) = (step.to.since(), at) else { return false };
    since.duration_since(at).as_secs().abs() <= TOGETHER
}

fn set_of(step: &Step<'_>) -> ObjectRef {
    ObjectRef::new(&step.to.context, &step.to.namespace, &step.to.set)
}

/// From template to template, as Kubernetes keeps them.
fn templates(app: &App) -> Vec<Told> {
    let all = steps(app.closeup.revisions());
    let told = all.iter().map(|step| {
        let of = set_of(step);
        let by = writer(app, &of, step).unwrap_or_else(|| "(not kept)".to_owned());
        let edits = words(app, &step.difference, "nothing that is told");
        let key = format!("{of} {}", step.to.name);
        let at = step.to.since();
        Told { key, kind: Kind::StatefulSet, of, at, by, what: format!("template: {edits}") }
    });
    told.collect()
}

/// Who wrote the StatefulSet when the template was first used.
fn writer(app: &App, of: &ObjectRef, step: &Step<'_>) -> Option<String> {
    let seen = app.edited.all().rev().filter(|one| one.kind == Kind::StatefulSet && one.of == *of);
    let seen = seen.filter(|one| near(step, Some(one.written()))).find_map(|one| match &one.became {
        Became::Other(moved) => moved.by.first().map(|(name, _)| name.clone()),
        Became::New | Became::Gone => None,
    });
    let set = app.fleet.clusters.get(&of.context)?.stateful_sets.get(&of.key());
    let told = set.map(|set| last_writes(&set.metadata)).unwrap_or_default();
    seen.or_else(|| told.into_iter().find(|write| near(step, write.at)).map(|write| write.by))
}

/// Of every object the last write of each tool, but what this session saw.
fn written(app: &App) -> Vec<Told> {
    let mut all = Vec::new();
    for (of, tc) in app.fleet.tidb_clusters() {
        all.extend(last(app, Kind::TidbCluster, &of, &last_writes(&tc.metadata), &tc.fields()));
    }
    for cluster in app.fleet.clusters.values() {
        for (key, set) in &cluster.stateful_sets {
            let of = ObjectRef::new(&cluster.context, &key.namespace, &key.name);
            all.extend(last(app, Kind::StatefulSet, &of, &last_writes(&set.metadata), &set.fields()));
        }
    }
    all
}

fn last(app: &App, kind: Kind, of: &ObjectRef, writes: &[LastWrite], now: &Fields) -> Vec<Told> {
    let known = |write: &&LastWrite| {
        !app.edited.all().any(|one| {
            let Became::Other(moved) = &one.became else { return false };
            one.kind == kind && one.of == *of && moved.by.iter().any(|(by, at)| *by == write.by && *at == write.at)
        })
    };
    let told = writes.iter().filter(known).map(|write| {
        let key = format!("{} {of} {} {}", kind.short(), write.by, write.entry);
        Told { key, kind, of: of.clone(), at: write.at, by: write.by.clone(), what: owned(write, now) }
    });
    told.collect()
}

/// The fields that a tool owns, each with the value that is there now, where it is one and is kept.
fn owned(write: &LastWrite, now: &Fields) -> String {
    let one = |field: &String| match now.get(field).and_then(KeptValue::shown) {
        Some(value) => format!("{field} (now {value})"),
        None => field.clone(),
    };
    let fields: Vec<String> = write.fields.iter().map(one).collect();
    let fields = match fields.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        all => format!("one or more of {}", all.join(", ")),
    };
    match write.at {
        Some(_) => fields,
        None => format!("at a time that is not kept: {fields}"),
    }
}
