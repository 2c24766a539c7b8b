//! The plan before anything is sent: what was checked, and of every step the exact requests, before and after, the
//! line a person would type, whether it can be undone, and what it asks.

use std::collections::BTreeMap;

use ratatui::text::Span;
use serde_json::Value;

use super::table;
use super::text::{Page, span};
use super::theme::{Role, Theme};
use crate::app::status_level::{Level, age};
use crate::app::url_display;
use crate::app::{App, Restart};
use crate::pluralize::counted;
use crate::runbook::action_types::{Request, Reversibility};
use crate::runbook::actions::Action;
use crate::runbook::actions::api_request_parts::manifest;
use crate::runbook::plan::{CheckState, Confirm, Plan, PlannedStep, Rehearsal};

pub fn page(app: &App, theme: Theme, room: usize) -> Page {
    let mut page = Page::default();
    let Some(plan) = &app.plan else {
        let sentence = if app.planning {
            "Looking at every cluster afresh and rehearsing; nothing is changed by this."
        } else {
            "There is no plan. Choose a runbook with r."
        };
        page.hang(vec![Span::raw("  ")], sentence, theme.style(Role::Dim), room);
        return page;
    };
    head(&mut page, app, theme, plan, room);
    checks(&mut page, theme, plan, room, app.screen().unfolded);
    page.gap();
    page.push(vec![span("  Steps", theme.style(Role::Title))]);
    let mut phase = "";
    for (index, step) in plan.steps.iter().enumerate() {
        if step.phase != phase {
            phase = &step.phase;
            if index > 0 {
                page.gap();
            }
            page.push(vec![span(format!("  {phase}"), theme.style(Role::Dim))]);
        }
        self::step(&mut page, theme, index + 1, step, room);
    }
    page
}

/// What the plan is of, what it would do in one sentence, and why it cannot be started.
pub fn head_of(app: &App, theme: Theme, plan: &Plan, room: usize) -> Page {
    let mut page = Page::default();
    head(&mut page, app, theme, plan, room);
    page
}

fn head(page: &mut Page, app: &App, theme: Theme, plan: &Plan, room: usize) {
    if plan.experimental {
        let banner = span(" EXPERIMENTAL ", theme.style(Role::Alarm));
        let text = "the vendor calls this procedure experimental: rehearse it first, and have a backup";
        page.hang(vec![Span::raw("  "), banner, Span::raw(" ")], text, theme.level(Level::Working), room);
    }
    let mut title = vec![
        span(format!("  {}", plan.title), theme.style(Role::Strong)),
        span(format!("  on {}", plan.target), theme.style(Role::Plain)),
    ];
    let open = app.runs_open_on(&plan.target);
    // Where lines are few it does not cost one of its own.
    if room < WITH_FELT && !open.is_empty() {
        let mark = format!("  {} {}: R", theme.glyph(Level::Working), counted(open.len(), "open run"));
        title.push(span(mark, theme.level(Level::Working)));
    }
    page.push(title);
    if let Some(document) = &plan.document {
        page.hang(vec![Span::raw("  ")], &document.mark(), theme.level(Level::Working), room);
    }
    let dim = theme.style(Role::Dim);
    for (name, shown) in plan.given() {
        page.hang(vec![span(format!("  {name} = "), dim)], &shown, theme.style(Role::Plain), room);
    }
    let restarts = app.restarts(plan);
    let mut summary =
        format!("{}; seen {} ago in {}", sums(plan), age(plan.observed_at, app.now), plan.contexts.join(", "));
    if room < WITH_FELT {
        summary.extend(restarts.iter().map(|restart| format!("; restarts {}", restart.pods_in_words())));
    }
    page.hang(vec![Span::raw("  ")], &summary, dim, room);
    for restart in restarts.iter().filter(|_| room >= WITH_FELT) {
        let head = span("  restarts ", theme.level(Level::Working));
        page.hang(vec![head], &restart.words(), theme.style(Role::Plain), room);
        felt(page, app, theme, restart, "    ", room);
    }
    if let Some(outage) = app.outage(plan) {
        let head = span(format!("  {} ", theme.glyph(Level::Bad)), theme.level(Level::Bad));
        page.hang(vec![head], &outage, theme.level(Level::Bad), room);
    }
    let barring = app.kept_out().map(|run| run.run.as_str());
    for run in open.iter().filter(|run| room >= WITH_FELT && barring != Some(run.run.as_str())) {
        let head = span(format!("  {} ", theme.glyph(Level::Working)), theme.level(Level::Working));
        let words = format!("run {} is open on this Database already: R", run.run);
        page.hang(vec![head], &words, theme.level(Level::Working), room);
    }
    if let Some(bar) = app.bar() {
        let level = bar.level();
        let head = span(format!("  {} ", theme.glyph(level)), theme.level(level));
        page.hang(vec![head], &bar.sentence(), theme.level(level), room);
    }
}

/// From this width on the head of a plan tells what clients feel; below it the step's card does.
const WITH_FELT: usize = 110;

/// What clients of the database feel of a restart, and how long the run waits for its end.
pub fn felt(page: &mut Page, app: &App, theme: Theme, restart: &Restart, indent: &str, room: usize) {
    for sentence in app.felt(restart) {
        page.hang(vec![span(indent, theme.style(Role::Dim))], &sentence, theme.style(Role::Dim), room);
    }
    let Some(longest) = restart.longest else { return };
    let longest = format!("timeout {longest} min; how long it takes is not known beforehand");
    page.hang(vec![span(indent, theme.style(Role::Dim))], &longest, theme.style(Role::Dim), room);
}

/// `2 changes in 1 cluster, 1 with no rollback; 1 step is already so`
pub fn sums(plan: &Plan) -> String {
    let changing = || plan.steps.iter().filter(|step| step.action.writes() && !step.already_so);
    let requests = changing().flat_map(|step| &step.requests).map(|request| request.context.as_str());
    let clusters: std::collections::BTreeSet<&str> = requests.collect();
    let finally = changing().filter(|step| step.reversibility == Reversibility::Irreversible).count();
    let asked = plan.steps.iter().filter(|step| !matches!(step.confirm, Confirm::None) && !step.already_so).count();
    let already = plan.steps.iter().filter(|step| step.already_so).count();
    let mut text = format!("{} to send", counted(plan.changes(), "change"));
    if !clusters.is_empty() {
        text.push_str(&format!(" in {}", counted(clusters.len(), "cluster")));
    }
    match finally {
        0 if changing().any(|step| step.action.stays()) => text.push_str(match plan.changes() {
            1 => ", not put back by itself",
            _ => ", not put back by themselves",
        }),
        0 if plan.changes() > 0 => {
            text.push_str(if plan.changes() == 1 { ", can be put back" } else { ", each can be put back" });
            if plan.outage(None).is_some() {
                text.push_str(", but not the outage until then");
            }
        }
        0 => {}
        some => text.push_str(&format!(", {some} irreversible")),
    }
    text.push_str(&format!("; {}", counted(plan.steps.len(), "step")));
    match (plan.steps.len(), asked) {
        (1, 1) => text.push_str(", to be confirmed"),
        (_, 0) => text.push_str(", none to be confirmed"),
        _ => text.push_str(&format!(", {asked} to be confirmed")),
    }
    if already > 0 {
        text.push_str(&format!(", {already} already so"));
    }
    let failed = plan.checks.iter().filter(|check| check.state == CheckState::Refused).count();
    let checks = plan.checks.iter().filter(|check| check.applies()).count();
    text.push_str(&format!("; {}", counted(checks, "check")));
    if failed > 0 {
        text.push_str(&format!(", {failed} refusing"));
    }
    text
}

/// `● 3 passed  ◐ 1 warning`
pub fn check_counts(theme: Theme, plan: &Plan) -> Vec<Span<'static>> {
    let parts = [
        (CheckState::Passed, Level::Good, "passed"),
        (CheckState::Warning, Level::Working, "warning"),
        (CheckState::Accepted, Level::Working, "overruled"),
        (CheckState::Refused, Level::Bad, "refused"),
    ];
    let counted = parts.into_iter().filter_map(|(state, level, word)| {
        let n = plan.checks.iter().filter(|check| check.state == state && check.applies()).count();
        (n > 0).then(|| span(format!("  {} {n} {word}", theme.glyph(level)), theme.level(level)))
    });
    counted.collect()
}

/// Those that stand in the way first, each whole; of those that passed the number, unless they are asked for.
pub fn checks(page: &mut Page, theme: Theme, plan: &Plan, room: usize, unfolded: bool) {
    page.gap();
    let mut title = vec![span("  Checks", theme.style(Role::Title))];
    title.extend(check_counts(theme, plan));
    page.push(title);
    // What stands in the way comes first.
    let mut sorted: Vec<_> = plan.checks.iter().collect();
    sorted.sort_by_key(|check| match check.state {
        CheckState::Refused => 0,
        CheckState::Accepted => 1,
        CheckState::Warning => 2,
        CheckState::Passed => 3,
    });
    let passed = sorted.iter().filter(|check| check.state == CheckState::Passed && check.applies()).count();
    let folded = !unfolded && passed > FEW;
    for check in sorted.into_iter().filter(|check| !folded || check.state != CheckState::Passed) {
        let level = match check.state {
            CheckState::Passed => Level::Good,
            CheckState::Warning | CheckState::Accepted => Level::Working,
            CheckState::Refused => Level::Bad,
        };
        let glyph = span(format!("  {} ", theme.glyph(level)), theme.level(level));
        if !check.applies() {
            let words = format!("{}: {}", check.name(), check.sentence);
            page.hang(vec![Span::raw("    ")], &words, theme.style(Role::Dim), room);
            continue;
        }
        if check.state == CheckState::Passed {
            page.hang(vec![glyph], check.name(), theme.style(Role::Dim), room);
            continue;
        }
        page.hang(vec![glyph], check.name(), theme.style(Role::Strong), room);
        let (indent, plain) = (|| Span::raw("    "), theme.style(Role::Plain));
        page.hang(vec![indent()], &check.found(), plain, room);
        let known_as = match check.reading && check.state == CheckState::Refused {
            true => format!("{}: a reading, not proof: o overrules it, with a reason", check.id),
            false => check.id.clone(),
        };
        if *check.name() != check.id || check.reading {
            page.hang(vec![indent()], &known_as, theme.style(Role::Dim), room);
        }
    }
    if folded {
        let glyph = span(format!("  {} ", theme.glyph(Level::Good)), theme.level(Level::Good));
        page.hang(vec![glyph], "z names those that passed", theme.style(Role::Dim), room);
    }
}

/// So many that have passed are named without being asked for.
const FEW: usize = 4;

/// One step: what it does, what it changes and sends, and whether there is a rollback.
pub fn step(page: &mut Page, theme: Theme, number: usize, step: &PlannedStep, room: usize) {
    let dim = theme.style(Role::Dim);
    page.gap();
    page.push(vec![
        span(format!("  {number:>2}  "), theme.style(Role::Accent)),
        span(&step.title, theme.style(Role::Strong)),
    ]);
    let indent = || Span::raw("      ");
    let mut notes = vec![indent()];
    let (word, _, level) = way_back(step);
    notes.push(span(word, theme.level(level)));
    match &step.confirm {
        Confirm::None => {}
        Confirm::Plain { gate } => notes.push(span(format!("  asks: {gate}"), theme.style(Role::Accent))),
        Confirm::Typed { text, .. } => {
            notes.push(span(format!("  asks you to type {text:?}"), theme.style(Role::Accent)));
        }
    }
    if step.approvers > 1 {
        notes.push(span("  needs a second person", theme.style(Role::Accent)));
    }
    if step.already_so {
        notes.push(span(format!("  {} already so", theme.glyph(Level::Good)), theme.level(Level::Good)));
    }
    page.push(notes);
    page.hang(vec![indent()], &step.why, dim, room);
    change(page, theme, step, room);
    if !step.command.is_empty() {
        page.hang(vec![indent(), span("$ ", theme.style(Role::Accent))], &step.command, dim, room);
    }
}

/// Whether there is a rollback: in a word, as a sentence where something is sent, and how that is to be taken.
pub fn way_back(step: &PlannedStep) -> (&'static str, Option<&'static str>, Level) {
    match step.reversibility {
        Reversibility::Free => ("changes nothing", None, Level::Done),
        Reversibility::Compensable if step.action.stays() => {
            ("not put back by itself", Some("it is not put back by itself"), Level::Working)
        }
        Reversibility::Compensable => ("can be put back", Some("it can be put back"), Level::Working),
        Reversibility::Irreversible => ("NO ROLLBACK", Some("there is no rollback"), Level::Bad),
    }
}

/// Before and after, and the exact requests.
pub fn change(page: &mut Page, theme: Theme, step: &PlannedStep, room: usize) {
    differences(page, theme, step, room);
    for request in &step.requests {
        self::request(page, theme, request, room);
    }
}

fn request(page: &mut Page, theme: Theme, request: &Request, room: usize) {
    let place = match &request.pod {
        Some(pod) => format!("{} pod {pod}", request.context),
        None => request.context.clone(),
    };
    let head = vec![
        Span::raw("      "),
        span(format!("{} ", request.method), theme.style(Role::Strong)),
        span(format!("{place} "), theme.style(Role::Accent)),
    ];
    page.hang(head, &request.path, theme.style(Role::Plain), room);
    if request.body.is_null() {
        return;
    }
    if request.method == "POST" && request.body.get("kind").is_some() {
        for line in manifest(&request.body).lines() {
            page.hang(vec![Span::raw("        ")], line, theme.style(Role::Plain), room);
        }
        return;
    }
    let body = span(format!("        {}: ", request.content_type), theme.style(Role::Dim));
    page.hang(vec![body], &request.body.to_string(), theme.style(Role::Plain), room);
}

fn differences(page: &mut Page, theme: Theme, step: &PlannedStep, room: usize) {
    // The images of a step that only looks are what it looks for, not a change.
    if !step.action.writes() {
        return;
    }
    if let Action::DeleteObject(delete) = &step.action {
        page.hang(vec![Span::raw("      ")], &delete.outcome(), theme.style(Role::Plain), room);
        return;
    }
    // The revisions belong to the image and are not what is changed.
    let all = diff(&step.before.without_revisions(), &step.after.without_revisions());
    if all.is_empty() {
        return;
    }
    let source = match step.rehearsed {
        Rehearsal::ServerDryRun => "as the server answered a dry run",
        Rehearsal::Predicted => "as we expect it; the server has no dry run for this",
        Rehearsal::NotNeeded => "",
    };
    if !source.is_empty() {
        page.push(vec![span(format!("      {source}"), theme.style(Role::Dim))]);
    }
    for (path, before, after) in all {
        if before.contains("://") && after.contains("://") && !before.contains(' ') && !after.contains(' ') {
            let path = if path.is_empty() { "peerURL" } else { path.as_str() };
            let mut line = vec![span(format!("      {path}  "), theme.style(Role::Plain))];
            let used: usize = line.iter().map(Span::width).sum();
            let cell = url_display::cell(&before, Some(&after), &[&before]);
            // Only where it fits whole: before a write nothing of it may be cut off.
            if used + table::cell_width(&cell, theme) <= room {
                line.extend(table::cell_spans(&cell, room - used, true, theme));
                page.push(line);
                continue;
            }
        }
        let path = if path.is_empty() { String::new() } else { format!("{path}: ") };
        let one_line = path.len() + before.len() + after.len() + 14 <= room;
        if one_line {
            page.push(vec![
                span(format!("      {path}"), theme.style(Role::Plain)),
                span(before, theme.level(Level::Bad)),
                span(format!(" {} ", theme.arrow()), theme.style(Role::Dim)),
                span(after, theme.level(Level::Good)),
            ]);
        } else {
            page.push(vec![span(format!("      {}", path.trim_end()), theme.style(Role::Plain))]);
            let minus = vec![span("      - ", theme.level(Level::Bad))];
            page.hang(minus, &before, theme.level(Level::Bad), room);
            let plus = vec![span("      + ", theme.level(Level::Good))];
            page.hang(plus, &after, theme.level(Level::Good), room);
        }
    }
}

/// What differs between two values, by dotted path: `(path, before, after)`.
pub fn diff(before: &Value, after: &Value) -> Vec<(String, String, String)> {
    let (mut old, mut new) = (BTreeMap::new(), BTreeMap::new());
    flatten("", before, &mut old);
    flatten("", after, &mut new);
    let mut paths: Vec<&String> = old.keys().chain(new.keys()).collect();
    paths.sort();
    paths.dedup();
    let absent = || "(absent)".to_owned();
    paths
        .into_iter()
        .filter(|path| old.get(*path) != new.get(*path))
        .map(|path| {
            let shown = |map: &BTreeMap<String, String>| map.get(path).cloned().unwrap_or_else(absent);
            (path.clone(), shown(&old), shown(&new))
        })
        .collect()
}

fn flatten(path: &str, value: &Value, into: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(&path, value, into);
            }
        }
        Value::Null => {}
        Value::Array(items) if items.iter().all(Value::is_string) => {
            let items: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            into.insert(path.to_owned(), items.join(", "));
        }
        other => {
            let shown = other.as_str().map_or_else(|| other.to_string(), str::to_owned);
            into.insert(path.to_owned(), shown);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn differences_are_by_path() {
        let found = diff(
            &json!({"spec": {"acrossK8s": null, "version": "v1"}, "urls": ["a"]}),
            &json!({"spec": {"acrossK8s": true, "version": "v1"}, "urls": ["b"]}),
        );
        let said: Vec<String> = found.iter().map(|(p, b, a)| format!("{p}: {b} > {a}")).collect();
        assert_eq!(said, ["spec.acrossK8s: (absent) > true", "urls: a > b"]);
    }
}
