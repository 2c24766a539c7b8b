//! Events of Kubernetes, of one object or of all namespaces with TidbClusters in all clusters, the last one first.
//! Drawn by `console::table`.

use super::{Cell, Item, LIST, Note, Row, Tone, ViewSpec, column, middle, number, state};
use crate::app::App;
use crate::app::status_level::{Level, age};
use crate::fleet::ObjectRef;
use crate::fleet::problem_subject::{Subject as Object, SubjectKind};
use crate::pluralize::counted;

/// Where the column of the message stands.
const MESSAGE: usize = 6;

pub const SPEC: ViewSpec = ViewSpec {
    title: "events",
    names: &["events", "ev"],
    about: "what happened lately, in all clusters",
    columns: &[
        number("AGO", 4, 0).aging(),
        column("CLUSTER", 7, 1),
        state("KIND", 9, 0),
        state("REASON", 10, 0),
        middle("OBJECT", 18, 0),
        number("COUNT", 3, 4),
        column("MESSAGE", 40, 2),
        column("FROM", 8, 9),
        middle("NAMESPACE", 8, 8),
    ],
    rows,
    empty: "No event is kept: the API server forgets them after an hour. :changes reaches further back.",
    ..LIST
};

fn rows(app: &App) -> Vec<Row> {
    let unseen = app.closeup.unseen().into_iter().map(|why| {
        let cells = vec![Cell::plain(""), Cell::plain(""), Cell::level(Level::Unknown, "unseen")];
        let mut row = Row::new(why.clone(), Level::Unknown, Item::Line).cells(cells);
        row = row.note(2, why, super::Tone::Level(Level::Unknown));
        row
    });
    let happened = app.closeup.happened();
    let all = happened.into_iter().map(|(place, event)| {
        let (level, word) = if event.warning { (Level::Working, "Warning") } else { (Level::Done, "Normal") };
        let about = event.about.split_once('/').and_then(|(kind, name)| {
            let kind = [SubjectKind::Pod, SubjectKind::TidbCluster].into_iter().find(|known| known.word() == kind)?;
            Some(Object::object(kind, &ObjectRef::new(&place.context, &place.namespace, name)))
        });
        let told = format!(
            "{} ago in {}/{}: {} {}, {}, told by {}: {}",
            age(event.last, app.now),
            place.context,
            place.namespace,
            event.about,
            event.reason,
            counted(i64::try_from(event.count).unwrap_or(i64::MAX), "time"),
            event.from,
            event.message
        );
        let item = Item::Happened { about, told };
        let mut row = Row::new(format!("{}/{}", place.context, event.uid), level, item).cells(vec![
            Cell::aged(Some(event.last), app.now),
            Cell::plain(&place.context),
            Cell::level(level, word),
            Cell::strong(&event.reason),
            Cell::plain(&event.about),
            Cell::number(i64::try_from(event.count).unwrap_or(i64::MAX)),
            Cell::plain(&event.message),
            Cell::dim(&event.from),
            Cell::dim(&place.namespace),
        ]);
        row.copy = format!("{} {} {} {}: {}", event.last, place.context, event.about, event.reason, event.message);
        // Where there is no room for it in a column, it stands whole beneath.
        row.notes.push(Note { instead_of: Some(MESSAGE), spare: true, ..Note::plain(1, &event.message, Tone::Dim) });
        row.old = !app.is_live(&place.context);
        row
    });
    unseen.chain(all).collect()
}
