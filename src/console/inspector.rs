//! The object under the cursor beside the table: what Kubernetes says of it and what PD says of it, in two columns.
//!
//! At the right from 140 columns on, and narrower where the table needs the room; below the table (on request) from 100. A value that is
//! too long for its column has lines of its own: nothing of it is lost. Not here: the whole page of an object ([`super::detail`]),
//! which object it is (`app::selected_object`).

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Block;

use super::text::{cut, folded, pad, span, wrap};
use super::theme::{Role, Theme};
use super::{detail, table};
use crate::app::keymap::Scope;
use crate::app::overview_matrix::{pod_words, store_level};
use crate::app::selected_object::{member_pod, store_pod};
use crate::app::status_level::{Level, age};
use crate::app::views::findings::level as finding_level;
use crate::app::views::members::{health, peer_cell};
use crate::app::views::{Cell, grouped};
use crate::app::{App, Subject};
use crate::fleet::ObjectRef;
use crate::fleet::database::{Member, StoreRow};
use crate::fleet::workload::{Pod, image_tag};

/// From this width on it stands at the right.
const RIGHT: u16 = 140;
/// From this width on it can stand below.
const BELOW: u16 = 100;
const WIDEST: u16 = 64;
const NARROWEST: u16 = 44;
/// What a table of sentences keeps: they are wrapped, so it never needs all that it could have.
const OF_SENTENCES: u16 = 88;
const LINES: u16 = 12;
const LABEL: usize = 9;

/// The table's part of the body, and the inspector's where there is one.
pub fn split(app: &App, theme: Theme, body: Rect) -> (Rect, Option<Rect>) {
    let lists = matches!(app.view_scope(), Scope::Matrix | Scope::List);
    if !lists || app.inspected().is_none() || body.height < 8 {
        return (body, None);
    }
    if body.width >= RIGHT && app.inspector.unwrap_or(true) {
        let width = beside(app, theme, body.width);
        let left = Rect { width: body.width - width, ..body };
        return (left, Some(Rect { x: left.right(), width, ..body }));
    }
    if (BELOW..RIGHT).contains(&body.width) && app.inspector == Some(true) && body.height >= LINES + 8 {
        let above = Rect { height: body.height - LINES, ..body };
        return (above, Some(Rect { y: above.bottom(), height: LINES, ..body }));
    }
    (body, None)
}

/// How wide it is at the right: what the table leaves, within bounds; beside the overview a third.
fn beside(app: &App, theme: Theme, all: u16) -> u16 {
    if app.view().spec().columns.is_empty() {
        return (all / 3).min(WIDEST);
    }
    let table = u16::try_from(table::wanted(app, theme)).unwrap_or(u16::MAX);
    let sentences = app.view().spec().columns.iter().any(|column| column.wraps);
    let noted = sentences || app.rows().iter().any(|row| !row.notes.is_empty());
    let wanted = match (sentences, noted) {
        (true, _) => table.min(OF_SENTENCES),
        (false, true) => table.max(OF_SENTENCES),
        (false, false) => table,
    };
    all.saturating_sub(wanted).clamp(NARROWEST, WIDEST)
}

/// Draws what is under the cursor.
pub fn draw(app: &App, theme: Theme, frame: &mut Frame<'_>, area: Rect) {
    let Some(subject) = app.inspected() else { return };
    let name = match app.object() {
        Some(object) if object.context.is_empty() && !object.name.is_empty() => format!(" {} ", object.name),
        Some(object) if !object.name.is_empty() => format!(" {} in {} ", object.name, object.context),
        Some(object) if !object.context.is_empty() => format!(" {} ", object.context),
        Some(_) | None => " more ".to_owned(),
    };
    let block = Block::bordered()
        .border_set(theme.border())
        .border_style(theme.style(Role::Dim))
        .title(span(cut(&name, usize::from(area.width.saturating_sub(2)), theme), theme.style(Role::Strong)));
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let room = usize::from(inside.width);
    let mut lines = match two_sources(app, &subject) {
        Some(found) => found.lines(app, theme, room),
        None => detail::page(app, theme, &subject, room).lines,
    };
    let more = lines.len() > usize::from(inside.height);
    lines.truncate(usize::from(inside.height).saturating_sub(usize::from(more)));
    if more {
        lines.push(Line::from(Span::styled(" enter shows all of it", theme.style(Role::Dim))));
    }
    for (offset, line) in lines.into_iter().enumerate() {
        let y = inside.y.saturating_add(u16::try_from(offset).unwrap_or(u16::MAX));
        if y < inside.bottom() {
            frame.render_widget(line, Rect { y, height: 1, ..inside });
        }
    }
}

/// A pod, and the member or store that lives in it.
struct Both<'a> {
    of: Option<ObjectRef>,
    pod: Option<&'a Pod>,
    member: Option<&'a Member>,
    store: Option<&'a StoreRow>,
}

fn two_sources<'a>(app: &'a App, subject: &Subject) -> Option<Both<'a>> {
    let database = app.database()?;
    let (of, member, store) = match subject {
        Subject::Pod(of) => {
            let member = database.members.iter().find(|one| member_pod(one).as_ref() == Some(of));
            let store = database.stores.iter().find(|row| store_pod(row).as_ref() == Some(of));
            (Some(of.clone()), member, store)
        }
        Subject::Member(id) => {
            let member = database.member(*id)?;
            (member_pod(member), Some(member), None)
        }
        Subject::Store(id) => {
            let store = database.stores.iter().find(|row| row.store.id == *id)?;
            (store_pod(store), None, Some(store))
        }
        _ => return None,
    };
    let pod = of.as_ref().and_then(|of| app.fleet.clusters.get(&of.context)?.pods.get(&of.key()));
    Some(Both { of, pod, member, store })
}

/// Writes the lines one below the other.
struct Pen {
    theme: Theme,
    room: usize,
    lines: Vec<Line<'static>>,
}

impl Pen {
    /// What each of the two sources says; nothing where neither says anything.
    fn pair(&mut self, label: &str, left: Option<Cell>, right: Option<Cell>) {
        if left.is_none() && right.is_none() {
            return;
        }
        let column = self.rest() / 2;
        let fits = |cell: &Option<Cell>| cell.as_ref().is_none_or(|cell| table::cell_width(cell, self.theme) < column);
        if !fits(&left) || !fits(&right) {
            let mut label = label;
            for (source, cell) in [("Kubernetes", left), ("PD", right)] {
                if let Some(cell) = cell {
                    self.whole(std::mem::take(&mut label), source, &cell);
                }
            }
            return;
        }
        let mut spans = vec![self.label(label)];
        for cell in [left, right] {
            let cell = cell.unwrap_or_default();
            let drawn = table::cell_spans(&cell, column.saturating_sub(1), true, self.theme);
            let used: usize = drawn.iter().map(Span::width).sum();
            spans.extend(drawn);
            spans.push(Span::raw(" ".repeat(column.saturating_sub(used))));
        }
        self.lines.push(Line::from(spans));
    }

    /// A value that is too long for its column: its source and the whole of it, on as many lines as it takes.
    fn whole(&mut self, label: &str, source: &str, cell: &Cell) {
        let mut spans = vec![span(format!("{source}: "), self.theme.style(Role::Dim))];
        spans.extend(table::cell_spans(cell, usize::MAX, false, self.theme));
        self.spans(label, spans);
    }

    /// Spans over the whole width, folded where they must be.
    fn spans(&mut self, label: &str, spans: Vec<Span<'static>>) {
        let label = self.heading(label);
        for (at, line) in folded(spans, self.rest()).into_iter().enumerate() {
            let mut all = vec![self.label(if at == 0 { label } else { "" })];
            all.extend(line);
            self.lines.push(Line::from(all));
        }
    }

    /// A sentence over the whole width.
    fn told(&mut self, label: &str, text: &str, style: Style) {
        let label = self.heading(label);
        for (at, piece) in wrap(text, self.rest()).into_iter().enumerate() {
            let head = self.label(if at == 0 { label } else { "" });
            self.lines.push(Line::from(vec![head, Span::styled(piece, style)]));
        }
    }

    /// A label that is longer than its column has a line of its own. Gives what is left to stand beside the text.
    fn heading<'a>(&mut self, label: &'a str) -> &'a str {
        if label.chars().count() < LABEL {
            return label;
        }
        let own = span(format!(" {label}"), self.theme.style(Role::Dim));
        self.lines.push(Line::from(own));
        ""
    }

    fn label(&self, label: &str) -> Span<'static> {
        span(format!("{} ", pad(&format!(" {label}"), LABEL)), self.theme.style(Role::Dim))
    }

    /// Columns beside the label.
    fn rest(&self) -> usize {
        self.room.saturating_sub(LABEL + 2)
    }

    fn gap(&mut self) {
        self.lines.push(Line::default());
    }
}

impl Both<'_> {
    fn lines(&self, app: &App, theme: Theme, room: usize) -> Vec<Line<'static>> {
        let mut pen = Pen { theme, room, lines: Vec::new() };
        pen.pair("", Some(Cell::dim("Kubernetes")), Some(Cell::dim("PD")));
        self.state(app, &mut pen);
        self.identity(app, &mut pen);
        self.of_pod(app, &mut pen);
        self.of_store(app, &mut pen);
        self.troubles(app, &mut pen);
        self.peer_url(&mut pen);
        self.findings(app, &mut pen);
        helping(app, &mut pen);
        pen.lines
    }

    fn state(&self, app: &App, pen: &mut Pen) {
        let live = self.of.as_ref().is_some_and(|of| app.is_live(&of.context));
        let state = match self.pod {
            Some(pod) if live => {
                let (level, word) = pod_words(pod);
                Cell::level(level, word)
            }
            Some(pod) => Cell::level(Level::Unknown, format!("{} when last seen", pod.status_word())),
            None => Cell::level(Level::Unknown, "no such pod is seen"),
        };
        let told = self.member.map(|member| {
            let (level, word) = health(member);
            Cell::level(level, word)
        });
        let told = told.or_else(|| {
            let store = &self.store?.store;
            Some(Cell::level(store_level(&store.state), &store.state))
        });
        pen.pair("state", Some(state), told);
    }

    fn identity(&self, app: &App, pen: &mut Pen) {
        let id = self.member.map(|member| Cell::plain(member.id.hex()));
        let id = id.or_else(|| Some(Cell::plain(format!("store {}", self.store?.store.id))));
        pen.pair("id", None, id);
        let hash = self.pod.and_then(|pod| pod.metadata.labels.get("controller-revision-hash"));
        pen.pair("revision", hash.map(|hash| Cell::plain(hash.rsplit('-').next().unwrap_or(hash))), None);
        let image = self.pod.and_then(Pod::image).map(|image| Cell::plain(image_tag(image).unwrap_or(image)));
        let version = self.of.as_ref().and_then(|of| {
            let view = app.fleet.clusters.get(&of.context)?.pd.get(&of.key())?;
            view.answer.as_ref().ok()?.version.clone().map(Cell::plain)
        });
        let version = version.or_else(|| Some(Cell::plain(&self.store?.store.version)));
        pen.pair("version", image, version);
    }

    fn of_pod(&self, app: &App, pen: &mut Pen) {
        let Some(pod) = self.pod else { return };
        let role = self.member.filter(|member| member.leader).map(|_| Cell::strong("leader"));
        pen.pair("restarts", Some(Cell::plain(format!("{}", pod.restarts()))), role);
        let created = pod.metadata.creation_timestamp.map(|at| Cell::plain(age(at, app.now)));
        pen.pair("age", created, None);
        pen.pair("node", pod.spec.node_name.as_ref().map(Cell::plain), None);
        pen.pair("IP", pod.status.pod_ip.as_ref().map(Cell::plain), None);
    }

    fn of_store(&self, app: &App, pen: &mut Pen) {
        let Some(row) = self.store else { return };
        let load = &row.store.load;
        let text = |text: &str| Some(Cell::plain(text)).filter(|_| !text.is_empty());
        pen.pair("peers", None, Some(Cell::plain(grouped(row.store.region_count))));
        pen.pair("leaders", None, Some(Cell::plain(grouped(row.store.leader_count))));
        let full = load.full().map(|full| format!("{full} % of {}", load.capacity));
        pen.pair("full", None, full.map(Cell::plain));
        pen.pair("free", None, text(&load.available));
        pen.pair("heard", None, load.last_heartbeat.map(|at| Cell::plain(format!("{} ago", age(at, app.now)))));
        pen.pair("slow", None, load.slow_score.map(|score| Cell::plain(format!("{score} of 100"))));
        let labels: Vec<String> = row.store.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        pen.pair("labels", None, text(&labels.join(" ")));
    }

    /// How its container ended last, and the conditions that do not hold.
    fn troubles(&self, app: &App, pen: &mut Pen) {
        let style = pen.theme.level(Level::Working);
        if let Some((container, end)) = self.pod.and_then(Pod::last_end) {
            let when = end.finished_at.map(|at| format!(", {} ago", age(at, app.now))).unwrap_or_default();
            pen.told("last end", &format!("{container} {}{when}", end.words()), style);
        }
        for condition in self.pod.into_iter().flat_map(|pod| &pod.status.conditions) {
            if condition.status != "True" && !condition.message.is_empty() {
                pen.told(&condition.kind, &condition.message, style);
            }
        }
    }

    fn peer_url(&self, pen: &mut Pen) {
        let Some(member) = self.member else { return };
        pen.spans("peerURL", table::cell_spans(&peer_cell(member, &[]), usize::MAX, false, pen.theme));
        if let Some(should) = member.expected_peer_url.as_ref().filter(|_| member.drift) {
            pen.spans("expected", vec![span(should, pen.theme.level(Level::Working))]);
        }
    }

    fn findings(&self, app: &App, pen: &mut Pen) {
        let found = app.findings_about(self.of.as_ref(), self.member, self.store);
        if !found.is_empty() {
            pen.gap();
        }
        let plain = pen.theme.style(Role::Plain);
        for finding in found {
            let level = finding_level(finding);
            let head = span(format!(" {} {}", pen.theme.glyph(level), finding.id()), pen.theme.level(level));
            pen.lines.push(Line::from(head));
            for piece in wrap(&finding.sentence, pen.room.saturating_sub(4)) {
                pen.lines.push(Line::from(vec![Span::raw("   "), Span::styled(piece, plain)]));
            }
        }
    }
}

/// The runbooks that `r` begins with here.
fn helping(app: &App, pen: &mut Pen) {
    let helping = app.runbooks_for_cursor();
    if helping.is_empty() {
        return;
    }
    pen.gap();
    let names: Vec<&str> = helping.iter().map(String::as_str).collect();
    for (at, piece) in wrap(&names.join(", "), pen.rest()).into_iter().enumerate() {
        let head = span(pad(if at == 0 { " r" } else { "" }, LABEL + 1), pen.theme.style(Role::Accent));
        pen.lines.push(Line::from(vec![head, Span::styled(piece, pen.theme.style(Role::Dim))]));
    }
}
