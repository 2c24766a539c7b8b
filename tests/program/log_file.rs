//! `--log-file`: what is in it, what must never be, and who may read it.

use std::os::unix::fs::PermissionsExt as _;

use crate::common::members;
use crate::lifecycle::bed::Bed;

#[tokio::test(flavor = "multi_thread")]
async fn a_run_leaves_its_requests_leases_and_records_in_the_log_and_no_secret() {
    let bed = Bed::of("default", &[]).await;
    let log = bed.room.path("tidepilot.log");
    let file = log.to_str().expect("a plain path").to_owned();
    let status = bed.status().await;
    let follower = members(crate::common::database(&status, "prod-east"))
        .iter()
        .find(|member| member["leader"] == false && member["kubeCluster"] == "west")
        .and_then(|member| member["pod"].as_str())
        .expect("a follower in west")
        .to_owned();
    let pod = format!("pod={follower}");
    let arguments = [
        "run",
        "transfer-pd-leader",
        "--yes",
        "--set",
        "tidbCluster=west/prod/prod-west",
        "--set",
        &pod,
        "--log-file",
        &file,
    ];
    let ran = bed.tool_with(&[("TIDEPILOT_LOG", "debug")], &arguments).await.expect(0);
    let text = std::fs::read_to_string(&log).expect("a log");
    for wanted in ["lease taken", "run record", "kind=\"intent\"", "method=POST", "status=200", "leases given back"] {
        assert!(text.contains(wanted), "{wanted:?} is missing in:\n{text}");
    }
    for secret in ["Bearer", "BEGIN", "token="] {
        assert!(!text.contains(secret), "{secret:?} is in the log");
    }
    assert!(!text.contains('\u{1b}'), "no escape sequence");
    assert_eq!(std::fs::metadata(&log).expect("a log").permissions().mode() & 0o777, 0o600);
    assert!(!ran.all().contains("method=POST"), "the screen stays free of it: {}", ran.all());
    // Without a level only what matters; and the file is continued.
    let before = text.len();
    bed.tool(&["status", "--log-file", &file]).await;
    let text = std::fs::read_to_string(&log).expect("a log");
    assert!(text.len() > before && !text[before..].contains("method="), "{}", &text[before..]);
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_written_is_refused_before_anything_is_asked() {
    let bed = Bed::of("default", &[]).await;
    let file = bed.room.path("no/such/folder/log");
    let ran = bed.tool(&["status", "--log-file", file.to_str().expect("a plain path")]).await;
    assert!(ran.code == 64 && ran.stderr.contains("cannot be written"), "{}", ran.all());
    let log = bed.room.path("log");
    let ran =
        bed.tool_with(&[("TIDEPILOT_LOG", "loud")], &["status", "--log-file", log.to_str().expect("a path")]).await;
    assert!(ran.code == 64 && ran.stderr.contains("found \"loud\""), "{}", ran.all());
    bed.end().await;
}
