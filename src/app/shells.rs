//! A shell in a container of the pod under the cursor: whether one may be opened, which container, and the question before.
//!
//! Read-write only. Where data or the membership lie (PD, TiKV, TiFlash) the pod's full name is typed. What was opened, and
//! how it ended, stands in the log. Not here: the terminal (`console::shell_attach`), the request (`client::wire::shell`).

use tui_input::Input;

use super::message::Effect;
use super::port_forwards::{Pick, Picked};
use super::status_level::Level;
use super::{App, Dialog};
use crate::fleet::ObjectRef;
use crate::fleet::workload::Pod;

/// Components whose pods hold data or votes.
const KEEPERS: [&str; 4] = ["pd", "tikv", "tiflash", "pump"];

impl App {
    /// Why no shell can be opened in what is under the cursor.
    pub(super) fn cannot_shell(&self) -> Option<String> {
        let Some((of, pod)) = self.pod_here() else {
            return Some("no shell here: put the cursor on a pod, a member or a store".to_owned());
        };
        if self.is_read_only(&of.context) {
            let why = "what is typed into a shell is not seen, and may change anything";
            return Some(format!("read-only: {why}; none is opened in {}", of.context));
        }
        pod.containers().is_empty().then(|| format!("no container of pod {of} is seen yet"))
    }

    /// Lets a person choose the container; where there is one only, asks at once.
    pub(super) fn choose_shell(&mut self) {
        let Some((of, pod)) = self.pod_here() else { return };
        let containers: Vec<String> = pod.containers().into_iter().map(str::to_owned).collect();
        if let [only] = containers.as_slice() {
            return self.ask_shell(of, only.clone());
        }
        let pick = |container: String| Pick {
            label: container.clone(),
            about: String::new(),
            then: Picked::Shell { of: of.clone(), container },
        };
        let items = containers.into_iter().map(pick).collect();
        self.dialog = Some(Dialog::Pick { title: format!("a shell in {}: which container?", of.name), at: 0, items });
    }

    /// The question before a shell.
    pub(super) fn ask_shell(&mut self, of: ObjectRef, container: String) {
        let pod = self.fleet.clusters.get(&of.context).and_then(|cluster| cluster.pods.get(&of.key()));
        let component = pod.and_then(|pod| pod.component()).unwrap_or_default().to_owned();
        let state = pod.map(|pod| container_words(pod, &container)).unwrap_or_default();
        let effect = Box::new(Effect::Shell { of: of.clone(), container: container.clone() });
        self.dialog = Some(if KEEPERS.contains(&component.as_str()) {
            Dialog::Typed {
                effect,
                question: format!(
                    "A shell in container {container} of pod {of}. {state}It is of {component}: what is typed there is \
                     not checked by anything, and nothing puts it back."
                ),
                text: of.to_string(),
                input: Input::default(),
                wrong: false,
            }
        } else {
            Dialog::Ask {
                title: format!("a shell in {}", of.name),
                question: format!(
                    "Container {container} of pod {of}. {state}What is typed there is not checked by anything."
                ),
                yes: "Open".into(),
                go: false,
                effect,
            }
        });
    }

    /// It leaves for the driver, and is written down.
    pub(super) fn shell_leaves(&mut self, of: &ObjectRef, container: &str) {
        self.say(Level::Working, format!("opening a shell in {of}, container {container}"));
        self.tell(Level::Working, "shell", format!("a shell was asked for: {of}, container {container}"));
    }

    /// It has ended, or was not opened.
    pub(super) fn shell_news(&mut self, level: Level, sentence: String) {
        self.tell(level, "shell", sentence.clone());
        self.flash = Some(super::Flash { level, text: sentence, until: None });
    }
}

/// What a container does now, where it does not run: nothing can be opened in it then. Empty where it runs, or tells nothing.
fn container_words(pod: &Pod, container: &str) -> String {
    let Some(one) = pod.status.container_statuses.iter().find(|one| one.name == container) else {
        return match pod.status.phase.as_str() {
            "Running" | "" => String::new(),
            phase => format!("It is not known to run: the pod is {phase}. "),
        };
    };
    let because = |reason: &str| if reason.is_empty() { String::new() } else { format!(" ({reason})") };
    let now = match (&one.state.waiting, &one.state.terminated) {
        (Some(why), _) => format!("it waits{}", because(&why.reason)),
        (None, Some(end)) => format!("it has ended with {}", end.words()),
        (None, None) => return String::new(),
    };
    let last = one.last_state.terminated.as_ref().map(|end| format!(", last end: {}", end.words()));
    format!("It does NOT RUN now: {now}{}, so that no shell opens until it does. ", last.unwrap_or_default())
}
