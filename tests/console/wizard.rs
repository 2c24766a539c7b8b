//! Plan, gate and run: what is confirmed is seen whole, what is chosen has its card.

use crate::fixture::{options, press, scene};
use crate::keys::place;
use crate::questions::shown;

#[track_caller]
fn shows(name: &str, keys: &str, size: (u16, u16), wanted: &[&str]) {
    let text = shown(name, keys, size);
    for wanted in wanted {
        assert!(text.contains(wanted), "{name}, {keys:?} at {size:?} does not show {wanted:?}:\n{text}");
    }
}

#[test]
fn a_plan_has_its_steps_at_the_left_and_the_chosen_one_at_the_right() {
    let size = (120, 36);
    // The checks come first, those that warn on top; the steps are in sight from the beginning.
    shows(
        "plan",
        "",
        size,
        &["checks", "no backup of the last 24 h", "Set acrossK8s and clusterDoma", "Move the peerURL"],
    );
    shows(
        "plan",
        "",
        size,
        &["2 changes to send in 1 cluster, 1 irreversible; 4 steps", "no rollback from here", "asks: type it"],
    );
    shows("plan", "j", size, &["spec.clusterDomain", "PATCH", "$ kubectl --context east", "NO ROLLBACK"]);
    shows("plan", "G", (200, 50), &["peerURL", "svc⟨.east.example.com⟩"]);
    shows("plan", "G", size, &["+ http://orders-pd-0.orders-pd-peer.shop.svc.east.", "/v2/members/"]);
    shows("plan", "", (80, 24), &["checks", "no rollback from here", "no backup of the last 24 h"]);
    shows("plan", "j", (80, 24), &["spec.clusterDomain", "NO ROLLBACK"]);
    shows("refused", "", (80, 24), &["refused by 1 of 4 checks", "1 refused"]);
    let mut app = scene("plan", options());
    press(&mut app, "jjk");
    assert_eq!(app.chosen_step(), 1);
    press(&mut app, "GGj");
    assert_eq!(app.chosen_step(), 4);
    press(&mut app, "g");
    assert_eq!(app.chosen_step(), 0);
    assert_eq!(place(&app), "plan");
}

#[test]
fn what_is_confirmed_at_a_gate_is_seen_whole() {
    let change = ["svc⟨.east.example.com⟩:2380", "/v2/members/", "[>Not yet<]"];
    shows("gate", "", (120, 36), &change);
    shows("gate", "", (80, 24), &["/v2/members/", "[>Not yet<]"]);
    // What has no rollback says so beside the field.
    shows("typed", "", (120, 36), &["spec.clusterDomain", "there is no rollback", "> ord"]);
}

#[test]
fn a_run_shows_the_card_of_its_step_the_world_and_how_long_it_lasts() {
    shows(
        "run",
        ":progress<enter>",
        (160, 40),
        &["Move the peerURL of orders-pd-0", "/v2/members/", "Journal", "the world"],
    );
    shows("run", ":progress<enter>", (120, 36), &["run 20261120-120011-9c1d, 30s", "the world", "PD 1/1"]);
}

#[test]
fn an_open_run_is_shown_before_anything_is_asked() {
    shows("runs", "<enter>", (120, 36), &["paused: stopped on request", "2 of 4 over", "what now", "east/shop/orders"]);
    shows("runs", "j<enter>", (120, 36), &["done", "tidepilot runs show 20261118-090011-01bc"]);
}
