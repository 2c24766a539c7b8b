//! What stands at the end of each command's help: exit codes and examples. Texts only; the reference page (`docs`) and
//! the manual pages are made of the same.

use crate::app::exit_codes::Exit;
use crate::report::legend::{self, Face};

/// Exit codes of everything that drives a run.
fn run_codes() -> String {
    let lines = Exit::OF_RUNS.iter().map(|exit| format!("  {}  {}\n", exit.code(), exit.meaning()));
    format!("Exit codes:\n{}  64 wrong usage", lines.collect::<String>())
}

/// Exit codes of a run with examples.
pub fn run(examples: &str) -> String {
    format!("{}\n\n{examples}", run_codes())
}

/// The help's end of a command that prints words in capitals.
pub fn with_words(face: Face, rest: &str) -> String {
    format!("{}\n\n{rest}", legend::words(face))
}

pub const TOP: &str = "Exit codes are in the help of each command; 64: the command line cannot be read.\nFiles: $XDG_CONFIG_HOME/tidepilot/config.yaml, …/tidepilot/runbooks/*.yaml; journals in $XDG_STATE_HOME/tidepilot/runs.\n\nExamples:\n  tidepilot                  the console over every context of the kubeconfig; ? lists its keys\n  tidepilot --read-only      the same, with every write refused\n  tidepilot demo             the console on a simulated fleet";

#[cfg(feature = "demo")]
pub const DEMO: &str = "Exit codes: 0 ended, 1 the fleet did not start, 64 wrong usage\n\nExamples:\n  tidepilot demo\n  tidepilot demo --scenario quorum-at-risk\n  tidepilot demo --serve --kubeconfig-out fleet.yaml --speed 20";

pub const STATUS: &str = "Exit codes: 0 all well, 2 something is wrong, 3 something could not be seen, 64 wrong usage\n\nExamples:\n  tidepilot status --watch\n  tidepilot status -o json --context prod-east\n  tidepilot status --watch -o json      one line for each change";

pub const CHECK: &str = "Exit codes: 0 nothing found, 2 something was found, 3 something could not be seen, 64 wrong usage\n\nExamples:\n  tidepilot check --severity high\n  tidepilot check --file tidbcluster.yaml\n  tidepilot check network-prerequisites\n  tidepilot check -o sarif > tidepilot.sarif\n  tidepilot check --watch --on-change 'mail -s tidepilot oncall@example.com'";

pub const CHECK_NETWORK: &str = "BROKEN was seen to be wrong. What no API server shows is UNKNOWN until `run verify-network` has tried it from inside.\n\nExit codes: 0 all of it holds, 2 something is broken, 3 something is not known, 64 wrong usage\n\nExamples:\n  tidepilot check network-prerequisites prod-east\n  tidepilot check network-prerequisites basic --with east/other\n  tidepilot check network-prerequisites --with east/prod --with west/prod      before there is a Database";

pub const DIAGNOSE: &str = "Exit codes: 0 nothing, 2 something, 3 something could not be seen, 64 wrong usage\n\nExample:\n  tidepilot diagnose";

pub const PLAN: &str = "Exit codes: 0 nothing to do, 2 changes to make, 4 refused, 64 wrong usage\n\nExample:\n  tidepilot plan migrate-cluster-domain --set tidbCluster=legacy/pingcap/basic --set clusterDomain=cluster1.com";

pub const RUN: &str = "Progress and questions go to stderr, the result to stdout; with -o json stdout has the records, one a line.\n\nExamples:\n  tidepilot run migrate-cluster-domain --set tidbCluster=legacy/pingcap/basic --set clusterDomain=cluster1.com\n  tidepilot run --plan plan.json --yes\n  tidepilot run --plan plan.json --notify 'mail -s tidepilot oncall@example.com'\n  tidepilot run --plan plan.json --in east/ops      a Kubernetes Job drives it: it goes on when this machine does not";

pub const JOB: &str = "Its arguments are written by `tidepilot run --in`.\n\nExit codes: those of `tidepilot run`\n\nExample:\n  tidepilot run --plan plan.json --in east/ops --dry-run      prints the Job";

pub const RUNS: &str =
    "Examples:\n  tidepilot runs list\n  tidepilot runs resume RUN\n  tidepilot runs report RUN > ticket.md";

pub const RUNS_LIST: &str = "Exit codes: 0 listed, 64 wrong usage\n\nExample:\n  tidepilot runs list -o json";

pub const RUNS_SHOW: &str = "Exit codes: 0 shown, 4 there is none, or it cannot be read, 64 wrong usage\n\nExamples:\n  tidepilot runs show RUN\n  tidepilot runs show RUN --follow";

pub const RUNS_RESUME: &str = "Examples:\n  tidepilot runs resume RUN\n  tidepilot runs resume RUN --in east/ops\n  tidepilot runs resume RUN --by-hand 'update[basic-pd-1]'\n  tidepilot runs resume RUN --skip STEP --reason 'done last week, ticket 4711'";

pub const RUNS_UNDO: &str = "Example:\n  tidepilot runs undo RUN --yes";

pub const RUNS_ABANDON: &str = "Example:\n  tidepilot runs abandon RUN --reason 'the window is over'";

pub const RUNS_APPROVE: &str = "Exit codes: 0 approved, 3 not approved: the answer is missing, 4 refused, 64 wrong usage\n\nExample:\n  tidepilot runs approve RUN --confirm legacy/pingcap/basic";

pub const RUNS_TAKE_OVER: &str = "Example:\n  tidepilot runs take-over RUN";

pub const RUNS_VERIFY: &str = "Exit codes: 0 whole, 2 not whole, 4 unreadable, 64 wrong usage\n\nExample:\n  tidepilot runs verify RUN --head HASH";

pub const RUNS_REPORT: &str =
    "Exit codes: 0 printed, 4 unreadable, 64 wrong usage\n\nExample:\n  tidepilot runs report RUN > ticket.md";

pub const RUNS_REMAINING: &str =
    "Exit codes: 0 printed, 4 unreadable, 64 wrong usage\n\nExample:\n  tidepilot runs remaining RUN > rest.sh";

pub const RBAC: &str = "Exit codes: 0 printed, 4 refused, 64 wrong usage\n\nExample:\n  tidepilot rbac restart-component --set tidbCluster=legacy/pingcap/basic --set component=pd\n  tidepilot rbac upgrade-cluster --set tidbCluster=east/prod/one --set version=v8.5.7 --service-account ops/tidepilot --for east\n  tidepilot rbac upgrade-cluster --set tidbCluster=east/prod/one --set version=v8.5.7 --service-account ops/tidepilot --kubeconfig-out access.yaml\n  tidepilot rbac read-only --service-account tidepilot/wall --for east\n  tidepilot rbac read-only --service-account tidepilot/wall --kubeconfig-out wall.yaml";

pub const RENDER: &str = "Exit codes: 0 printed, 3 something is missing, 64 wrong usage\n\nExample:\n  tidepilot render coredns prod-east --dns east=10.1.0.10 --dns west=10.2.0.10";

pub const RENDER_COREDNS: &str = "What is missing is a comment in the text; the rest can be used as it is. `run verify-network` proves it afterwards.\n\nExit codes: 0 printed, 3 a domain or an address is not known, 64 wrong usage\n\nExamples:\n  tidepilot render coredns prod-east --dns east=10.1.0.10 --dns west=10.2.0.10\n  tidepilot render coredns basic --with east/other --dns legacy=10.3.0.10 --dns east=10.1.0.10";

pub const RUNBOOK: &str = "Exit codes: 0 done, 4 there is none, or it cannot be used, 64 wrong usage\n\nExamples:\n  tidepilot runbook list\n  tidepilot runbook show migrate-cluster-domain";

pub const RUNBOOK_LIST: &str = "Exit codes: 0 listed, 64 wrong usage\n\nExample:\n  tidepilot runbook list --lang zh";

pub const RUNBOOK_SHOW: &str = "Exit codes: 0 shown, 4 there is none, 64 wrong usage\n\nExample:\n  tidepilot runbook show restart-component > mine.yaml";

pub const RUNBOOK_LINT: &str =
    "Exit codes: 0 it can be used, 4 it cannot, 64 wrong usage\n\nExample:\n  tidepilot runbook lint mine.yaml";

pub const RUNBOOK_SCHEMA: &str =
    "Exit codes: 0 printed, 64 wrong usage\n\nExample:\n  tidepilot runbook schema > runbook.schema.json";

pub const RUNBOOK_NEW: &str =
    "Exit codes: 0 printed, 64 wrong usage\n\nExample:\n  tidepilot runbook new my-restart > my-restart.yaml";

pub const RUNBOOK_DOCS: &str = "Exit codes: 0 printed, 4 there is none, 64 wrong usage\n\nExample:\n  tidepilot runbook docs migrate-cluster-domain";

pub const VERSION: &str = "Exit codes: 0 printed, 64 wrong usage\n\nExample:\n  tidepilot version -o json";

pub const COMPLETION: &str = "Exit codes: 0 printed, 64 wrong usage\n\nExamples:\n  source <(tidepilot completion bash)\n  tidepilot completion zsh > ~/.zfunc/_tidepilot\n  tidepilot completion fish > ~/.config/fish/completions/tidepilot.fish";

pub const MAN: &str =
    "Exit codes: 0 written, 1 not written, 64 wrong usage\n\nExample:\n  tidepilot man ~/.local/share/man/man1";

pub const DOCS: &str = "Exit codes: 0 written, 1 not written, 64 wrong usage\n\nExample:\n  tidepilot docs docs";

pub const MONITOR: &str = "Exit codes: 0 ended by a signal (or printed, with --once), 1 the address is taken, 64 wrong usage\n\nExamples:\n  tidepilot monitor\n  tidepilot monitor --listen 0.0.0.0:9487 --token-file token\n  tidepilot monitor --notify alertmanager+http://alertmanager.monitoring:9093\n  tidepilot monitor --once > /var/lib/node_exporter/tidepilot.prom";

pub const SCHEMA: &str =
    "Exit codes: 0 printed, 64 wrong usage\n\nExample:\n  tidepilot schema status > status.schema.json";
