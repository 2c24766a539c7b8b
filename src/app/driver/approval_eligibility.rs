//! Whose turn it is where a run waits for a second person: held against who this session is to the run's cluster.
//!
//! Reads only. Not here: that a run waits (`runbook::run::open_run_status`), giving the approval ([`super::approve`]).

use std::collections::BTreeMap;

use super::Driver;
use crate::client::kube::identity::{Identity, Named};
use crate::client::share::approval;
use crate::client::wire::link::Link;
use crate::fleet::ObjectRef;
use crate::runbook::run::open_run_status::{Awaiting, Standing, Turn};
use crate::runbook::run::who_counts_as_person::{NamedBy, no_person};

/// Who this session is, by context, as far as the servers themselves have said.
#[derive(Debug, Default)]
pub(super) struct Known(BTreeMap<String, Named>);

impl Known {
    async fn ask(&mut self, link: &Link) -> Named {
        if let Some(named) = self.0.get(link.context()) {
            return named.clone();
        }
        let named = Identity::ask_named(link).await;
        // A server that did not answer may the next time.
        if named.by != NamedBy::Kubeconfig {
            self.0.insert(link.context().to_owned(), named.clone());
        }
        named
    }
}

impl Driver {
    /// Notes it for each run that waits.
    pub(super) async fn note_turns(&self, runs: &mut [Standing], known: &mut Known) {
        for run in runs.iter_mut().filter(|run| run.open) {
            let Ok(target) = ObjectRef::parse(&run.target) else { continue };
            let Some((awaiting, link)) = run.approval.as_mut().zip(self.links.get(&target.context)) else { continue };
            let named = known.ask(link).await;
            awaiting.turn = match turn(awaiting, &named) {
                Turn::Yours => answered(link, &target.namespace, &run.run, awaiting).await,
                other => other,
            };
        }
    }
}

fn turn(awaiting: &Awaiting, named: &Named) -> Turn {
    let user = &named.who.user;
    match named.by {
        NamedBy::Server if *user == awaiting.confirmed_by => Turn::Not(format!("you are {user}, who confirmed it")),
        NamedBy::Server | NamedBy::Impersonation => match no_person(user, Some(named.by)) {
            Some(why) => Turn::Not(format!("{user} {why}")),
            None => Turn::Yours,
        },
        NamedBy::Kubeconfig => Turn::NotKnown,
    }
}

/// Whether an answer to this very question is there already.
async fn answered(link: &Link, namespace: &str, run: &str, awaiting: &Awaiting) -> Turn {
    let found = approval::find(link, namespace, run).await.unwrap_or_default();
    let given = found.into_iter().find(|approval| {
        approval.question.as_ref() == Some(&awaiting.question)
            && approval.step.as_ref() == Some(&awaiting.step)
            && approval.attempt == awaiting.attempt
            && approval.user != awaiting.confirmed_by
    });
    match given {
        Some(given) => Turn::Not(format!("{} has approved it, and its driver continues", given.user)),
        None => Turn::Yours,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_turn_it_is() {
        let awaiting = Awaiting {
            step: "set".into(),
            gate: "g".into(),
            attempt: 1,
            since: jiff::Timestamp::UNIX_EPOCH,
            confirmed_by: "ann".into(),
            approve: String::new(),
            question: "hash".into(),
            turn: Turn::NotKnown,
        };
        let of = |user: &str, by| {
            let who = Identity { user: user.into(), host: String::new() };
            turn(&awaiting, &Named { who, by, why: String::new() })
        };
        assert_eq!(of("bob", NamedBy::Server), Turn::Yours);
        assert_eq!(of("ann", NamedBy::Server), Turn::Not("you are ann, who confirmed it".into()));
        // A name that only a kubeconfig gives says nothing, whosever it is.
        assert_eq!(of("bob", NamedBy::Kubeconfig), Turn::NotKnown);
        assert_eq!(of("ann", NamedBy::Kubeconfig), Turn::NotKnown);
        for (user, by) in [("bob", NamedBy::Impersonation), ("system:serviceaccount:a:b", NamedBy::Server)] {
            assert!(matches!(of(user, by), Turn::Not(why) if why.starts_with(user)), "{user}");
        }
    }
}
