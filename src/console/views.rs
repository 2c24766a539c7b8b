//! The drawing of each view: a table where its columns are enough, else a file of its own. The other half of `app::views`.

use ratatui::Frame;
use ratatui::layout::Rect;

use super::click_targets::Spots;
use super::text::Page;
use super::theme::Theme;
use super::{
    approvals, detail, empty, form, logs, nothing, one_cluster_panel, overview, page, plan_panes, run_progress,
    search_highlight, table, yaml_and_diff,
};
use crate::app::visible_rows::Row;
use crate::app::{App, View};

/// Draws the view in front.
pub fn draw(app: &App, theme: Theme, frame: &mut Frame<'_>, area: Rect, rows: &[Row], spots: &mut Spots) {
    let wide = usize::from(area.width);
    let scroll = app.screen().scroll;
    match app.view() {
        View::Overview => overview::draw(app, theme, frame, area, rows, spots),
        View::Findings => {
            let area = one_cluster_panel::panel_below(app, theme, frame, area);
            list(app, theme, frame, area, rows, spots);
        }
        View::Form => form::draw(app, theme, frame, area),
        View::Plan => plan_panes::draw(app, theme, frame, area, spots),
        View::Run => run_progress::draw(app, theme, frame, area),
        View::Logs { of, .. } => logs::draw(app, theme, frame, area, of),
        View::Approval | View::Detail(_) | View::Yaml(_) | View::Compare(..) => {
            let Some(text) = text(app, theme, wide) else { return };
            let text = match app.wanted_text() {
                Some(wanted) => {
                    let last = text.lines.len().saturating_sub(usize::from(area.height));
                    let top = scroll.min(last);
                    search_highlight::lit(text, wanted, app.screen().hit, top..top + usize::from(area.height), theme)
                }
                None => text,
            };
            page(frame, area, text, scroll, theme);
        }
        View::Pods
        | View::Events(_)
        | View::Databases
        | View::Clusters
        | View::Namespaces
        | View::Members
        | View::Stores
        | View::Regions
        | View::TidbClusters
        | View::Changes
        | View::Certificates
        | View::Runbooks
        | View::Runs
        | View::Log
        | View::Forwards
        | View::Approvals => list(app, theme, frame, area, rows, spots),
    }
}

/// The page of a view that is nothing but one.
pub fn text(app: &App, theme: Theme, wide: usize) -> Option<Page> {
    match app.view() {
        View::Approval => Some(approvals::page(app, theme, wide)),
        View::Detail(subject) => Some(detail::page(app, theme, subject, wide)),
        View::Yaml(thing) => Some(yaml_and_diff::page(app, theme, thing)),
        View::Compare(one, other) => Some(yaml_and_diff::compare(app, theme, wide, one, other)),
        _ => None,
    }
}

/// The table of a view, or why it is empty.
fn list(app: &App, theme: Theme, frame: &mut Frame<'_>, area: Rect, rows: &[Row], spots: &mut Spots) {
    if !rows.is_empty() {
        return table::draw(app, theme, frame, area, rows, spots);
    }
    empty(frame, area, theme, &why_empty(app));
}

/// Why the view in front has no row.
pub fn why_empty(app: &App) -> String {
    let spec = app.view().spec();
    let own = matches!(app.view(), View::Runbooks | View::Runs | View::Log | View::Forwards) && app.count_all() == 0;
    if own { spec.empty.to_owned() } else { nothing(app, spec.empty) }
}
