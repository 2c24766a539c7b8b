//! News in the form of each receiver. Pure.
//!
//! Sources: Alertmanager's API v2 (`POST /api/v2/alerts`: labels tell alerts apart, an `endsAt` in the past resolves one);
//! Slack's incoming webhooks (`text`, in which `&`, `<` and `>` are escaped: `<!channel>` of a hostile name calls nobody).

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::notification::{Kind, News};
use crate::client::plain;

/// How long an alert lives without being told again: more than two times between two that tell it.
const ALIVE: SignedDuration = SignedDuration::from_mins(30);

/// A gate may wait for a person over a night.
const GATE: SignedDuration = SignedDuration::from_hours(24);
/// An alert that stays is told again after so long.
pub const AGAIN: SignedDuration = SignedDuration::from_mins(10);
/// Lines of one message.
const MOST_LINES: usize = 20;

/// The alerts of Alertmanager's API v2.
pub fn alerts(all: &[News]) -> Value {
    all.iter().map(alert).collect()
}

fn alert(news: &News) -> Value {
    let mut labels = Map::new();
    labels.insert("alertname".into(), alertname(news).into());
    labels.insert("severity".into(), severity(news).into());
    labels.insert("subject".into(), plain(&news.subject).into());
    for (name, value) in [("database", &news.database), ("run", &news.run), ("runbook", &news.runbook)] {
        if let Some(value) = value {
            labels.insert(name.into(), plain(value).into());
        }
    }
    if matches!(news.kind, Kind::FindingAppeared | Kind::FindingStays | Kind::FindingGone) {
        labels.insert("hazard".into(), news.id.clone().into());
    }
    let mut annotations = Map::new();
    annotations.insert("summary".into(), plain(&news.sentence).into());
    if let Some(help) = &news.what_to_do {
        annotations.insert("description".into(), plain(help).into());
    }
    let mut alert = json!({"labels": labels, "annotations": annotations});
    match news.kind {
        // It is told once and waits for a person: the news that it goes on ends it, not the clock.
        Kind::GateWaits => {
            alert["startsAt"] = time(news.at);
            alert["endsAt"] = time(news.at.checked_add(GATE).unwrap_or(news.at));
        }
        Kind::FindingAppeared => {
            alert["startsAt"] = time(news.at);
            alert["endsAt"] = time(later(news.at));
        }
        // Without a begin: Alertmanager keeps the one that it has.
        Kind::FindingStays => alert["endsAt"] = time(later(news.at)),
        Kind::GatePassed | Kind::FindingGone => alert["endsAt"] = time(news.at),
        // It happened; the receiver's own `resolve_timeout` ends it.
        Kind::RunEnded => alert["startsAt"] = time(news.at),
    }
    alert
}

fn later(at: Timestamp) -> Timestamp {
    at.checked_add(ALIVE).unwrap_or(at)
}

fn time(at: Timestamp) -> Value {
    at.to_string().into()
}

fn alertname(news: &News) -> &'static str {
    match news.kind {
        Kind::GateWaits | Kind::GatePassed => "TidepilotGateWaits",
        Kind::RunEnded => "TidepilotRunEnded",
        Kind::FindingAppeared | Kind::FindingStays | Kind::FindingGone => "TidepilotFinding",
    }
}

/// In the words that alert routes are written for; the same as in assets/alerts.yaml.
fn severity(news: &News) -> &'static str {
    match news.severity {
        "high" => "critical",
        "medium" => "warning",
        _ => "info",
    }
}

/// `{"text": …}` of a chat.
pub fn chat(all: &[News]) -> Value {
    let mut lines: Vec<String> = all.iter().take(MOST_LINES).map(line).collect();
    if all.len() > MOST_LINES {
        lines.push(format!("and {} more", all.len() - MOST_LINES));
    }
    json!({"text": escaped(&lines.join("\n"))})
}

fn line(news: &News) -> String {
    let what = match news.kind {
        Kind::GateWaits => "a run waits".to_owned(),
        Kind::GatePassed => "a run goes on".to_owned(),
        Kind::RunEnded => "a run ended".to_owned(),
        Kind::FindingAppeared | Kind::FindingStays => format!("found ({})", news.severity),
        Kind::FindingGone => "gone".to_owned(),
    };
    let run = news.run.as_ref().map(|run| format!(" [{run}]")).unwrap_or_default();
    let help = match (&news.what_to_do, news.kind) {
        (None, _) | (_, Kind::FindingGone) => String::new(),
        (Some(help), _) => format!(" ({help})"),
    };
    plain(&format!("tidepilot: {what}: {}: {}{run}{help}", news.subject, news.sentence))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// What a command gets; `tidepilot schema notification` is its schema.
pub fn document(all: &[News]) -> Value {
    let observed_at = all.iter().map(|news| news.at).max().unwrap_or_default();
    json!({"apiVersion": "tidepilot/v1", "observedAt": observed_at.to_string(), "news": all})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(kind: Kind) -> News {
        News {
            kind,
            id: "quorum-at-risk".into(),
            severity: "high",
            at: Timestamp::UNIX_EPOCH,
            subject: "Database <!channel> & co".into(),
            sentence: "one more and PD stands still\u{1b}[2J".into(),
            what_to_do: None,
            database: Some("prod".into()),
            run: None,
            runbook: None,
            exit_code: None,
        }
    }

    #[test]
    fn an_alert_begins_and_ends_under_the_same_labels() {
        let of = |kind| alerts(&[news(kind)])[0].clone();
        let (begun, stays, gone) = (of(Kind::FindingAppeared), of(Kind::FindingStays), of(Kind::FindingGone));
        assert!(begun["labels"] == stays["labels"] && begun["labels"] == gone["labels"], "{begun} {gone}");
        assert_eq!(
            (&begun["labels"]["hazard"], &begun["labels"]["severity"]),
            (&json!("quorum-at-risk"), &json!("critical"))
        );
        assert_eq!(gone["endsAt"], "1970-01-01T00:00:00Z");
        assert_eq!(begun["endsAt"], "1970-01-01T00:30:00Z");
        assert!(stays.get("startsAt").is_none() && ALIVE > AGAIN * 2, "{stays}");
    }

    #[test]
    fn a_hostile_name_calls_nobody_and_steers_nothing() {
        let text = chat(&[news(Kind::FindingAppeared)])["text"].as_str().expect("text").to_owned();
        assert!(text.contains("&lt;!channel&gt; &amp; co") && !text.contains('\u{1b}'), "{text}");
        let many: Vec<News> = (0..40).map(|_| news(Kind::FindingAppeared)).collect();
        let text = chat(&many)["text"].as_str().expect("text").to_owned();
        assert!(text.lines().count() == 21 && text.ends_with("and 20 more"), "{text}");
    }
}
