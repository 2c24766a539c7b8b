//! A signal that comes while the program is busy with something else: it is heard afterwards.
//!
//! "Busy" is made certain by an output that nobody reads: the program stands in its own print.

use std::io::{PipeReader, PipeWriter, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{Demo, LONG, eventually};

/// What a pipe of Linux holds.
const PIPE: usize = 64 * 1024;

/// Starts it with this end of a pipe as its output.
fn into(pipe: &PipeWriter, mut command: Command) -> Child {
    let ours = pipe.try_clone().expect("a handle");
    command.stdout(Stdio::from(ours)).stderr(Stdio::null()).spawn().expect("the binary starts")
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status().expect("kill is there");
    assert!(sent.success());
}

/// Reads whatever comes, so that the program can go on; gives its exit code.
fn drained(mut child: Child, mut from: PipeReader) -> i32 {
    std::thread::spawn(move || std::io::copy(&mut from, &mut std::io::sink()));
    let began = Instant::now();
    while began.elapsed() < LONG {
        if let Some(status) = child.try_wait().expect("our own child") {
            return status.code().unwrap_or(-1);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    let _ = child.wait();
    panic!("the signal was not heard");
}

#[test]
fn a_run_that_is_printing_a_record_hears_that_it_is_to_stop() {
    let demo = Demo::start("default", 20);
    let (read, mut write) = std::io::pipe().expect("a pipe");
    write.write_all(&[b' '; PIPE]).expect("it takes this much");
    let migrate = ["run", "migrate-cluster-domain", "--set", "tidbCluster=legacy/pingcap/basic"];
    let answers = ["--set", "clusterDomain=cluster1.com", "--yes", "--confirm", "basic", "-o", "json"];
    let child = into(&write, demo.command(&[migrate.as_slice(), &answers].concat()));
    drop(write);
    // Its first record is in the journal before it is printed.
    eventually("a journal", LONG, || demo.room.journals().pop());
    std::thread::sleep(Duration::from_millis(300));
    signal(&child, "-TERM");
    // It must have come by the time the program goes on.
    std::thread::sleep(Duration::from_millis(200));
    // At its gate, where nothing is under way, or behind it: both stop, and the run stays open. Unheard, it would end with 0.
    let code = drained(child, read);
    assert!([3, 5].contains(&code), "ended with {code}");
}

#[test]
fn a_watch_that_is_printing_hears_ctrl_c() {
    let demo = Demo::start("default", 20);
    let (mut read, mut write) = std::io::pipe().expect("a pipe");
    let child = into(&write, demo.command(&["status", "--watch"]));
    read.read_exact(&mut [0]).expect("it prints");
    std::thread::sleep(Duration::from_millis(500));
    assert!(read.read(&mut vec![0; PIPE]).expect("the rest of the first look") > 0);
    write.write_all(&[b' '; PIPE]).expect("it takes this much");
    drop(write);
    // The next look is five seconds later, and finds the pipe full.
    std::thread::sleep(Duration::from_secs(6));
    signal(&child, "-INT");
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(drained(child, read), 0, "the code of what was seen");
}
