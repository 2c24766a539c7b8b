//! What a person may choose in the run view once a run has stopped: the choices and words of `tidepilot runs`.
//!
//! Each asks for what it needs before anything leaves: a reason where the next person will want one, and a button.
//! Not here: what a choice does, and whether it is allowed (`runbook::run::pause_choices`; what it refuses is shown as it is).

use tui_input::Input;

use super::message::Effect;
use super::status_level::Level;
use super::{App, Dialog};
use crate::runbook::run::pause_choices::Resolution;
pub use crate::runbook::run::view::ResolutionOffer;

impl ResolutionOffer {
    /// What it is called, and what it does.
    pub fn words(&self) -> (&'static str, String) {
        match self {
            ResolutionOffer::Retry => ("resume", "try again: look at what is so now, and go on".into()),
            ResolutionOffer::ByHand { step } => ("resume --by-hand", format!("{step} is done: verify it, go on")),
            ResolutionOffer::Skip { step } => ("resume --skip", format!("leave {step} out, with a reason")),
            ResolutionOffer::Undo => ("undo", "put back what this run sent, the newest first".into()),
            ResolutionOffer::Abandon => ("abandon", "give the run up as it stands, with a reason".into()),
            ResolutionOffer::Leave => ("leave it open", "nothing is sent; anybody can go on with it later".into()),
        }
    }

    /// Why it has to be told.
    fn wants_reason(&self) -> bool {
        matches!(self, ResolutionOffer::Skip { .. } | ResolutionOffer::Abandon)
    }
}

/// What can still be done about a run that is over: it is not left open any more.
pub(super) fn still(offers: &mut Vec<ResolutionOffer>) {
    offers.retain(|offer| *offer == ResolutionOffer::Undo);
}

/// Over which the choices stand.
pub fn heading(offers: &[ResolutionOffer]) -> &'static str {
    match offers {
        [ResolutionOffer::Undo] => "the run is over; what now?",
        _ => "the run has stopped; what now?",
    }
}

impl App {
    /// Opens the menu, or says why there is none.
    pub(super) fn ask_choice(&mut self) {
        let Some(run) = &self.run else { return };
        let (mut offers, target) = (run.offers(), run.plan.as_ref().map(|plan| plan.target.clone()));
        if run.is_over() {
            still(&mut offers);
        }
        if offers.is_empty() {
            let why = if run.driving { "nothing waits for an answer" } else { "the run is over" };
            self.say(Level::Done, why);
        } else if self.options.read_only {
            self.say(Level::Bad, self.read_only_words("go on with a run"));
        } else if let Some(of) = target.filter(|of| self.is_read_only(&of.context)) {
            self.say(Level::Bad, format!("read-only: the configuration allows no writes to {}", of.context));
        } else {
            self.picked = None;
            self.dialog = Some(Dialog::Choices { at: 0, offers });
        }
    }

    /// Enter on a line of the menu.
    pub(super) fn choose(&mut self, offer: &ResolutionOffer) {
        match offer {
            ResolutionOffer::Leave => self.say(Level::Done, "the run stays open; R lists it"),
            ResolutionOffer::Skip { .. } | ResolutionOffer::Abandon => {
                self.dialog = Some(Dialog::Reason { offer: offer.clone(), input: Input::default(), wrong: false });
            }
            ResolutionOffer::Retry | ResolutionOffer::ByHand { .. } | ResolutionOffer::Undo => {
                self.ask_to(offer, String::new())
            }
        }
    }

    /// Enter behind a reason; an empty one is none.
    pub(super) fn reasoned(&mut self, offer: ResolutionOffer, input: Input) {
        match input.value().trim() {
            "" => self.dialog = Some(Dialog::Reason { offer, input, wrong: true }),
            reason => {
                let reason = reason.to_owned();
                self.ask_to(&offer, reason);
            }
        }
    }

    /// The last question: only its button lets anything leave.
    fn ask_to(&mut self, offer: &ResolutionOffer, reason: String) {
        let shown = || self.run.as_ref().map(|run| run.id().to_owned());
        let Some(run) = self.picked.clone().or_else(shown) else { return };
        let told = if offer.wants_reason() { format!(" Reason: {reason}.") } else { String::new() };
        let (question, yes, wish) = match offer {
            ResolutionOffer::Retry => ("Resume: it first looks at what is so now.".to_owned(), "Resume", None),
            ResolutionOffer::ByHand { step } => (
                format!("{step} was done by hand? It counts only once the world shows it."),
                "Verify",
                Some(Resolution::ByHand { step: step.clone() }),
            ),
            ResolutionOffer::Skip { step } => (
                format!("Leave {step} out and go on?{told}"),
                "Skip",
                Some(Resolution::Skip { step: step.clone(), reason }),
            ),
            ResolutionOffer::Undo => (
                "Put back what this run sent, the newest first? Each step is proved anew; what cannot be rolled back ends it."
                    .to_owned(),
                "Undo",
                Some(Resolution::Undo),
            ),
            ResolutionOffer::Abandon => (
                format!("Give the run up as it stands? Nothing is put back.{told}"),
                "Abandon",
                Some(Resolution::Abandon { reason }),
            ),
            ResolutionOffer::Leave => return,
        };
        self.dialog = Some(Dialog::Ask {
            title: format!("run {run}"),
            question,
            yes: yes.into(),
            go: false,
            effect: Box::new(Effect::Resume { run, wish }),
        });
    }
}
