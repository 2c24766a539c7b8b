//! The second line at the top: how fresh each KubeCluster is. The digit before a cluster is the key that shows it alone.
//!
//! One line that never wraps: words get shorter until it fits.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::click_targets::Spots;
use super::text::{cut, span, width};
use super::theme::{Role, Theme};
use crate::app::App;
use crate::app::message::Pointed;
use crate::app::status_level::{Level, endeavour, freshness_level, freshness_words};
use crate::fleet::connection_health::Weather;

pub fn draw(app: &App, theme: Theme, frame: &mut Frame<'_>, area: Rect, spots: &mut Spots) {
    let line = chips(app, theme, usize::from(area.width));
    spots_of_chips(app, &line, area, spots);
    frame.render_widget(line, area);
}

/// A click on a cluster does what its digit does.
fn spots_of_chips(app: &App, line: &Line<'_>, area: Rect, spots: &mut Spots) {
    let names: Vec<&str> = app.fleet.clusters.keys().map(String::as_str).collect();
    let mut x = area.x;
    let mut index = 0;
    for one in &line.spans {
        let width = u16::try_from(one.width()).unwrap_or(u16::MAX);
        if index < 9 && names.get(index).is_some_and(|name| *name == one.content) {
            spots.put(Rect { x, width, ..area }.intersection(area), Pointed::Cluster(index));
            index += 1;
        }
        x = x.saturating_add(width);
    }
}

/// `1 east ● live   2 west ✖ unreachable 41s`, shortened until it fits.
fn chips(app: &App, theme: Theme, room: usize) -> Line<'static> {
    if app.fleet.clusters.is_empty() {
        return Line::from(Span::styled(" no cluster yet", theme.style(Role::Dim)));
    }
    for shortness in 0..4 {
        let line = chips_at(app, theme, shortness);
        if line.width() <= room {
            return line;
        }
    }
    let full = chips_at(app, theme, 3);
    let mut spans = Vec::new();
    let mut left = room;
    for one in full.spans {
        if one.width() > left {
            spans.push(Span::styled(cut(&one.content, left, theme), one.style));
            break;
        }
        left -= width(&one.content);
        spans.push(one);
    }
    Line::from(spans)
}

/// `● 20 ms` of one that answers, else its state. 0: what is done about it too; 1: all words; 2: no word for live ones; 3: glyphs only.
fn chips_at(app: &App, theme: Theme, shortness: u8) -> Line<'static> {
    let mut spans = Vec::new();
    for (index, cluster) in app.fleet.clusters.values().enumerate() {
        spans.push(Span::raw(if index == 0 { " " } else { "   " }));
        let focused = app.focus.as_deref() == Some(&cluster.context);
        if index < 9 {
            spans.push(Span::styled(format!("{} ", index + 1), theme.style(Role::Dim)));
        }
        let name = if focused { theme.style(Role::Cursor) } else { theme.style(Role::Plain) };
        spans.push(span(&cluster.context, name));
        let level = freshness_level(&cluster.freshness);
        let rtt = app.weather.get(&cluster.context).and_then(Weather::rtt_step);
        // How far away it is says that it answers.
        let words = match rtt.filter(|_| level == Level::Good) {
            Some(ms) => format!("{ms} ms"),
            None => freshness_words(cluster, app.now),
        };
        let shown = match shortness {
            0 => format!(" {} {words}{}", theme.glyph(level), endeavour(&cluster.freshness)),
            1 => format!(" {} {words}", theme.glyph(level)),
            2 if level != Level::Good => format!(" {} {words}", theme.glyph(level)),
            _ => format!(" {}", theme.glyph(level)),
        };
        let mut style = theme.level(level);
        if app.is_back(&cluster.context) {
            style = style.patch(theme.style(Role::Changed));
        }
        spans.push(Span::styled(shown, style));
        if cluster.read_only && !app.options.read_only && shortness <= 1 {
            spans.push(Span::styled(" read-only", theme.style(Role::Dim)));
        }
    }
    Line::from(spans)
}
