//! Runbooks, plans and runs in the language of whoever reads them.
//!
//! Not here: that both languages say the same values (`tests/house/words.rs`).

use crate::audit::{Demo, code, has_chinese, migrate, only_run, said};

#[test]
fn runbooks_speak_chinese_where_the_locale_does() {
    let demo = Demo::start("half-migrated");
    let chinese = code(&demo.run(&["--lang", "zh", "runbook", "list"]), 0);
    assert!(chinese.contains("为已有的 TidbCluster 开启跨 Kubernetes 集群功能"), "{chinese}");
    let mut command = demo.command(env!("CARGO_BIN_EXE_tidepilot"));
    let wrong =
        ["plan", "migrate-cluster-domain", "--set", "tidbCluster=legacy/pingcap/basic", "--set", "clusterDomain=x.y"];
    let refused = code(&command.env("LANG", "zh_CN.UTF-8").args(wrong).output().expect("runs"), 4);
    assert!(
        refused.contains("clusterDomain x.y 不是 legacy 的域名") && refused.contains("PD 一直保留首次启动时的 peerURL"),
        "{refused}"
    );
    let english = code(&demo.run(&wrong), 4);
    assert!(english.contains("clusterDomain x.y is not a domain of legacy"), "{english}");
}

#[test]
fn a_run_is_read_in_the_language_of_its_reader_whoever_opened_it() {
    let demo = Demo::start("half-migrated");
    let zh = |args: &[&str]| demo.run(&[&["--lang", "zh"], args].concat());
    // Opened in Chinese and left at its first gate.
    code(&zh(&migrate("run", &[])), 3);
    let run = only_run(&demo);
    let title = "的 peerURL 设为";
    let faces: Vec<Vec<&str>> = vec![
        vec!["runs", "list"],
        vec!["runs", "show", &run],
        vec!["runs", "report", &run],
        vec!["runs", "remaining", &run],
        vec!["status"],
        vec!["diagnose"],
        vec!["runs", "resume", &run],
    ];
    let both = |faces: &[Vec<&str>]| {
        let mut chinese = String::new();
        for face in faces {
            let english = said(&demo.run(face));
            assert!(!has_chinese(&english), "{face:?} in English\n{english}");
            chinese += &said(&zh(face));
        }
        chinese
    };
    let chinese = both(&faces);
    assert!(chinese.contains(title), "{chinese}");
    // Its records are as they were written.
    assert!(has_chinese(&code(&demo.run(&["runs", "show", &run, "-o", "json"]), 0)));
    assert!(code(&demo.run(&["runs", "verify", &run]), 0).contains("whole"));
    // The other way: gone on with in English, put back in English, read in Chinese.
    code(&demo.run(&["runs", "resume", &run, "--yes", "--confirm", "basic"]), 0);
    code(&demo.run(&["runs", "undo", &run]), 3);
    let chinese = both(&faces);
    assert!(chinese.contains(title), "{chinese}");
}

#[test]
fn a_plan_that_was_reviewed_in_chinese_is_run_in_english() {
    let demo = Demo::start("half-migrated");
    let file = demo.path("plan.json");
    let file = file.to_str().expect("UTF-8");
    code(&demo.run(&[&["--lang", "zh"], migrate("plan", &["--out", file]).as_slice()].concat()), 2);
    let ran = code(&demo.run(&["run", "--plan", file, "--yes", "--confirm", "basic"]), 0);
    assert!(!has_chinese(&ran), "{ran}");
    let report = code(&demo.run(&["runs", "report", &only_run(&demo)]), 0);
    assert!(!has_chinese(&report), "{report}");
}
