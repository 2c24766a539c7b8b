//! The fields of a form: what is filled in for a person is named as such, and gives way to whatever the person does.

use crate::fixture::{self, fleet, now, options, press};
use crate::questions::screen_of;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use tidepilot::app::App;
use tidepilot::app::form::FilledBy;
use tidepilot::app::message::{Effect, Message};
use tidepilot::console;

/// The form of the migration, whose domain is proposed where clusters serve different ones, after these keys.
fn form(keys: &str) -> App {
    let mut all = fixture::runbooks();
    for input in &mut all[0].inputs {
        input.propose = input.name == "clusterDomain";
    }
    let mut app = fixture::app(options(), fleet());
    app.update(Message::Runbooks(all), now());
    press(&mut app, ":run migrate-cluster-domain on east/shop/orders<enter>");
    press(&mut app, keys);
    app
}

#[track_caller]
fn holds(keys: &str, field: usize, value: &str, by: Option<FilledBy>) {
    let app = form(keys);
    let field = &app.form.as_ref().expect("a form").fields[field];
    assert_eq!((field.input.value(), field.filled()), (value, by), "after {keys:?}");
}

#[test]
fn what_was_typed_or_erased_is_never_filled_in_again() {
    holds("", 1, "east.example.com", Some(FilledBy::Fleet));
    // Erased, it stays empty, whatever is pressed then.
    for erased in ["<ctrl-u>", "<backspace>", "x<backspace>", "<ctrl-u><up><down>", "<backspace><up><down><up><down>"] {
        holds(erased, 1, "", None);
    }
    assert!(!form("<ctrl-u>").form.expect("a form").inputs().contains_key("clusterDomain"));
    // A letter takes the place of all of it; the arrows take it as text.
    holds("a.b", 1, "a.b", None);
    holds("<left><right><backspace>", 1, "east.example.co", None);
    holds("<ctrl-u>cluster.local<up><down>", 1, "cluster.local", None);
    // Chosen from the list, it is the person's too.
    holds("<ctrl-u><tab>", 1, "east.example.com", None);
}

#[test]
fn a_proposal_follows_the_place_that_it_is_for_until_a_person_writes() {
    holds("<up>north/db/basic<down>", 1, "north.example.com", Some(FilledBy::Fleet));
    holds("mine<up>north/db/basic<down>", 1, "mine", None);
    holds("<ctrl-u><up>north/db/basic<down>", 1, "", None);
    // One that was for another place does not stay behind.
    holds("<up>nowhere/db/basic<down>", 1, "", None);
    // What came from the line or the cursor is typed over as well.
    holds("", 0, "east/shop/orders", Some(FilledBy::Cursor));
    holds("<up>west/a/b", 0, "west/a/b", None);
    holds("<up><ctrl-u>", 0, "", None);
}

/// The screen of the form after these keys.
fn shown(keys: &str, width: u16) -> String {
    let mut app = form(keys);
    app.resize(width, 36);
    let mut terminal = Terminal::new(TestBackend::new(width, 36)).expect("infallible");
    terminal.draw(|frame| console::draw(&app, frame)).expect("infallible");
    let buffer = terminal.backend().buffer().clone();
    (0..36).map(|y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>() + "\n").collect()
}

#[test]
fn a_field_is_judged_while_it_is_typed() {
    for (keys, wanted) in [
        ("<up>nowhere/db/basic", "no context is called \"nowhere\"; there are east, north, west"),
        ("<up>east/db/zzz", "no TidbCluster db/zzz is seen in east"),
        ("<up>east", ""),
        ("<up>east/db/ba", ""),
        ("<up>basic", "it is written CONTEXT/NAMESPACE/NAME"),
        ("<up>basic<down>", "it is written CONTEXT/NAMESPACE/NAME"),
        ("x.y", "east is known to serve east.example.com"),
        ("east.ex", ""),
        ("", ""),
    ] {
        let app = form(keys);
        let form = app.form.as_ref().expect("a form");
        let said: Vec<String> = form.fields.iter().filter_map(|field| app.wrong(form, field)).collect();
        assert_eq!(said.join("; "), wanted, "after {keys:?}");
        assert!(shown(keys, 120).contains(wanted), "{}", shown(keys, 120));
    }
}

#[test]
fn the_target_stands_beside_the_form_where_there_is_room() {
    assert!(shown("", 150).contains("TidbCluster east/shop/orders"));
    assert!(!shown("", 120).contains("TidbCluster east/shop/orders"));
    assert!(shown("<up>north/db/basic", 150).contains("TidbCluster north/db/basic"));
}

#[test]
fn a_proposal_is_shown_as_one() {
    let text = shown("", 120);
    assert!(text.contains("proposed: what its cluster serves; typing takes its place, backspace empties it"), "{text}");
    assert!(text.contains("east/shop/orders  (from the cursor or the line)"), "{text}");
    assert!(shown("", 80).contains("proposed: what its cluster serves"));
    assert!(!shown("x", 120).contains("proposed"));
}

fn foreseen(effects: &[Effect]) -> Vec<(u64, String)> {
    let one = |effect: &Effect| match effect {
        Effect::Foresee { id, inputs, .. } => Some((*id, inputs.values().cloned().collect::<Vec<_>>().join(" "))),
        _ => None,
    };
    effects.iter().filter_map(one).collect()
}

#[test]
fn what_follows_from_the_values_is_told_while_they_stand() {
    let mut app = fixture::app(options(), fleet());
    let asked = foreseen(&press(&mut app, ":run migrate-cluster-domain on east/shop/orders<enter>"));
    assert_eq!(asked, [], "a field is missing");
    // Of each state of the values once, and of none that is known to be wrong.
    let asked = foreseen(&press(&mut app, "ab<left><right>"));
    assert!(asked.len() <= 2, "{asked:?}");
    let asked = foreseen(&press(&mut app, "<ctrl-u>east.example.com"));
    let (id, values) = asked.last().cloned().expect("it is asked");
    assert_eq!(values, "east.example.com east/shop/orders");
    let plan = || Ok(Box::new(fixture::plan(false)));
    // What was asked of other values is not shown.
    app.update(Message::Foreseen { id: id - 1, plan: plan() }, now());
    let text = screen_of(&mut app, (150, 42));
    assert!(text.contains("What will follow") && text.contains("looking"), "{text}");
    app.update(Message::Foreseen { id, plan: plan() }, now());
    for size in [(150, 42), (100, 30)] {
        let text = screen_of(&mut app, size);
        for wanted in ["2 changes to send in 1 cluster", "becomes ", "warns: "] {
            assert!(text.contains(wanted), "{wanted:?} at {size:?}:\n{text}");
        }
    }
    // Another value, and it is of the past.
    press(&mut app, "<backspace>");
    let text = screen_of(&mut app, (150, 42));
    assert!(!text.contains("becomes"), "{text}");
    // Nothing can be started from it.
    press(&mut app, "<esc>");
    assert!(app.plan.is_none());
}
