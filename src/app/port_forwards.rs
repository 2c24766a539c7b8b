//! Ports on this machine that lead into pods: which are open, what went through them, and how one is opened and ended.
//!
//! One is opened for the pod under the cursor, to a port that the pod tells; the system chooses the one here, or a person does. All
//! end with the console. Not here: the sockets (`client::wire::local_port_forward`), the list (`views::port_forwards`).

use jiff::Timestamp;
use tui_input::Input;

use super::message::Effect;
use super::status_level::Level;
use super::views::Item;
use super::{App, Dialog, View};
use crate::fleet::ObjectRef;
use crate::fleet::logs_and_events::Kind;
use crate::fleet::port_forward::{ForwardNews, Traffic};
use crate::fleet::workload::Pod;

/// Most ports of one session: each is a listener, and nobody looks after more.
const MOST: usize = 16;

/// How a port stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    Opening,
    /// Its address on this machine.
    Listens(String),
    /// Why it is not open.
    Over(String),
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    pub id: u64,
    pub pod: ObjectRef,
    pub port: u16,
    /// What the pod calls that port.
    pub name: String,
    pub since: Timestamp,
    pub state: State,
    pub traffic: Traffic,
}

impl Forward {
    pub fn address(&self) -> Option<&str> {
        match &self.state {
            State::Listens(address) => Some(address),
            State::Opening | State::Over(_) => None,
        }
    }

    /// The port on this machine, once it listens.
    pub fn here(&self) -> Option<u16> {
        self.address()?.rsplit(':').next()?.parse().ok()
    }

    pub fn is_open(&self) -> bool {
        !matches!(self.state, State::Over(_))
    }
}

/// Something to choose in a list, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pick {
    pub label: String,
    pub about: String,
    pub then: Picked,
}

/// What is done with the one that is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Picked {
    Forward {
        of: ObjectRef,
        port: u16,
        name: String,
    },
    /// The same, to a port on this machine that is asked for next.
    ForwardAt {
        of: ObjectRef,
        port: u16,
        name: String,
    },
    Shell {
        of: ObjectRef,
        container: String,
    },
    /// The container whose log is read; `None`: all of them.
    Container(Option<String>),
    /// The column that a list is ordered by.
    Order(Option<usize>),
}

/// The same with the number of the port here asked for.
fn at_a_port(pick: &Pick) -> Option<Pick> {
    let Picked::Forward { of, port, name } = pick.then.clone() else { return None };
    let label = format!("{port} at ...");
    Some(Pick { label, about: "a port here of your choice".into(), then: Picked::ForwardAt { of, port, name } })
}

impl App {
    /// The pod under the cursor, or of the view, as it is seen.
    pub(super) fn pod_here(&self) -> Option<(ObjectRef, &Pod)> {
        let thing = self.things().into_iter().next().filter(|thing| thing.kind == Kind::Pod)?;
        let pod = self.fleet.clusters.get(&thing.of.context)?.pods.get(&thing.of.key())?;
        Some((thing.of, pod))
    }

    /// Why no port can be opened to what is under the cursor.
    pub(super) fn cannot_forward(&self) -> Option<String> {
        let Some((of, pod)) = self.pod_here() else {
            return Some("no port to open here: put the cursor on a pod, a member or a store".to_owned());
        };
        if self.is_read_only(&of.context) {
            let why = "what is sent through a port-forward is not seen, and may change anything";
            return Some(format!("read-only: {why}; none is opened to {}", of.context));
        }
        if pod.ports().next().is_none() {
            return Some(format!("pod {of} tells of no port"));
        }
        let open = self.forwards.iter().filter(|one| one.is_open()).count();
        (open >= MOST).then(|| format!("{open} ports are open already; x in :forwards ends one"))
    }

    /// Lets a person choose the port of the pod, and whether any free one here will do.
    pub(super) fn ask_forward(&mut self) {
        let Some((of, pod)) = self.pod_here() else { return };
        let own = pod.component().unwrap_or_default().to_owned();
        let mut ports: Vec<((bool, bool), Pick)> = pod
            .ports()
            .map(|(container, port)| {
                let name = port.name.clone();
                let about = if name.is_empty() { container.to_owned() } else { format!("{name}, of {container}") };
                let last = (container != own, name != "client");
                let then = Picked::Forward { of: of.clone(), port: port.container_port, name };
                (last, Pick { label: port.container_port.to_string(), about, then })
            })
            .collect();
        // Those of the container that the pod is there for come first; of PD's, that for clients.
        ports.sort_by_key(|(last, _)| *last);
        let mut items: Vec<Pick> = ports.into_iter().map(|(_, pick)| pick).collect();
        let at: Vec<Pick> = items.iter().filter_map(at_a_port).collect();
        items.extend(at);
        let title = format!("a port on this machine to {}", of.name);
        self.dialog = Some(Dialog::Pick { title, at: 0, items });
    }

    /// Enter behind the number of a port here.
    pub(super) fn forward_at(
        &mut self,
        of: ObjectRef,
        port: u16,
        name: String,
        input: Input,
        effects: &mut Vec<Effect>,
    ) {
        match input.value().trim().parse() {
            Ok(here) if here > 0 => self.forward(of, (port, Some(here)), name, effects),
            _ => self.dialog = Some(Dialog::Port { of, port, name, input, wrong: true }),
        }
    }

    /// Carries out what was chosen.
    pub(super) fn picked_one(&mut self, picked: Picked, effects: &mut Vec<Effect>) {
        match picked {
            Picked::Shell { of, container } => self.ask_shell(of, container),
            Picked::Container(name) => self.read_container(name.as_deref()),
            Picked::Order(column) => self.order_by(column),
            Picked::Forward { of, port, name } => self.forward(of, (port, None), name, effects),
            // Most want the same number here.
            Picked::ForwardAt { of, port, name } => {
                self.dialog = Some(Dialog::Port { of, port, name, input: Input::new(port.to_string()), wrong: false });
            }
        }
    }

    /// `port`: that of the pod, and the one here where it is not any free one.
    fn forward(&mut self, of: ObjectRef, (port, here): (u16, Option<u16>), name: String, effects: &mut Vec<Effect>) {
        // Another port here than the one that leads there already is another forward.
        let asked = |one: &Forward| here.is_none_or(|here| one.here() == Some(here));
        let there = self.forwards.iter().find(|one| one.pod == of && one.port == port && one.is_open() && asked(one));
        if let Some(address) = there.map(|one| one.address().unwrap_or("a port").to_owned()) {
            return self.say(Level::Done, format!("{address} leads to port {port} of {of} already"));
        }
        // What is over stays in the list until its like is opened again.
        self.forwards.retain(|one| one.is_open() || one.pod != of || one.port != port);
        let id = self.next_forward;
        self.next_forward += 1;
        let (since, traffic) = (self.now, Traffic::default());
        self.forwards.push(Forward { id, pod: of.clone(), port, name, since, state: State::Opening, traffic });
        self.warn_of_pod(&of);
        effects.push(Effect::Forward { id, of, port, here });
    }

    /// Nothing listens in a pod that is not ready: whoever opens a port to it is told before the first connection fails.
    fn warn_of_pod(&mut self, of: &ObjectRef) {
        let pod = self.fleet.clusters.get(&of.context).and_then(|cluster| cluster.pods.get(&of.key()));
        if let Some(pod) = pod.filter(|pod| !pod.ready()) {
            let text =
                format!("{of} is {} and not ready: connections through this port fail until it is", pod.status_word());
            self.say(Level::Working, text);
        }
    }

    /// What has come of one.
    pub(super) fn forward_news(&mut self, id: u64, news: ForwardNews, was_dirty: bool) {
        let Some(one) = self.forwards.iter_mut().find(|one| one.id == id) else {
            return self.as_before(was_dirty);
        };
        let of = format!("port {} of {}", one.port, one.pod);
        match news {
            ForwardNews::Listens(address) => {
                one.state = State::Listens(address.clone());
                self.say(Level::Done, format!("{address} leads to {of}; :forwards lists and ends it, c copies"));
            }
            ForwardNews::Traffic(traffic) => {
                one.traffic = traffic;
                // Only their list shows it.
                self.dirty = *self.view() == View::Forwards;
            }
            ForwardNews::Over(why) => {
                one.state = State::Over(why.clone());
                self.say(Level::Bad, format!("no port leads to {of}: {why}"));
            }
        }
    }

    /// The one under the cursor of their list.
    fn forward_here(&self) -> Option<&Forward> {
        match self.row()?.item {
            Item::Forward(index) => self.forwards.get(index),
            _ => None,
        }
    }

    pub(super) fn cannot_end_forward(&self) -> Option<String> {
        match self.forward_here() {
            Some(_) => None,
            None => Some("x does nothing here; it ends a port-forward in :forwards".to_owned()),
        }
    }

    /// Ends the one under the cursor, or takes it from the list where it has ended.
    pub(super) fn end_forward(&mut self, effects: &mut Vec<Effect>) {
        let Some((id, open, of)) =
            self.forward_here().map(|one| (one.id, one.is_open(), format!("port {} of {}", one.port, one.pod)))
        else {
            return;
        };
        self.forwards.retain(|one| one.id != id);
        if open {
            effects.push(Effect::EndForward { id });
            self.say(Level::Done, format!("nothing leads to {of} any more"));
        }
    }
}
