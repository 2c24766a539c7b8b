//! What goes into the core and what comes out of it: [`Message`] and [`Effect`].
//!
//! The console's `update` turns messages into effects; [`super::driver`] carries effects out and answers with
//! messages. Both are plain data, so a session can be replayed. Not here: keys' meanings (`keymap`).

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::approval_request::ToApprove;
use super::connection_stats::WeatherNews;
use super::exit_codes::Exit;
use super::whole_run::WholeRun;
use crate::fleet::Change;
use crate::fleet::ObjectRef;
use crate::fleet::logs_and_events::{Ask, News};
use crate::fleet::port_forward::ForwardNews;
use crate::fleet::tidbcluster::TidbCluster;
use crate::fleet::workload::Pod;
use crate::runbook::plan::overrule::Accepted;
use crate::runbook::plan::{Gate, Plan};
use crate::runbook::run::open_run_status::Standing;
use crate::runbook::run::pause_choices::Resolution;
use crate::runbook::run::record::Record;
use crate::runbook::run::recovery_commands::WayOn;

/// Everything that can happen to the core.
#[derive(Clone, Debug)]
pub enum Message {
    Key(crossterm::event::KeyEvent),
    /// What the mouse was pointed at.
    Pointed(Pointed),
    Resize,
    /// A second has passed: ages are redrawn.
    Tick,
    Fleet(Change),
    /// Runbooks that can be run, sent once at start.
    Runbooks(Vec<RunbookInfo>),
    /// Files of the runbook folder that cannot be used, by the runbook that each stands for: why.
    BrokenRunbooks(BTreeMap<String, String>),
    /// This machine's runs, and the open ones of others.
    Runs(Vec<Standing>),
    /// A look for runs is over, that began then.
    RunsLooked {
        began: Timestamp,
    },
    /// The whole journal of a run that was asked for.
    WholeRun {
        run: String,
        read: Result<Box<WholeRun>, String>,
    },
    Run(RunMessage),
    /// What the values of a form would lead to; `id` as in the effect that asked for it.
    Foreseen {
        id: u64,
        plan: Result<Box<Plan>, String>,
    },
    Approval(ApprovalNews),
    /// Of what is looked at closely; `id` as in the effect that asked for it.
    Closeup {
        id: u64,
        news: News,
    },
    /// Of a port on this machine; `id` as in the effect that opened it.
    Forward {
        id: u64,
        news: ForwardNews,
    },
    /// How connections fare, of those that were asked something.
    Weather(Vec<WeatherNews>),
    /// A shell has ended, or none was opened; one sentence.
    Shell(super::status_level::Level, String),
    /// What became of something that was asked for; one sentence.
    Said(super::status_level::Level, String),
    /// A background task died; one sentence.
    Fault(String),
}

/// What was pointed at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pointed {
    /// A row by its key, and the column of the overview.
    Row { key: String, column: Option<usize> },
    /// The heading of a column.
    Heading(usize),
    /// A step of the plan; 0 are its checks.
    Step(usize),
    /// A key of the footer.
    Key(&'static str),
    /// A cluster of the header.
    Cluster(usize),
    /// Lines up (less than 0) or down.
    Wheel(isize),
}

/// News of an approval that this person is asked for.
#[derive(Clone, Debug)]
pub enum ApprovalNews {
    /// What the run waits with, or why there is nothing to approve.
    Asked { run: String, asked: Result<Box<ToApprove>, String> },
    /// What became of the approval; one sentence either way.
    Given { run: String, said: Result<String, String> },
}

impl ApprovalNews {
    pub fn run(&self) -> &String {
        let (ApprovalNews::Asked { run, .. } | ApprovalNews::Given { run, .. }) = self;
        run
    }
}

/// News of the run that this process drives.
#[derive(Clone, Debug)]
pub enum RunMessage {
    /// The plan was made. A plan with refused checks is still shown; it cannot be started.
    Planned(Box<Plan>),
    /// No plan could be made; one sentence.
    NoPlan(String),
    /// A record was appended to the journal.
    Record(Box<Record>),
    /// The run waits for a person.
    Gate(Gate),
    /// The run waits for the world: one sentence, replaced by the next.
    Waiting(String),
    Ended(RunEnd),
}

/// How the driver came back from a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunEnd {
    pub run: String,
    /// `Exit` code; the table is in docs/cli.md.
    pub code: Exit,
    pub sentence: String,
    /// It stopped because a person asked for it, which is no failure.
    pub asked: bool,
    /// What belongs to the sentence, a line each: what was before, what this run sets, what is there now.
    pub more: Vec<String>,
    /// What really helps.
    pub ways: Vec<WayOn>,
}

/// What the driver is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    Quit,
    /// OSC 52.
    Copy(String),
    /// The face puts the view in front into words and hands them on as [`Effect::Write`].
    Save,
    /// Writes a new file of the working folder that only this user may read.
    Write {
        name: String,
        text: String,
    },
    Plan {
        runbook: String,
        inputs: BTreeMap<String, String>,
        /// Checks that the person overrules.
        accepted: Accepted,
    },
    /// Makes a plan from reads alone, to show what would follow; the newest takes the place of any before.
    Foresee {
        id: u64,
        runbook: String,
        inputs: BTreeMap<String, String>,
    },
    Start(Box<Plan>),
    /// Goes on with a run; as before (retry) or as was chosen.
    Resume {
        run: String,
        wish: Option<Resolution>,
    },
    /// Answers the open gate; `None` text for a plain one.
    Answer {
        gate: String,
        text: Option<String>,
    },
    /// Reads what a run in the clusters waits for a second person with.
    AskApproval {
        run: String,
    },
    /// Leaves the approval of what was shown last; `question` tells which that was.
    Approve {
        run: String,
        question: String,
    },
    /// Answers the open gate with no, before anything was sent: the run is closed.
    Decline {
        gate: String,
    },
    /// Stops the run after the effect under way has been verified.
    PauseRun,
    /// Lists the journals again.
    ListRuns,
    /// Reads the whole journal of a run, here or in its cluster.
    ReadRun {
        run: String,
    },
    /// Asks every cluster again now.
    Refresh,
    /// Reads what findings need and no watch brings.
    LookCloser,
    /// Asks one PD pod how many regions lack something.
    CountRegions {
        context: String,
        pod: Box<Pod>,
        tidb_cluster: Option<Box<TidbCluster>>,
    },
    /// Asks for this and for nothing else any more.
    Closeup {
        id: u64,
        ask: Option<Ask>,
    },
    /// Opens a port on this machine that leads to a port of the pod; `here`: this one, else any free one.
    Forward {
        id: u64,
        of: ObjectRef,
        port: u16,
        here: Option<u16>,
    },
    /// Opens a shell in a container and gives it the terminal.
    Shell {
        of: ObjectRef,
        container: String,
    },
    /// Closes a port on this machine.
    EndForward {
        id: u64,
    },
    /// The session is read-only from now on; this cannot be taken back.
    Seal,
}

/// A runbook as the list and the input form show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunbookInfo {
    pub id: String,
    pub title: String,
    pub experimental: bool,
    pub summary: String,
    pub inputs: Vec<InputInfo>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputInfo {
    pub name: String,
    pub prompt: String,
    pub kind: InputKind,
    pub required: bool,
    /// Taken when the field is left empty.
    pub default: Option<String>,
    /// Of a DNS domain: filled in with the one that the cluster serves, where connected clusters serve different ones.
    pub propose: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputKind {
    /// `CONTEXT/NAMESPACE/NAME`: suggested from the fleet.
    TidbCluster,
    /// The same, of one that is not there yet: the contexts are suggested.
    NewTidbCluster,
    KubeContext,
    /// Suggested from what runs in the fleet.
    Version,
    Integer,
    Choice(Vec<String>),
    /// A DNS domain: suggested from what the chosen TidbCluster's cluster serves.
    DnsDomain,
    Text,
}
