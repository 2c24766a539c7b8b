//! What a person does by hand in a pod: a port on this machine that leads to it, and a shell in it. By keys here, and through
//! the real binary on the simulated fleet.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::common::pty::{ESC, Terminal};
use crate::common::{self, Demo, Room};
use crate::fixture::{options, press, scene};
use crate::keys::{check, said, sent};
use tidepilot::app::AppOptions;
use tidepilot::app::message::Message;
use tidepilot::fleet::port_forward::ForwardNews;

#[test]
fn a_port_of_the_pod_under_the_cursor_is_opened() {
    check("overview", "F", "overview [pick 2379]", "");
    check("overview", "Fj", "overview [pick 2380]", "");
    check("overview", "F<enter>", "overview", "forward east/db/basic-pd-0 2379");
    check("overview", "F<esc>", "overview", "");
    check("overview", ":basic-tikv-0<enter>F", "pod east/db/basic-tikv-0 [pick 20160]", "");
    check("members", "jjF<enter>", "members", "forward north/db/basic-pd-0 2379");
    check("stores", "F<enter>", "stores", "forward east/db/basic-tikv-0 20160");
    // The port here is any free one, or the one that is asked for; the same number is proposed.
    check("stores", "Fj", "stores [pick 20160 at ...]", "");
    check("stores", "Fj<enter>", "stores [port: 20160]", "");
    check("stores", "Fj<enter><enter>", "stores", "forward east/db/basic-tikv-0 20160 at 20160");
    let other = "Fj<enter><backspace><backspace><backspace><backspace><backspace>15000<enter>";
    check("stores", other, "stores", "forward east/db/basic-tikv-0 20160 at 15000");
    check("stores", "Fj<enter>0<enter>", "stores [port: 201600, wrong]", "");
    check("stores", "Fj<enter><esc>", "stores", "");
    // The container that the pod is there for comes first, wherever it stands in the pod.
    check("overview", ":basic-tidb-0<enter>F", "pod east/db/basic-tidb-0 [pick 4000]", "");
    said("clusters", "F", "no port to open here");
    said("overview", ":basic-tiflash-0<enter>F", "tells of no port");
}

#[test]
fn a_port_that_leads_there_already_is_said_and_not_opened_twice() {
    let mut app = scene("overview", options());
    assert_eq!(sent(&press(&mut app, "F<enter>")), "forward east/db/basic-pd-0 2379");
    let news = ForwardNews::Listens("127.0.0.1:40001".into());
    app.update(Message::Forward { id: 1, news }, crate::fixture::now());
    assert_eq!(sent(&press(&mut app, "F<enter>")), "");
    let text = app.flash.as_ref().map(|flash| flash.text.clone()).unwrap_or_default();
    assert!(text.contains("127.0.0.1:40001 leads to port 2379"), "{text}");
    // One that is over is opened anew, and stands in the list once.
    let news = ForwardNews::Over("the pod is gone".into());
    app.update(Message::Forward { id: 1, news }, crate::fixture::now());
    assert_eq!(sent(&press(&mut app, "F<enter>")), "forward east/db/basic-pd-0 2379");
    assert_eq!(app.forwards.len(), 1);
}

#[test]
fn ports_are_listed_copied_and_ended() {
    check("overview", ":pf<enter>", "forwards", "");
    check("forwards", "x", "forwards", "end forward 1");
    // What has ended is taken off the list, and nothing is left to end.
    check("forwards", "Gx", "forwards", "");
    check("forwards", "<enter>", "pod east/db/basic-pd-0", "");
    let copied = |keys: &str| sent(&press(&mut scene("forwards", options()), keys));
    assert_eq!(copied("c<enter>"), "copy 127.0.0.1:40211");
    assert_eq!(copied("jcjj<enter>"), "copy mysql -h 127.0.0.1 -P 40213 -u root -p");
    assert_eq!(copied("jcjjj<enter>"), "copy kubectl --context east -n db port-forward pod/basic-tidb-0 :4000");
    // More than one can look after is refused.
    let mut app = scene("forwards", options());
    app.forwards.iter_mut().for_each(|one| one.state = tidepilot::app::port_forwards::State::Opening);
    let one = app.forwards[0].clone();
    app.forwards.extend((0..13).map(|n| tidepilot::app::port_forwards::Forward { id: 100 + n, ..one.clone() }));
    press(&mut app, ":pods<enter>F");
    let text = app.flash.map(|flash| flash.text).unwrap_or_default();
    assert!(text.contains("16 ports are open already"), "{text}");
}

#[test]
fn a_shell_is_asked_for_and_typed_where_data_lie() {
    let pod = ":basic-tikv-0<enter>S";
    check("overview", pod, "pod east/db/basic-tikv-0 [type: ]", "");
    check("overview", &format!("{pod}basic<enter>"), "pod east/db/basic-tikv-0 [type: basic, wrong]", "");
    check("overview", &format!("{pod}<esc>"), "pod east/db/basic-tikv-0", "");
    let yes = "east/db/basic-tikv-0<enter>";
    check("overview", &format!("{pod}{yes}"), "pod east/db/basic-tikv-0", "shell east/db/basic-tikv-0 tikv");
    check("overview", "S", "overview [type: ]", "");
    // Elsewhere a question, whose first button does nothing.
    let tidb = ":basic-tidb-0<enter>S";
    check("overview", tidb, "pod east/db/basic-tidb-0 [pick tidb]", "");
    check("overview", &format!("{tidb}<enter>"), "pod east/db/basic-tidb-0 [ask: not yet]", "");
    check("overview", &format!("{tidb}<enter><enter>"), "pod east/db/basic-tidb-0", "");
    check("overview", &format!("{tidb}<enter>y"), "pod east/db/basic-tidb-0", "shell east/db/basic-tidb-0 tidb");
    check("overview", &format!("{tidb}j<enter>y"), "pod east/db/basic-tidb-0", "shell east/db/basic-tidb-0 slowlog");
    said("tidbclusters", "S", "no shell here");
    said("certificates", "S", "no shell here");
}

#[test]
fn read_only_opens_neither() {
    let armless = || AppOptions { read_only: true, ..options() };
    for (keys, wanted) in
        [("F", "what is sent through a port-forward is not seen"), ("S", "what is typed into a shell")]
    {
        for place in ["", ":pods<enter>", ":pd<enter>", ":stores<enter>", ":basic-tidb-0<enter>"] {
            let mut app = scene("overview", armless());
            let effects = press(&mut app, &format!("{place}{keys}"));
            assert_eq!(sent(&effects), "", "{place}{keys}");
            assert!(app.dialog.is_none(), "{place}{keys}");
            let text = app.flash.map(|flash| flash.text).unwrap_or_default();
            assert!(text.contains("read-only") && text.contains(wanted), "{place}{keys}: {text}");
        }
    }
}

#[test]
fn what_is_opened_stands_in_the_log() {
    let mut app = scene("overview", options());
    press(&mut app, ":basic-tidb-0<enter>S<enter>y");
    let over = Message::Shell(tidepilot::app::status_level::Level::Done, "the shell in it ended with exit 3".into());
    app.update(over, crate::fixture::now());
    let told: Vec<&str> = app.told.iter().filter(|one| one.about == "shell").map(|one| one.sentence.as_str()).collect();
    assert_eq!(
        told,
        ["a shell was asked for: east/db/basic-tidb-0, container tidb", "the shell in it ended with exit 3"]
    );
}

/// The address that the console says, once it does.
fn address(terminal: &mut Terminal) -> String {
    let text = terminal.until("an address", |text| text.contains("127.0.0.1:") && text.contains(" leads to "));
    let at = text.find("127.0.0.1:").expect("just seen");
    text[at..].split_whitespace().next().expect("an address").to_owned()
}

fn asked(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a limit");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: pd\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn a_forwarded_port_answers_is_counted_and_ends_with_the_console() {
    let room = Room::new();
    let mut terminal = Terminal::demo(&room, &[], 40, 150);
    terminal.keys("F");
    terminal.shows(&["a port on this machine", "2379"]);
    // The list begins with whichever the pod tells first.
    while !terminal.text().lines().any(|line| line.contains("2379") && (line.contains('▌') || line.contains("> "))) {
        terminal.keys("j");
        std::thread::sleep(Duration::from_millis(100));
    }
    terminal.keys("\r");
    let address = address(&mut terminal);
    let answer = asked(&address, "/pd/api/v1/version");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("version"), "{answer}");
    // Several at once, and one after the other.
    let many: Vec<_> = (0..8)
        .map(|_| {
            let address = address.clone();
            std::thread::spawn(move || asked(&address, "/pd/api/v1/members"))
        })
        .collect();
    for one in many {
        let answer = one.join().expect("answered");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    terminal.keys(":forwards\r");
    terminal.shows(&[&address, "0 of 9", "open"]);
    terminal.screenshot("forwards");
    terminal.keys("x");
    terminal.shows(&["No port leads into a pod"]);
    common::eventually("a closed port", Duration::from_secs(10), || TcpStream::connect(&address).err());
    // The next one ends with the console.
    terminal.keys(&format!("{ESC}{ESC}F\r"));
    let address = self::address(&mut terminal);
    drop(TcpStream::connect(&address).expect("it listens"));
    terminal.leave();
    assert!(TcpStream::connect(&address).is_err(), "it outlived the console");
}

#[test]
fn a_shell_has_the_terminal_and_gives_it_back() {
    let room = Room::new();
    let mut terminal = Terminal::demo(&room, &[], 30, 110);
    terminal.keys(":basic-tidb-0\r");
    terminal.shows(&["pod legacy/pingcap/basic-tidb-0"]);
    terminal.keys("S");
    let text = terminal.until("a question", |text| text.contains("which container") || text.contains("Open (y)"));
    if text.contains("which container") {
        terminal.keys("\r");
        terminal.shows(&["Open (y)"]);
    }
    terminal.keys("y");
    terminal.shows(&["ctrl-] leaves it at once", "/ # "]);
    assert!(!terminal.screen(|screen| screen.alternate_screen()), "the console is still on the screen");
    // Every key is the shell's, those of the console and ctrl-c too.
    terminal.keys("hostname\r");
    terminal.shows(&["\nbasic-tidb-0"]);
    terminal.keys(":q\r");
    terminal.shows(&["\":q\": executable file not found"]);
    terminal.keys("abc\x03");
    terminal.shows(&["abc^C"]);
    terminal.keys("stty size\r");
    terminal.shows(&["\n30 110"]);
    terminal.resize(35, 100);
    terminal.until("the new size", |_| true);
    common::eventually("the new size in the pod", Duration::from_secs(20), || {
        terminal.keys("stty size\r");
        std::thread::sleep(Duration::from_millis(200));
        terminal.text().contains("\n35 100").then_some(())
    });
    terminal.keys("exit 3\r");
    terminal.shows(&["ended with exit 3", "pod legacy/pingcap/basic-tidb-0"]);
    assert!(terminal.screen(|screen| screen.alternate_screen()));
    // The keys are the console's again, from the first on; and the log tells of it.
    terminal.keys(":log\r");
    terminal.shows(&["shell", "a shell was asked for: legacy/pingcap/basic-tidb-0"]);
    terminal.keys(&format!("{ESC}:basic-pd-0\r"));
    terminal.shows(&["pod legacy/pingcap/basic-pd-0"]);
    terminal.keys("S");
    terminal.shows(&["type exactly legacy/pingcap/basic-pd-0"]);
    terminal.keys("legacy/pingcap/basic-pd-0\r");
    terminal.shows(&["/ # "]);
    // One that does not answer is left.
    terminal.keys("\x1d");
    terminal.shows(&["was left with ctrl-]"]);
    terminal.leave();
}

#[test]
fn kubectl_has_a_shell_in_the_simulated_fleet_too() {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("kubectl")).find(|path| path.is_file());
    assert!(found.is_some() || std::env::var("CI").as_deref() != Ok("true"), "kubectl has to be there in CI");
    let Some(kubectl) = found.map(|path| path.display().to_string()) else { return };
    let demo = Demo::start("default", 20);
    let kubeconfig = demo.kubeconfig.display().to_string();
    let arguments = [
        "--kubeconfig",
        &kubeconfig,
        "--context",
        "legacy",
        "-n",
        "pingcap",
        "exec",
        "-it",
        "basic-tidb-0",
        "--",
        "sh",
        "-c",
        "bash || sh",
    ];
    let mut terminal = Terminal::start_program(&kubectl, &demo.room, &arguments, &[], 24, 80);
    terminal.shows(&["/ # "]);
    terminal.keys("hostname\r");
    terminal.shows(&["\nbasic-tidb-0"]);
    terminal.keys("exit 5\r");
    assert_eq!(terminal.ended(), 5);
}
