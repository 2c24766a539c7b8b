//! `--notify`: who is told (the flag and `notify:` of the config file), and which findings are news.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use clap::Args;
use jiff::Timestamp;

use super::complain;
use crate::client::notify::notification::{Kind, News};
use crate::client::notify::payloads::AGAIN;
use crate::client::notify::receiver::Receiver;
use crate::client::notify::{Notifier, Say};
use crate::config::Config;
use crate::fleet::{Fleet, Freshness};
use crate::hazards::{Finding, Severity};

#[derive(Args, Clone, Debug, Default)]
pub struct NotifyArgs {
    /// Tell a webhook (alertmanager+http://HOST, or one as Slack's) or a command; repeatable, adds to `notify:` of the config file
    // A webhook's URL is a secret, so the help must not show what the variable holds.
    #[arg(long, value_name = "URL|CMD", env = "TIDEPILOT_NOTIFY", hide_env_values = true)]
    notify: Vec<String>,
}

impl NotifyArgs {
    /// Whoever is to be told; what cannot be delivered is said on stderr. `Err`: one sentence.
    pub fn notifier(&self) -> Result<Notifier, String> {
        notifier(&self.notify, Arc::new(complain))
    }
}

/// Those of the config file and these. `Err`: one sentence.
pub fn notifier(named: &[String], say: Say) -> Result<Notifier, String> {
    let config = Config::load()?;
    let all = config.notify.iter().chain(named).map(|text| Receiver::read(text)).collect::<Result<Vec<_>, _>>()?;
    Ok(Notifier::new(all, say))
}

/// What tells one finding from another.
type Key = (&'static str, Option<String>, String);

/// The findings that were told of.
#[derive(Default)]
pub struct Told(BTreeMap<Key, Known>);

struct Known {
    news: News,
    told: Timestamp,
    /// The clusters that it is about; empty: any of them.
    contexts: BTreeSet<String>,
}

impl Told {
    /// What is news since the look before. What cannot be seen any more is not gone.
    pub fn news(&mut self, findings: &[Finding], dark: &BTreeSet<String>, now: Timestamp) -> Vec<News> {
        let mut all = Vec::new();
        let mut there = BTreeSet::new();
        for finding in findings {
            let key = key(finding);
            there.insert(key.clone());
            if finding.unknown || finding.expected.is_some() || finding.severity == Severity::Info {
                continue;
            }
            match self.0.get_mut(&key) {
                Some(known) if now.duration_since(known.told) < AGAIN => {}
                Some(known) => {
                    known.told = now;
                    all.push(News { kind: Kind::FindingStays, at: now, ..known.news.clone() });
                }
                None => {
                    let news = appeared(finding, now);
                    let contexts = finding.subjects.iter().map(|subject| subject.context.clone());
                    let contexts = contexts.filter(|context| !context.is_empty()).collect();
                    self.0.insert(key, Known { news: news.clone(), told: now, contexts });
                    all.push(news);
                }
            }
        }
        self.0.retain(|key, known| {
            let hidden = match known.contexts.is_empty() {
                true => !dark.is_empty(),
                false => known.contexts.iter().any(|context| dark.contains(context)),
            };
            let gone = !there.contains(key) && !hidden;
            if gone {
                all.push(News { kind: Kind::FindingGone, at: now, ..known.news.clone() });
            }
            !gone
        });
        all
    }
}

/// The clusters of which not everything is seen now.
pub fn dark(fleet: &Fleet) -> BTreeSet<String> {
    let dark = fleet.clusters.values().filter(|cluster| cluster.freshness != Freshness::Live);
    dark.map(|cluster| cluster.context.clone()).collect()
}

fn subject(finding: &Finding) -> String {
    let subjects: Vec<String> = finding.subjects.iter().map(ToString::to_string).collect();
    match (subjects.is_empty(), &finding.database) {
        (false, _) => subjects.join(", "),
        (true, Some(database)) => format!("Database {database}"),
        (true, None) => "the fleet".to_owned(),
    }
}

fn key(finding: &Finding) -> Key {
    (finding.id(), finding.database.clone(), subject(finding))
}

fn appeared(finding: &Finding, now: Timestamp) -> News {
    News {
        kind: Kind::FindingAppeared,
        id: finding.id().to_owned(),
        severity: finding.severity.word(),
        at: now,
        subject: subject(finding),
        sentence: finding.sentence.clone(),
        what_to_do: Some(finding.what_to_do.to_string()).filter(|text| !text.is_empty()),
        database: finding.database.clone(),
        run: None,
        runbook: None,
        exit_code: None,
    }
}
