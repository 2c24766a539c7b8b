//! What the terminal tells: keys, sizes, the mouse. What is there already is folded, so that a key that is held down and text that is
//! pasted cost one frame, not one for each character.
//!
//! Each is handled as if a frame lay between it and the next one: its effects leave before the next is looked at, and text is not
//! scrolled past its end. Only a question that was drawn is answered: a key that was there before it was meant for something else. Not here: what a key does (`app`), the drawing ([`super::event_loop`]).

use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::{Duration, Instant};

use crossterm::event::{Event, EventStream, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use futures::{Stream, StreamExt};
use jiff::Timestamp;
use ratatui::layout::Rect;

use super::click_targets::Spots;
use crate::app::App;
use crate::app::message::{Effect, Message, Pointed};

/// Events folded into one frame, however quick each is.
const MOST: usize = 256;
/// What a key waits for one behind it: nobody sees it, and it is enough for one that was pasted with it.
const MOMENT: Duration = Duration::from_micros(400);
/// Lines of one step of the wheel.
const WHEEL: isize = 3;

/// `None`: the terminal is gone.
type Told = Option<io::Result<Event>>;

/// The events of a terminal, in order.
pub struct Events<S = EventStream> {
    from: S,
    /// Looked at, and not handled yet: a click means what is on the screen, so it waits for the frame of the keys before it.
    kept: Option<Told>,
}

impl<S: Stream<Item = io::Result<Event>> + Unpin> Events<S> {
    pub fn new(from: S) -> Self {
        Self { from, kept: None }
    }

    pub async fn next(&mut self) -> Told {
        match self.kept.take() {
            Some(event) => event,
            None => self.from.next().await,
        }
    }

    /// The next one, where it is there already: another thread takes it from the terminal, so it has a moment to come. Asked with the
    /// waker of the task that waits: a stream of events keeps the first one that it is given, and with another it would wake nobody.
    async fn ready(&mut self) -> Option<Told> {
        let asked = Instant::now();
        loop {
            let next = poll_fn(|context| {
                Poll::Ready(match self.from.poll_next_unpin(context) {
                    Poll::Ready(event) => Some(event),
                    Poll::Pending => None,
                })
            });
            let next = next.await;
            if next.is_some() || asked.elapsed() >= MOMENT {
                return next;
            }
            tokio::task::yield_now().await;
        }
    }
}

/// What is drawn at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Draw {
    Changes,
    /// Every cell.
    Anew,
}

/// What became of the events that were there.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// `None`: nothing is to be drawn for them.
    pub draw: Option<Draw>,
    /// The session is over.
    pub over: bool,
}

/// Handles an event and those behind it that are there already, for `budget` at the most. `carry` takes the effects of each before
/// the next one is looked at, and says whether the session is over.
pub async fn fold<S: Stream<Item = io::Result<Event>> + Unpin>(
    first: Told,
    events: &mut Events<S>,
    app: &mut App,
    spots: &Spots,
    budget: Duration,
    mut carry: impl FnMut(Vec<Effect>, &mut App) -> color_eyre::Result<bool>,
) -> color_eyre::Result<Folded> {
    let begun = Instant::now();
    let mut folded = Folded::default();
    let mut event = first;
    for left in (0..MOST).rev() {
        let (effects, draw) = told(event, app, spots);
        folded.draw = folded.draw.max(draw);
        folded.over = carry(effects, app)?;
        if folded.over || left == 0 || begun.elapsed() >= budget {
            break;
        }
        let Some(next) = events.ready().await else { break };
        if matches!(&next, Some(Ok(Event::Mouse(mouse))) if matches!(mouse.kind, MouseEventKind::Down(_))) {
            events.kept = Some(next);
            break;
        }
        limit(app);
        event = next;
    }
    Ok(folded)
}

/// As a frame would: what was scrolled past the end of a text is at its end, a text that is looked for is found, and the next key
/// begins there.
fn limit(app: &mut App) {
    if app.is_scrolled() || app.seeks() {
        let (width, height) = app.size();
        super::settle(app, Rect::new(0, 0, width, height));
    }
}

/// Whether a key would answer a question that the person has not seen. `ctrl-c` answers none: it leaves, pausing what is under way.
fn unseen(app: &App, spots: &Spots, key: &KeyEvent) -> bool {
    let asked = app.question();
    let leaves = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    asked.is_some() && asked != spots.question && !leaves
}

/// What an event of the terminal leads to, and what is to be drawn for it; `None`: nothing.
fn told(event: Told, app: &mut App, spots: &Spots) -> (Vec<Effect>, Option<Draw>) {
    match event {
        Some(Ok(Event::Key(key))) if unseen(app, spots, &key) => (Vec::new(), Some(Draw::Changes)),
        Some(Ok(Event::Key(key))) => (app.update(Message::Key(key), now()), Some(Draw::Changes)),
        Some(Ok(Event::Resize(width, height))) => {
            app.resize(width, height);
            // Shrunk and grown back between two frames the size is the same, but the cells are lost.
            (app.update(Message::Resize, now()), Some(Draw::Anew))
        }
        Some(Ok(Event::Mouse(event))) => match pointed(&event, spots) {
            Some(at) => (app.update(Message::Pointed(at), now()), Some(Draw::Changes)),
            None => (Vec::new(), None),
        },
        Some(Ok(Event::Paste(_) | Event::FocusGained | Event::FocusLost)) => (Vec::new(), None),
        // The terminal is gone: nobody is there to be told.
        Some(Err(_)) | None => (vec![Effect::Quit], None),
    }
}

/// What a move of the mouse means; `None` where it means nothing.
fn pointed(event: &MouseEvent, spots: &Spots) -> Option<Pointed> {
    match event.kind {
        MouseEventKind::ScrollUp => Some(Pointed::Wheel(-WHEEL)),
        MouseEventKind::ScrollDown => Some(Pointed::Wheel(WHEEL)),
        MouseEventKind::Down(MouseButton::Left) => spots.at(event.column, event.row).cloned(),
        _ => None,
    }
}

/// The faces' one clock.
#[expect(clippy::disallowed_methods, reason = "an edge: the console's loop stamps what it hands to the core")]
pub fn now() -> Timestamp {
    Timestamp::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::AppOptions;
    use crate::app::keymap::parse;
    use crossterm::event::KeyModifiers;

    fn app() -> App {
        let mut app = App::new(AppOptions::default());
        app.resize(80, 24);
        app
    }

    fn key(name: &str) -> Event {
        Event::Key(parse(name).unwrap_or_else(|| panic!("no key {name}")))
    }

    /// All events, as many folds as they take; how many, and what left with the filter that stood when it left.
    fn folds(app: &mut App, events: Vec<Event>) -> (usize, Vec<(Effect, String)>) {
        let mut events = Events::new(futures::stream::iter(events.into_iter().map(Ok)));
        let mut left = Vec::new();
        let mut count = 0;
        loop {
            let Some(first) = futures::executor::block_on(events.next()) else { return (count, left) };
            let carry = |effects: Vec<Effect>, app: &mut App| {
                // The end of the stream is a terminal that is gone.
                let over = effects.contains(&Effect::Quit);
                left.extend(effects.into_iter().filter(|_| !over).map(|one| (one, app.screen().filter.clone())));
                Ok(over)
            };
            let spots = Spots::default();
            let folding = fold(Some(first), &mut events, app, &spots, Duration::from_secs(60), carry);
            let folded = futures::executor::block_on(folding).expect("nothing fails");
            count += usize::from(folded.draw.is_some());
        }
    }

    #[test]
    fn keys_that_are_there_share_a_frame_and_lead_where_each_alone_would() {
        let text = "x".repeat(300);
        let keys: Vec<Event> = std::iter::once(key(":")).chain(text.chars().map(|c| key(&c.to_string()))).collect();
        let (mut folded, mut alone) = (app(), app());
        let (frames, _) = folds(&mut folded, keys.clone());
        assert!(frames <= 2, "{frames} frames for {} keys", keys.len());
        for one in keys {
            folds(&mut alone, vec![one]);
        }
        let typed = |app: &App| match &app.dialog {
            Some(crate::app::Dialog::Palette { input, .. }) => input.value().to_owned(),
            other => panic!("no palette: {other:?}"),
        };
        assert_eq!((typed(&folded), typed(&alone)), (text.clone(), text));
    }

    #[test]
    fn an_effect_leaves_before_the_next_key_is_looked_at() {
        let keys = ["/", "a", "enter", "ctrl-s", "/", "b", "enter", "ctrl-s", "ctrl-r"];
        let (_, left) = folds(&mut app(), keys.map(key).to_vec());
        let said: Vec<(&Effect, &str)> = left.iter().map(|(effect, filter)| (effect, filter.as_str())).collect();
        assert_eq!(said, [(&Effect::Save, "a"), (&Effect::Save, "b"), (&Effect::Refresh, "b")]);
    }

    #[test]
    fn text_is_not_scrolled_past_its_end_between_two_keys() {
        let keys = [&["?", "G"][..], &["j"; 40], &["k"]].concat();
        let (mut folded, mut alone) = (app(), app());
        folds(&mut folded, keys.iter().map(|name| key(name)).collect());
        for one in keys {
            folds(&mut alone, vec![key(one)]);
            limit(&mut alone);
        }
        let scroll = |app: &App| match &app.dialog {
            Some(crate::app::Dialog::Help { scroll, .. }) => *scroll,
            other => panic!("no help: {other:?}"),
        };
        assert!(scroll(&alone) > 0);
        assert_eq!(scroll(&folded), scroll(&alone));
    }

    #[test]
    fn a_question_that_was_not_drawn_takes_no_key() {
        let mut app = app();
        let effect = Box::new(Effect::ListRuns);
        let (title, question, yes) = ("t".to_owned(), "q".to_owned(), "yes".to_owned());
        app.dialog = Some(crate::app::Dialog::Ask { title, question, yes, go: true, effect });
        let (_, left) = folds(&mut app, ["y", "enter", "n", "esc"].map(key).to_vec());
        assert!(left.is_empty() && app.dialog.is_some(), "{left:?}");
        let mut spots = Spots::default();
        spots.question = app.question();
        let (effects, _) = told(Some(Ok(key("y"))), &mut app, &spots);
        assert!(effects.contains(&Effect::ListRuns) && app.dialog.is_none(), "{effects:?}");
    }

    #[test]
    fn a_click_waits_for_the_frame_of_the_keys_before_it() {
        let click = Event::Mouse(MouseEvent {
            kind: MouseEventKind::Down(MouseButton::Left),
            column: 1,
            row: 1,
            modifiers: KeyModifiers::NONE,
        });
        let mut events = Events::new(futures::stream::iter([Ok(key("j")), Ok(click.clone()), Ok(key("j"))]));
        let first = futures::executor::block_on(events.next());
        let carry = |_, _: &mut App| Ok(false);
        let (mut app, spots) = (app(), Spots::default());
        let folding = fold(first, &mut events, &mut app, &spots, Duration::from_secs(60), carry);
        let folded = futures::executor::block_on(folding).expect("nothing fails");
        assert_eq!(folded, Folded { draw: Some(Draw::Changes), over: false });
        assert!(matches!(futures::executor::block_on(events.next()), Some(Ok(event)) if event == click));
    }
}
