//! Runs that wait for a second person: what that person is shown, and what the console does about it.
//!
//! Plain data and the keys' meaning; what is shown is made from the step's action when it is drawn. Not here: reading the
//! record and writing the approval (`driver::approve`), drawing (`console::approvals`, `report::approval_request`).

use tui_input::Input;

pub use super::approval_request::ToApprove;
use super::message::{ApprovalNews, Effect};
use super::status_level::Level;
use super::{App, Dialog, View};
use crate::fleet::ObjectRef;
use crate::runbook::action_types::Reversibility;
use crate::runbook::run::open_run_status::Standing;
use crate::runbook::step_from_action::deed;

/// The approval on the screen.
#[derive(Clone, Debug, PartialEq)]
pub struct Approving {
    pub run: String,
    pub stage: Stage,
}

/// How far it is.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// The record is being read.
    Reading,
    /// There is nothing to approve, or not by this person; one sentence.
    Refused(String),
    Shown(Box<ToApprove>),
    /// The answer is on its way to the cluster.
    Sending(Box<ToApprove>),
    /// It was written; one sentence.
    Given(String),
}

impl App {
    /// The open runs that wait for a second person and are not driven from this console.
    pub fn approvals(&self) -> impl Iterator<Item = (usize, &Standing)> {
        let own = self.run.as_ref().filter(|run| run.driving).map(|run| run.id().to_owned());
        let waiting = move |run: &Standing| run.open && run.approval.is_some() && own.as_ref() != Some(&run.run);
        self.runs.iter().enumerate().filter(move |(_, run)| waiting(run))
    }

    /// Opens what a run waits with: its record is read anew.
    pub(super) fn look_at_approval(&mut self, run: &str, effects: &mut Vec<Effect>) {
        self.approving = Some(Approving { run: run.to_owned(), stage: Stage::Reading });
        self.go(View::Approval);
        self.screen_mut().scroll = 0;
        effects.push(Effect::AskApproval { run: run.to_owned() });
    }

    /// Why what is on the screen cannot be approved from here; one sentence.
    pub fn cannot_approve(&self) -> Option<String> {
        let asked = match self.approving.as_ref().map(|approving| &approving.stage) {
            None | Some(Stage::Reading) => return Some("the run's record is still being read".into()),
            Some(Stage::Refused(why)) => return Some(why.clone()),
            Some(Stage::Sending(_)) => return Some("the approval is on its way".into()),
            Some(Stage::Given(said)) => return Some(said.clone()),
            Some(Stage::Shown(asked)) => asked,
        };
        if self.options.read_only {
            return Some(self.read_only_words("approve, and nothing was sent"));
        }
        let ObjectRef { context, .. } = &asked.plan.target;
        self.is_read_only(context)
            .then(|| format!("read-only: the configuration allows no writes to {context}; nothing was sent"))
    }

    /// The question before an approval leaves: the same as the command line asks.
    pub(super) fn ask_approval(&mut self) {
        if let Some(why) = self.cannot_approve() {
            self.say(Level::Bad, why);
            return;
        }
        let Some(Approving { run, stage: Stage::Shown(asked) }) = &self.approving else { return };
        let back = match asked.step.action.reversibility() {
            Reversibility::Irreversible => " It is irreversible.",
            Reversibility::Free | Reversibility::Compensable => "",
        };
        let attempt = asked.wanted.attempt;
        let question = format!(
            "Approve {} (attempt {attempt}) as {}? It {}.{back}",
            asked.step.id,
            asked.who,
            deed(&asked.step.action)
        );
        let effect = Box::new(Effect::Approve { run: run.clone(), question: asked.question().to_owned() });
        self.dialog = Some(match &asked.wanted.text {
            Some(text) => Dialog::Typed { question, text: text.clone(), input: Input::default(), wrong: false, effect },
            None => Dialog::Ask { title: asked.step.id.clone(), question, yes: "Approve".into(), go: false, effect },
        });
    }

    /// Notes that an approval left.
    pub(super) fn approval_leaves(&mut self) {
        let Some(approving) = &mut self.approving else { return };
        if let Stage::Shown(asked) = std::mem::replace(&mut approving.stage, Stage::Reading) {
            approving.stage = Stage::Sending(asked);
        }
    }

    pub(super) fn approval_news(&mut self, news: ApprovalNews, effects: &mut Vec<Effect>) {
        let here = *self.view() == View::Approval;
        let Some(approving) = self.approving.as_mut().filter(|approving| approving.run == *news.run()) else {
            if let ApprovalNews::Given { said, .. } = news {
                self.say_approval(said);
            }
            return;
        };
        match news {
            ApprovalNews::Asked { asked, .. } => {
                approving.stage = match asked {
                    Ok(asked) => Stage::Shown(asked),
                    Err(why) => Stage::Refused(why),
                };
            }
            ApprovalNews::Given { said, .. } => {
                approving.stage = match &said {
                    Ok(sentence) => Stage::Given(sentence.clone()),
                    Err(why) => Stage::Refused(why.clone()),
                };
                effects.push(Effect::ListRuns);
                if !here {
                    self.say_approval(said);
                }
            }
        }
    }

    fn say_approval(&mut self, said: Result<String, String>) {
        match said {
            Ok(sentence) => self.say(Level::Good, sentence),
            Err(why) => self.say(Level::Bad, why),
        }
    }
}
