//! `tidepilot check network-prerequisites`: what the networks have to do for a Database, as a table for 80 columns and as JSON.
//!
//! Not here: what is needed and what is seen of it ([`crate::fleet::network_prerequisites`]).

use std::fmt::Write as _;

use serde::Serialize;

use super::check::hang;
use super::plain;
use crate::fleet::database_invariants::Holding;
use crate::fleet::network_prerequisites::Prerequisite;

/// The document of `check network-prerequisites -o json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    pub databases: Vec<DatabaseShown>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseShown {
    /// `None`: only places that are to become one.
    pub name: Option<String>,
    pub prerequisites: Vec<Prerequisite>,
}

impl Shown {
    fn all(&self) -> impl Iterator<Item = &Prerequisite> {
        self.databases.iter().flat_map(|database| &database.prerequisites)
    }

    /// As `check` has them: what is broken is known even where something else is not.
    pub fn exit_code(&self) -> u8 {
        let any = |test: fn(&Holding) -> bool| self.all().any(|one| test(&one.holding));
        match (any(|one| matches!(one, Holding::Broken(_))), any(|one| matches!(one, Holding::Unknown(_)))) {
            (true, _) => 2,
            (false, true) => 3,
            (false, false) => 0,
        }
    }

    pub fn text(&self) -> String {
        let mut out = String::new();
        for database in &self.databases {
            let head =
                database.name.as_deref().map_or("To become one Database".to_owned(), |name| format!("Database {name}"));
            let _ = writeln!(out, "{}", plain(&head));
            if database.prerequisites.is_empty() {
                hang(
                    &mut out,
                    "        ",
                    "is in one KubeCluster, so no networks have to join; --with CONTEXT/NAMESPACE adds one that is to join",
                );
            }
            database.prerequisites.iter().for_each(|one| line(&mut out, one));
            out.push('\n');
        }
        out.push_str(&self.summary());
        out
    }

    /// `9 hold, 1 is broken, 4 are unknown`
    fn summary(&self) -> String {
        let count = |test: fn(&Holding) -> bool| self.all().filter(|one| test(&one.holding)).count();
        let (holds, broken, unknown) = (
            count(|one| *one == Holding::Holds),
            count(|one| matches!(one, Holding::Broken(_))),
            count(|one| matches!(one, Holding::Unknown(_))),
        );
        let mut out = String::new();
        hang(&mut out, "", &format!("{holds} OK, {broken} BROKEN, {unknown} UNKNOWN"));
        if unknown > 0 {
            hang(
                &mut out,
                "",
                "UNKNOWN: no API server shows it. `tidepilot run verify-network` tries names and ports from inside, both ways.",
            );
        }
        out
    }
}

fn line(out: &mut String, one: &Prerequisite) {
    let (word, why) = match &one.holding {
        Holding::Holds => ("OK", one.seen.as_deref().unwrap_or_default()),
        Holding::Broken(why) => ("BROKEN", why.as_str()),
        Holding::Unknown(why) => ("UNKNOWN", why.as_str()),
    };
    let between = match &one.to {
        Some(to) if one.id.is_one_way() => format!("{} → {to}", one.from),
        Some(to) => format!("{} ↔ {to}", one.from),
        None => one.from.clone(),
    };
    let _ = writeln!(out, "{}", plain(&format!("{word:<8}{:<14}{between}: {}", one.id.id(), one.id.title())));
    hang(out, "        ", why);
    // A command line is copied as it stands, so it is not broken.
    if let Some(command) = &one.command {
        let _ = writeln!(out, "  do    {}", plain(command));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::network_prerequisites::Requirement;

    fn one(holding: Holding) -> Prerequisite {
        let id = Requirement::Ports;
        Prerequisite { id, from: "east".into(), to: Some("west".into()), holding, seen: None, command: None }
    }

    fn shown(all: &[Holding]) -> Shown {
        let prerequisites = all.iter().cloned().map(one).collect();
        Shown { databases: vec![DatabaseShown { name: Some("prod".into()), prerequisites }] }
    }

    #[test]
    fn what_is_broken_comes_before_what_is_unknown() {
        let (broken, unknown) = (Holding::Broken("b".into()), Holding::Unknown("u".into()));
        assert_eq!(shown(&[]).exit_code(), 0);
        assert_eq!(shown(&[Holding::Holds]).exit_code(), 0);
        assert_eq!(shown(&[Holding::Holds, unknown.clone()]).exit_code(), 3);
        assert_eq!(shown(&[unknown.clone(), broken.clone()]).exit_code(), 2);
        let text = shown(&[Holding::Holds, unknown, broken]).text();
        assert!(text.contains("UNKNOWN ports         east → west: every name and port answers\n        u\n"), "{text}");
        assert!(text.contains("1 OK, 1 BROKEN, 1 UNKNOWN\n"), "{text}");
    }
}
