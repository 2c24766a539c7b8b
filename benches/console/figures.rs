//! What was measured, as JSON and as a table; and what `/proc` says of a process.

use std::time::Duration;

use serde_json::{Map, Value, json};

pub fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}

/// One place behind the point.
pub fn tenths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Median and 99th percentile of times, in milliseconds; how many there were.
pub fn spread(mut all: Vec<Duration>, lost: usize) -> Value {
    all.sort_unstable();
    let at = |share: f64| {
        let index = ((all.len() as f64 - 1.0) * share).round();
        all.get(index.max(0.0) as usize).copied().map(ms)
    };
    json!({"median": at(0.5), "p99": at(0.99), "count": all.len(), "lost": lost})
}

/// Resident memory in MiB, and processor seconds so far.
pub fn used(id: u32) -> (f64, f64) {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let kb = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kb = kb.and_then(|text| text.trim().trim_end_matches(" kB").parse::<f64>().ok()).unwrap_or(0.0);
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default();
    let ticks: f64 = fields.split(' ').skip(11).take(2).filter_map(|text| text.parse::<f64>().ok()).sum();
    (tenths(kb / 1024.0), ticks / 100.0)
}

/// Processor time of a process so far, of all its threads that still run; in nanoseconds where the kernel counts them.
pub fn spent(id: u32) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
    let of = |path: std::path::PathBuf| std::fs::read_to_string(path.join("schedstat")).ok();
    let first = |text: String| text.split(' ').next().and_then(|word| word.parse::<u64>().ok());
    Duration::from_nanos(tasks.filter_map(|task| of(task.path()).and_then(first)).sum())
}

/// One column per situation, one line per figure.
pub fn table(all: &[(String, Map<String, Value>)]) -> String {
    let mut names: Vec<&String> = Vec::new();
    for name in all.iter().flat_map(|(_, figures)| figures.keys()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let cell = |value: Option<&Value>| match value {
        None | Some(Value::Null) => "–".to_owned(),
        Some(Value::Object(spread)) => {
            let part = |key: &str| spread.get(key).filter(|part| !part.is_null()).map_or("–".into(), Value::to_string);
            let lost = spread.get("lost").and_then(Value::as_u64).filter(|lost| *lost > 0);
            format!(
                "{} / {}{}",
                part("median"),
                part("p99"),
                lost.map_or_else(String::new, |lost| format!(" (lost {lost})"))
            )
        }
        Some(other) => other.to_string(),
    };
    let width = |texts: &[String]| texts.iter().map(|text| text.chars().count()).max().unwrap_or(0);
    let heads: Vec<String> = names.iter().map(|name| (*name).clone()).collect();
    let mut out = format!("{:1$}", "", width(&heads));
    let columns: Vec<Vec<String>> = all
        .iter()
        .map(|(title, figures)| {
            let cells = names.iter().map(|name| cell(figures.get(*name)));
            std::iter::once(title.clone()).chain(cells).collect()
        })
        .collect();
    for line in 0..=names.len() {
        if line > 0 {
            out.push_str(&format!("\n{:1$}", heads[line - 1], width(&heads)));
        }
        for column in &columns {
            out.push_str(&format!("  {:>1$}", column[line], width(column)));
        }
    }
    out + "\n"
}
