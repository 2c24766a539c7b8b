//! `demo --screenshots`: the pictures of the README and of docs/ are made anew, of this console, and are ones.

use std::collections::BTreeSet;
use std::path::Path;

use crate::common::{Room, finish};

/// What stands on each picture.
const SHOWN: [(&str, &[&str]); 6] = [
    ("overview", &["SIMULATED", "PD 3/3", "TiKV", "one cluster?"]),
    ("findings", &["SIMULATED", "problems"]),
    ("pods", &["basic-tikv-0", "SIMULATED"]),
    ("plan", &["to send", "clusterDomain", "cluster1.com"]),
    ("gate", &["type exactly legacy/pingcap/basic"]),
    ("run", &["set-domain", "SIMULATED"]),
];

/// The text of a picture, line by line as it stands there, each run apart.
fn text(svg: &str) -> String {
    let runs = svg.split("<text ").skip(1).filter_map(|run| run.split_once('>')?.1.split_once("</text>"));
    let all: Vec<&str> = runs.map(|(text, _)| text).collect();
    all.join(" ").replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_pictures_are_made_anew_by_the_program_itself() {
    let room = Room::new();
    let script = format!("@{}", root().join("assets/pictures.keys").display());
    let mut command = room.command(["demo", "--speed", "20", "--screenshots", "made", "--script", &script]);
    command.env("LANG", "C.UTF-8");
    let ran = finish(command.spawn().expect("the binary starts"), std::time::Duration::from_secs(240)).expect(0);
    let made: BTreeSet<String> = ran.stdout.lines().map(str::to_owned).collect();
    let wanted: BTreeSet<String> = SHOWN.iter().map(|(name, _)| format!("{name}.svg")).collect();
    assert_eq!(made, wanted, "{}", ran.all());
    for (name, words) in SHOWN {
        let file = format!("{name}.svg");
        let kept = std::fs::read_to_string(root().join("docs/pictures").join(&file)).expect("in docs/pictures");
        let made = std::fs::read_to_string(room.path("made").join(&file)).expect("made");
        for svg in [&kept, &made] {
            let text = text(svg);
            assert!(words.iter().all(|word| text.contains(word)), "{file} lacks one of {words:?}: {text}");
            assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"), "{file}");
        }
        // The kept one is of this console: of the same size, and with about as much on it.
        let head = |svg: &str| svg.lines().next().unwrap_or_default().to_owned();
        assert_eq!(
            head(&kept),
            head(&made),
            "{file}: run `tidepilot demo --speed 20 --screenshots docs/pictures --script @assets/pictures.keys`"
        );
    }
}

#[test]
fn a_script_that_waits_in_vain_says_what_is_on_the_screen() {
    let room = Room::new();
    for (script, code, wanted) in [
        ("<shot ../../x>", 64, "no name of a picture"),
        ("abc", 64, "takes no picture"),
        ("<patience 1><wait no such words><shot x>", 1, "not on the screen within 1 s"),
    ] {
        let ran = room.run(&["demo", "--screenshots", "made", "--script", script]).expect(code);
        assert!(ran.stderr.contains(wanted), "{}", ran.all());
    }
}
