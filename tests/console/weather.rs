//! How connections fare: what is drawn for it, and what is not.

use crate::fixture::{self, asked, options, press, scene, weather};
use crate::questions::screen_of;
use tidepilot::app::connection_stats::WeatherNews;
use tidepilot::app::message::Message;

/// The same news once more, with other counts and a way there and back of so many milliseconds.
fn again(ms: u64, sent: u64) -> Message {
    let Some(Message::Weather(mut all)) = weather().pop() else { panic!("the fixture tells the weather") };
    all.truncate(1);
    for WeatherNews { weather, asked: requests, .. } in &mut all {
        (weather.quickest_ms, weather.sent) = (Some(ms), sent);
        *requests = vec![asked(1, "GET", "/readyz", Ok(200), ms)];
    }
    Message::Weather(all)
}

#[test]
fn a_request_draws_nothing_anew_unless_somebody_looks_at_it() {
    let mut app = scene("healthy", options());
    for message in weather() {
        app.update(message, fixture::now());
    }
    assert!(app.take_dirty(), "the header has a figure more");
    // 12 and 14 are shown as 10 ms, 16 and 17 as 20 ms.
    for (ms, drawn) in [(12, false), (14, false), (16, true), (17, false)] {
        app.update(again(ms, 50 + ms), fixture::now());
        assert_eq!(app.take_dirty(), drawn, "{ms} ms");
    }
    for view in [":ctx<enter>", ":log<enter>", ":ctx<enter><enter>"] {
        press(&mut app, view);
        app.take_dirty();
        app.update(again(15, 100), fixture::now());
        assert!(app.take_dirty(), "{view}");
    }
}

#[test]
fn the_header_says_how_far_a_cluster_is_and_the_lists_what_became_of_requests() {
    let mut app = scene("weather", options());
    let text = screen_of(&mut app, (220, 60));
    // What does not answer has no distance.
    for wanted in ["1 east ● 10 ms", "2 north ◐ stale 41s", "until 11-25 12:00Z", "until 11-20 12:10Z"] {
        assert!(text.contains(wanted), "{wanted:?}:\n{text}");
    }
    press(&mut app, ":ctx north<enter><enter>");
    let text = screen_of(&mut app, (220, 60));
    for wanted in
        ["210 ms", "95 s ahead of this machine's", "12 requests", "busy (429)", "plugin aws, until 2026-11-20 12:10Z"]
    {
        assert!(text.contains(wanted), "{wanted:?}:\n{text}");
    }
    press(&mut app, "<esc>0:log<enter>");
    let text = screen_of(&mut app, (150, 42));
    for wanted in ["429", "TimedOut", "/apis/pingcap.com/v1alpha1/tidbclusters", "coredns"] {
        assert!(text.contains(wanted), "{wanted:?}:\n{text}");
    }
    // Only what failed is a fault: that one may not read a ConfigMap is none.
    press(&mut app, "<ctrl-z>");
    let text = screen_of(&mut app, (150, 42));
    assert!(text.contains("TimedOut") && !text.contains("coredns"), "{text}");
}
