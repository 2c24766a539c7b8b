//! Two copies of a run, the journal on this machine and the record in the cluster, in every pair of states: what each command
//! says, and that the lines which are printed lead out. At the end of each row a new run on that TidbCluster is possible.

use std::cell::RefCell;

use super::leases::{place, take, wanted};
use super::*;

const NEW: [&str; 7] = [
    "run",
    "restart-component",
    "--set",
    "tidbCluster=legacy/pingcap/basic",
    "--set",
    "component=tidb",
    "--context=legacy",
];

/// How the journal on this machine stands: lines of one whole run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Here {
    None,
    /// At its gate, nothing sent.
    Waiting,
    /// Its Intent is written.
    Open,
    /// Some records more than the cluster has.
    Newer,
    Done,
    Abandoned,
    Damaged,
}

/// How its record in the cluster stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum There {
    None,
    /// Open, last written by this user; nobody has the lease.
    Mine,
    /// Bob went on with it, and renews its lease.
    Driven,
    /// Bob went on with it, and is gone.
    Left,
    Closed,
    Damaged,
    /// An object with the labels of its record that holds another journal.
    Planted,
}

/// A row is walked in two halves, so that no test takes long.
const OPEN_THERE: [There; 4] = [There::None, There::Mine, There::Driven, There::Left];
const ENDED_THERE: [There; 3] = [There::Closed, There::Damaged, There::Planted];

struct Bed {
    world: World,
    run: String,
    /// Whole lines of a run that was done.
    lines: Vec<String>,
    /// The end of one that was given up, after `Waiting`.
    abandoned: String,
    record: Value,
    trail: RefCell<Vec<String>>,
}

impl Bed {
    fn start() -> Self {
        let world = World::at("default", 500.0);
        fs::create_dir_all(world.dir.path().join("bin")).expect("a folder");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tidepilot"), world.dir.path().join("bin/tidepilot"))
            .expect("linked");
        let bed = |world, run, lines, abandoned, record| Bed {
            world,
            run,
            lines,
            abandoned,
            record,
            trail: RefCell::default(),
        };
        let first = bed(world, String::new(), Vec::new(), String::new(), Value::Null);
        // One that stops at its gate and is given up from there, then taken back to the gate and done: one chain of lines up
        // to the gate, two ends.
        assert_eq!(first.said(&NEW).0, 3);
        let state = first.world.state("ann").join("runs");
        let run = until_journal_has(&first.world.state("ann"), "leased");
        let file = state.join(format!("{run}.jsonl"));
        let waiting = fs::read_to_string(&file).expect("there");
        let record = first.heads().pop().expect("a record");
        first.ok(&format!("tidepilot runs abandon {run} --reason no"), 0);
        let abandoned = fs::read_to_string(&file).expect("there");
        fs::write(&file, &waiting).expect("written");
        first.put(&record, &waiting, true, "admin");
        first.ok(&format!("tidepilot runs resume {run} --yes --confirm basic"), 0);
        let done = fs::read_to_string(&file).expect("there");
        assert!(done.starts_with(&waiting) && abandoned.starts_with(&waiting));
        let lines = done.split_inclusive('\n').map(ToOwned::to_owned).collect();
        bed(first.world, run, lines, abandoned, record)
    }

    fn heads(&self) -> Vec<Value> {
        let store = self.world.sim().store("legacy").expect("there");
        let all = store.list("configmaps", Some("pingcap"));
        all.into_iter().filter(|map| map["metadata"]["labels"]["tidepilot/state"].is_string()).collect()
    }

    fn put(&self, record: &Value, lines: &str, open: bool, user: &str) {
        let mut record = record.clone();
        record["data"]["journal.jsonl"] = json!(lines);
        record["metadata"]["labels"]["tidepilot/state"] = json!(if open { "open" } else { "closed" });
        record["metadata"]["annotations"]["tidepilot/user"] = json!(user);
        self.remove_all();
        let metadata = record["metadata"].as_object_mut().expect("an object");
        metadata.remove("resourceVersion");
        metadata.remove("uid");
        self.world.sim().store("legacy").expect("there").put("configmaps", record);
    }

    fn remove_all(&self) {
        let store = self.world.sim().store("legacy").expect("there");
        for map in self.heads() {
            store.remove("configmaps", "pingcap", map["metadata"]["name"].as_str().expect("named"));
        }
    }

    /// Lines up to and with the first of this kind.
    fn until(&self, record: &str) -> String {
        let word = format!("\"record\":\"{record}\"");
        let at = self.lines.iter().position(|line| line.contains(&word)).unwrap_or_else(|| panic!("no {record}"));
        self.lines[..=at].concat()
    }

    fn here(&self, here: Here) -> Option<String> {
        match here {
            Here::None => None,
            Here::Waiting => Some(self.until("leased")),
            Here::Open => Some(self.until("intent")),
            Here::Newer => Some(self.until("completed")),
            Here::Done => Some(self.lines.concat()),
            Here::Abandoned => Some(self.abandoned.clone()),
            Here::Damaged => Some(self.until("intent").replacen("\"tool\":\"", "\"tool\":\"x", 1)),
        }
    }

    /// Both copies as the row has them. Bob's lines go further than the Intent of this machine.
    fn set(&self, here: Here, there: There) {
        let folder = self.world.state("ann").join("runs");
        let _ = fs::remove_dir_all(&folder);
        if let Some(text) = self.here(here) {
            use std::os::unix::fs::DirBuilderExt as _;
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).expect("a folder");
            fs::write(folder.join(format!("{}.jsonl", self.run)), text).expect("written");
        }
        self.remove_all();
        self.world.sim().store("legacy").expect("there").remove("leases", "pingcap", &format!("tidepilot-{BASIC}"));
        match there {
            There::None => {}
            There::Mine => self.put(&self.record, &self.until("intent"), true, "admin"),
            There::Driven | There::Left => self.put(&self.record, &self.until("returned"), true, "bob"),
            There::Closed => self.put(&self.record, &self.lines.concat(), false, "bob"),
            There::Damaged => {
                let text = self.until("intent").replacen("\"tool\":\"", "\"tool\":\"y", 1);
                self.put(&self.record, &text, true, "admin");
            }
            There::Planted => {
                let mut planted = self.record.clone();
                planted["metadata"]["name"] = json!("settings");
                self.put(&planted, "not a journal\n", true, "eve");
            }
        }
    }

    /// A line of the shell, as it was printed, by Ann.
    fn shell(&self, line: &str) -> (i32, String) {
        let path = format!("{}:{}", self.world.dir.path().join("bin").display(), std::env::var("PATH").expect("set"));
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", line])
            .env("PATH", path)
            .env("KUBECONFIG", self.world.dir.path().join("kubeconfig"))
            .env("TIDEPILOT_STATE", self.world.state("ann"))
            .env("HOME", self.world.dir.path())
            .env("XDG_CONFIG_HOME", self.world.dir.path())
            .env("TIDEPILOT_LEASE_S", "4")
            .env_remove("TIDEPILOT_READ_ONLY")
            .stdin(Stdio::null());
        let output = shell.output().expect("a shell");
        let said = text(&output);
        self.trail.borrow_mut().push(format!("$ {line}\n{said}"));
        (output.status.code().unwrap_or(-1), said)
    }

    fn said(&self, arguments: &[&str]) -> (i32, String) {
        self.shell(&format!("tidepilot {}", arguments.join(" ")))
    }

    fn ok(&self, line: &str, expected: i32) -> String {
        let (code, said) = self.shell(line);
        assert_eq!(code, expected, "{line}\n{said}");
        said
    }

    /// What a person does with a refusal: the first line that it prints, until a new run comes to its gate.
    fn follow(&self, mut code: i32, mut said: String) {
        for _ in 0..6 {
            // A new run that came to its own gate; one of these rows may wait at one too.
            let own = said.split(" runs resume ").nth(1).and_then(|rest| rest.split([' ', '`']).next());
            if code == 3 && own.is_some_and(|own| own != self.run) {
                self.ok(&format!("tidepilot runs abandon {} --reason no", own.unwrap_or_default()), 0);
                return;
            }
            let Some(line) = printed(&said) else {
                panic!("{}\nno line leads on", self.trail.borrow().join("\n"));
            };
            let (end, told) = self.shell(&answered(&line));
            // What it printed is done, or says itself what is to be done first.
            (code, said) = match end {
                0 | 8 => self.said(&NEW),
                _ => (end, told),
            };
        }
        panic!("{}\na circle", self.trail.borrow().join("\n"));
    }
}

/// The first command line between backticks.
fn printed(said: &str) -> Option<String> {
    let mut pieces = said.split('`').skip(1).step_by(2);
    let line = pieces
        .find(|piece| (piece.starts_with("tidepilot ") && piece.contains(" runs ")) || piece.starts_with("kubectl "));
    line.map(|line| line.replace('\n', " "))
}

/// With what a person would answer.
fn answered(line: &str) -> String {
    let line = line.replace("--reason TEXT", "--reason no");
    let asks = line.contains(" resume ") || line.contains(" take-over ");
    match asks {
        true => format!("{line} --yes --confirm basic"),
        false => line,
    }
}

/// What `runs list` proposes first for the run: the verb, or nothing.
fn proposed(bed: &Bed) -> String {
    let list: Value =
        serde_json::from_str(bed.ok("tidepilot runs list -o json --context legacy 2>/dev/null", 0).trim())
            .expect("JSON");
    let run = list["runs"].as_array().into_iter().flatten().find(|run| run["run"] == bed.run.as_str());
    let Some(run) = run else { return "-".to_owned() };
    let next = run["next"].as_array().and_then(|all| all.first()).and_then(Value::as_str).unwrap_or_default();
    let word = |at: usize| next.split(' ').nth(at).unwrap_or_default().to_owned();
    match next {
        "" if run["open"] == true => "driven".to_owned(),
        "" => "over".to_owned(),
        line if line.starts_with("kubectl ") => "kubectl".to_owned(),
        _ => word(2),
    }
}

/// The row: first proposal of the list; exit codes of diagnose, of a new run, of resume, take-over, abandon.
fn expected(here: Here, there: There) -> (&'static str, [i32; 5]) {
    use Here as H;
    use There as T;
    match (here, there) {
        (H::None, T::None) => ("-", [0, 3, 4, 4, 4]),
        (H::None, T::Closed) => ("-", [0, 3, 4, 0, 4]),
        (H::None, T::Mine | T::Driven | T::Left) => ("take-over", [2, 6, 4, 0, 4]),
        // Under another name it is not in the way of the run itself, only of every new one.
        (H::Waiting | H::Open | H::Newer, T::Planted) => ("kubectl", [2, 6, 0, 4, 0]),
        // Over on this machine: that is what is said here, and the object stays for the line that `runs list` has.
        (H::Done | H::Abandoned, T::Damaged | T::Planted) => ("kubectl", [2, 6, 0, 4, 4]),
        (_, T::Damaged | T::Planted) => ("kubectl", [2, 6, 4, 4, 4]),
        (H::Waiting | H::Open | H::Newer, T::None) => ("resume", [2, 6, 0, 4, 0]),
        (H::Waiting, T::Mine) => ("take-over", [2, 6, 6, 0, 0]),
        (H::Open | H::Newer, T::Mine) => ("resume", [2, 6, 0, 0, 0]),
        (H::Waiting | H::Open, T::Driven | T::Left) => ("take-over", [2, 6, 6, 0, 0]),
        (H::Newer, T::Driven | T::Left) => ("resume", [2, 6, 0, 0, 0]),
        (H::Waiting | H::Open | H::Newer, T::Closed) => ("over", [0, 3, 0, 0, 4]),
        // Nothing to take over: no cluster has a record of it.
        (H::Done | H::Abandoned, T::None) => ("over", [0, 3, 0, 4, 4]),
        (H::Done | H::Abandoned, T::Closed) => ("over", [0, 3, 0, 0, 4]),
        (H::Done, T::Mine | T::Driven | T::Left) => ("resume", [2, 6, 0, 0, 4]),
        // Given up again, which closes the record that was left open.
        (H::Abandoned, T::Mine | T::Driven | T::Left) => ("take-over", [2, 6, 0, 0, 0]),
        (H::Damaged, T::None) => ("over", [0, 3, 4, 4, 4]),
        (H::Damaged, T::Closed) => ("over", [0, 3, 0, 0, 4]),
        (H::Damaged, T::Mine | T::Driven | T::Left) => ("take-over", [2, 6, 4, 0, 4]),
    }
}

/// Half a row of the table: this state here, beside each of these in the cluster.
fn each_record_beside(here: Here, all: &[There]) {
    let bed = Bed::start();
    let mut wrong = Vec::new();
    for there in all.iter().copied() {
        bed.trail.borrow_mut().clear();
        bed.set(here, there);
        // Somebody drives it, and lets go when the first round of questions is over.
        let holder = (there == There::Driven).then(|| {
            let links = bed.world.links();
            let wanted = Wanted {
                who: Identity { user: "bob".into(), host: "vm".into() },
                ..wanted(&bed.run, vec![place("legacy", "pingcap", "u")], 4)
            };
            bed.world.runtime.block_on(take(&links, &wanted)).expect("free").1
        });
        let next = proposed(&bed);
        let (diagnosed, told) = bed.shell("tidepilot diagnose --context legacy");
        let (code, said) = bed.said(&NEW);
        let mut after = (code, said.clone());
        if let Some(holder) = holder {
            assert!(code == 6 && said.contains("bob"), "{here:?} {there:?}: {code} {said}");
            bed.world.runtime.block_on(holder.release());
            after = bed.said(&NEW);
        }
        // What keeps a run out is told by whoever looks, with the same line.
        if code == 6 {
            assert!(told.contains(&bed.run), "{here:?} {there:?}: {told}");
        }
        if matches!(there, There::Damaged | There::Planted) {
            let object = if there == There::Planted { "settings" } else { "tidepilot-run-" };
            for words in [object, "legacy/pingcap", "kubectl --context legacy -n pingcap delete configmap"] {
                assert!(told.contains(words) && said.contains(words), "{here:?} {there:?} {words}:\n{told}\n{said}");
            }
        }
        bed.follow(after.0, after.1);
        let mut codes = vec![diagnosed, code];
        for line in ["resume {} --yes --confirm basic", "take-over {} --yes --confirm basic", "abandon {} --reason no"]
        {
            bed.set(here, there);
            let line = line.replace("{}", &bed.run);
            let (code, said) = bed.shell(&format!("tidepilot runs {line} --context legacy"));
            codes.push(code);
            if matches!(there, There::Damaged | There::Planted) && code != 0 {
                let removes = said.contains("kubectl --context legacy -n pingcap delete configmap");
                // What is over on this machine is said to be over.
                let over = line.starts_with("abandon") && matches!(here, Here::Done | Here::Abandoned);
                assert!(removes || over, "{here:?} {there:?} {line}: {said}");
            }
        }
        let found = (next.as_str(), codes.clone());
        let (wanted_next, wanted) = expected(here, there);
        if found != (wanted_next, wanted.to_vec()) {
            wrong.push(format!("({here:?}, {there:?}): {found:?}, expected {:?}", (wanted_next, wanted)));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn no_journal_here_and_each_open_record_there() {
    each_record_beside(Here::None, &OPEN_THERE);
}

#[test]
fn no_journal_here_and_each_ended_or_bad_record_there() {
    each_record_beside(Here::None, &ENDED_THERE);
}

#[test]
fn a_journal_at_its_gate_and_each_open_record_there() {
    each_record_beside(Here::Waiting, &OPEN_THERE);
}

#[test]
fn a_journal_at_its_gate_and_each_ended_or_bad_record_there() {
    each_record_beside(Here::Waiting, &ENDED_THERE);
}

#[test]
fn an_open_journal_and_each_open_record_there() {
    each_record_beside(Here::Open, &OPEN_THERE);
}

#[test]
fn an_open_journal_and_each_ended_or_bad_record_there() {
    each_record_beside(Here::Open, &ENDED_THERE);
}

#[test]
fn a_newer_journal_and_each_open_record_there() {
    each_record_beside(Here::Newer, &OPEN_THERE);
}

#[test]
fn a_newer_journal_and_each_ended_or_bad_record_there() {
    each_record_beside(Here::Newer, &ENDED_THERE);
}

#[test]
fn a_journal_of_what_was_done_and_each_open_record_there() {
    each_record_beside(Here::Done, &OPEN_THERE);
}

#[test]
fn a_journal_of_what_was_done_and_each_ended_or_bad_record_there() {
    each_record_beside(Here::Done, &ENDED_THERE);
}

#[test]
fn a_journal_of_what_was_given_up_and_each_open_record_there() {
    each_record_beside(Here::Abandoned, &OPEN_THERE);
}

#[test]
fn a_journal_of_what_was_given_up_and_each_ended_or_bad_record_there() {
    each_record_beside(Here::Abandoned, &ENDED_THERE);
}

#[test]
fn a_damaged_journal_and_each_open_record_there() {
    each_record_beside(Here::Damaged, &OPEN_THERE);
}

#[test]
fn a_damaged_journal_and_each_ended_or_bad_record_there() {
    each_record_beside(Here::Damaged, &ENDED_THERE);
}
