//! Keys at random in every view of a read-only session: nothing leaves but what reads, nothing panics at any size.
//!
//! Once in memory, where every effect is judged, and once through the real binary in a pseudo terminal, where every request is.
//! `TIDEPILOT_KEYS` says how many; the keys before a failure are printed. Not here: every key in turn (`read_only.rs`).

use std::time::Duration;

use crate::common::pty::Terminal;
use crate::fixture::{SCENES, now, options, scene};
use crate::keys::{place, sent};
use crate::read_only::{bytes, fleet, nothing_since};
use ratatui::backend::TestBackend;
use ratatui::layout::Rect;
use tidepilot::app::keymap::{KEYMAP, parse};
use tidepilot::app::message::{Effect, Message};
use tidepilot::app::{App, AppOptions};
use tidepilot::console;

/// Whether an effect changes nothing outside this machine. What is new in the enum has to be judged here.
pub fn only_reads(effect: &Effect) -> bool {
    match effect {
        Effect::Quit
        | Effect::Copy(_)
        | Effect::Save
        | Effect::Write { .. }
        // A plan of a read-only session asks for no dry run: `read_only.rs` judges its requests.
        | Effect::Plan { .. }
        | Effect::AskApproval { .. }
        | Effect::PauseRun
        | Effect::ListRuns
        | Effect::Refresh
        | Effect::Foresee { .. }
        | Effect::LookCloser
        | Effect::CountRegions { .. }
        | Effect::ReadRun { .. }
        | Effect::EndForward { .. }
        | Effect::Seal
        | Effect::Closeup { .. } => true,
        Effect::Start(_)
        | Effect::Resume { .. }
        | Effect::Answer { .. }
        | Effect::Decline { .. }
        | Effect::Approve { .. }
        | Effect::Forward { .. }
        | Effect::Shell { .. } => false,
    }
}

/// How many keys; `usual`: where nobody asks for more.
fn how_many(usual: usize) -> usize {
    std::env::var("TIDEPILOT_KEYS").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// A small generator of its own: the same keys for the same seed, for ever.
struct Dice(u64);

impl Dice {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(below).expect("small")).expect("small")
    }
}

fn draw(app: &mut App, width: u16, height: u16) {
    app.resize(width, height);
    console::settle(app, Rect::new(0, 0, width, height));
    let mut terminal = ratatui::Terminal::new(TestBackend::new(width, height)).expect("infallible");
    terminal.draw(|frame| console::draw(app, frame)).expect("infallible");
}

/// Every key of the keymap, every letter, and words that get far: names that a question asks for, views, runbooks.
fn alphabet() -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = KEYMAP.iter().flat_map(|one| one.keys).map(|key| vec![(*key).to_owned()]).collect();
    all.extend(('!'..='~').map(|c| vec![c.to_string()]));
    for word in
        ["east/db/basic-tikv-1", "east/shop/orders", "orders", ":pods", ":tc", ":forwards", ":ns", ":run mig", ":q"]
    {
        let letters = word.chars().map(|c| if c == ' ' { "space".to_owned() } else { c.to_string() });
        all.push(letters.chain(["enter".to_owned()]).collect());
    }
    all
}

#[test]
fn keys_at_random_send_nothing_in_a_read_only_session() {
    let count = how_many(4_000);
    let alphabet = alphabet();
    let sizes = [(80, 24), (120, 36), (200, 50), (1, 1), (7, 3), (40, 12), (100, 30), (500, 200)];
    // Those in which a run is driven have begun before: a read-only session cannot drive one.
    let scenes: Vec<&str> =
        SCENES.iter().copied().filter(|name| !matches!(*name, "run" | "gate" | "typed" | "fork")).collect();
    let mut seen = std::collections::BTreeSet::new();
    let each = count.div_ceil(scenes.len());
    for (number, name) in scenes.iter().enumerate() {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ u64::try_from(number + 1).expect("small"));
        let mut app = scene(name, AppOptions { read_only: true, ..options() });
        let mut last: Vec<String> = Vec::new();
        let mut pressed = 0;
        while pressed < each {
            let keys = &alphabet[dice.next(alphabet.len())];
            for key in keys {
                let event = parse(key).unwrap_or_else(|| panic!("unknown key {key:?}"));
                let effects = app.update(Message::Key(event), now());
                pressed += 1;
                last.push(key.clone());
                let wrong = effects.iter().find(|effect| !only_reads(effect));
                assert!(
                    wrong.is_none(),
                    "{name}: {} after {:?}",
                    sent(&effects),
                    &last[last.len().saturating_sub(40)..]
                );
            }
            seen.insert(app.view().title());
            if dice.next(20) == 0 {
                let (width, height) = sizes[dice.next(sizes.len())];
                draw(&mut app, width, height);
            }
            if dice.next(60) == 0 {
                app.update(Message::Tick, now());
                let _ = place(&app);
            }
        }
    }
    assert!(seen.len() >= 18, "only {seen:?} were seen");
}

/// As many as a person presses in half an hour, unless more are asked for: by hand 100,000.
#[test]
fn keys_at_random_through_the_real_binary_send_nothing_when_read_only() {
    let count = how_many(1_500);
    let (demo, run, from) = fleet();
    let alphabet: Vec<Vec<String>> = alphabet().into_iter().filter(|keys| keys != &["ctrl-c"]).collect();
    let sizes = [(24, 80), (36, 120), (50, 200), (5, 20), (1, 1)];
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    let mut console = Terminal::console(&demo, &["--read-only"], 36, 120);
    let (mut pressed, mut ends, mut last) = (0, 0, String::new());
    while pressed < count {
        let mut burst = String::new();
        for _ in 0..40 {
            for key in &alphabet[dice.next(alphabet.len())] {
                burst.push_str(&bytes(&parse(key).unwrap_or_else(|| panic!("unknown key {key:?}"))));
                pressed += 1;
            }
        }
        console.keys(&burst);
        last = format!("{last}{burst}").chars().rev().take(400).collect::<Vec<_>>().into_iter().rev().collect();
        // Some of them lead out, and are allowed to.
        if !console.settled(&format!("mark{pressed}")) {
            assert_eq!(console.ended(), 0, "{}\nafter {last:?}", console.raw());
            console.restored();
            ends += 1;
            console = Terminal::console(&demo, &["--read-only"], 36, 120);
        }
        assert!(!console.raw().contains("panicked"), "after {last:?}");
        if dice.next(4) == 0 {
            let (rows, cols) = sizes[dice.next(sizes.len())];
            console.resize(rows, cols);
            std::thread::sleep(Duration::from_millis(50));
            console.resize(36, 120);
        }
        nothing_since(&demo, from);
    }
    assert!(ends <= count / 100, "{ends} of {pressed} keys ended the console");
    assert_eq!(demo.room.journals(), [run], "a read-only console opened a run");
    console.leave();
}
