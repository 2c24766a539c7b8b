//! Which container's log is read: that which a pod is there for, another one that a person chooses, or all of them.
//!
//! Not here: how logs are kept and merged ([`super::logs_and_events`]), how they look (`console::logs`).

use super::port_forwards::{Pick, Picked};
use super::{App, Dialog, Screen, View};
use crate::fleet::ObjectRef;
use crate::fleet::logs_and_events::LogOf;
use crate::pluralize::noun;

impl App {
    /// The pods whose logs are in front, each once.
    fn pods_read(&self) -> Vec<ObjectRef> {
        let View::Logs { of, .. } = self.view() else { return Vec::new() };
        let mut pods: Vec<ObjectRef> = of.iter().map(|one| one.pod.clone()).collect();
        pods.dedup();
        pods
    }

    /// The containers of a pod, that which it is there for first; none where it is not seen.
    pub fn containers_of(&self, of: &ObjectRef) -> Vec<String> {
        let pod = self.fleet.clusters.get(&of.context).and_then(|cluster| cluster.pods.get(&of.key()));
        pod.into_iter().flat_map(|pod| pod.containers()).map(str::to_owned).collect()
    }

    /// The containers that the pods in front have, each once.
    fn containers_to_read(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for name in self.pods_read().iter().flat_map(|of| self.containers_of(of)) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Why there is no other container to choose.
    pub(super) fn cannot_choose_container(&self) -> Option<String> {
        (self.containers_to_read().len() < 2).then(|| "no other container: each of these pods has one".to_owned())
    }

    /// Asks whose log is to be read. Where a list of two is left, the one that is not read now is in focus.
    pub(super) fn choose_container(&mut self) {
        let (pods, names) = (self.pods_read(), self.containers_to_read());
        let View::Logs { of, .. } = self.view() else { return };
        let read = match of.as_slice() {
            [one] => one.container.clone(),
            _ => None,
        };
        let at = names.iter().position(|name| read.is_some() && read.as_ref() != Some(name)).unwrap_or(0);
        let about = |name: &String| {
            let with = pods.iter().filter(|of| self.containers_of(of).contains(name)).count();
            match (read.as_ref() == Some(name), pods.len()) {
                (true, _) => "read now".to_owned(),
                (false, 1) => String::new(),
                (false, all) => format!("in {with} of {all} {}", noun(&all, "pod")),
            }
        };
        let pick = |name: &String| Pick {
            label: name.clone(),
            about: about(name),
            then: Picked::Container(Some(name.clone())),
        };
        let mut items: Vec<Pick> = names.iter().map(pick).collect();
        let about = "merged by time".to_owned();
        items.push(Pick { label: "all containers".to_owned(), about, then: Picked::Container(None) });
        let title = match pods.as_slice() {
            [one] => format!("the log of which container of {}?", one.name),
            _ => "the logs of which container?".to_owned(),
        };
        self.dialog = Some(Dialog::Pick { title, at, items });
    }

    /// Reads the logs of a container, of those pods that have it; `None`: of every container.
    pub(super) fn read_container(&mut self, name: Option<&str>) {
        let View::Logs { previous, .. } = *self.view() else { return };
        let of = |pod: ObjectRef| {
            let all = self.containers_of(&pod).into_iter().filter(|one| name.is_none_or(|name| one == name));
            all.map(|one| LogOf { pod: pod.clone(), container: Some(one) }).collect::<Vec<_>>()
        };
        let of: Vec<LogOf> = self.pods_read().into_iter().flat_map(of).collect();
        let filter = std::mem::take(&mut self.screen_mut().filter);
        *self.screen_mut() = Screen { filter, ..Screen::new(View::Logs { of, previous }) };
    }
}
