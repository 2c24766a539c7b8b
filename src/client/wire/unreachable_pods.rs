//! Pods that could not be reached at their own address, and are left alone for a while. Not here: reaching them
//! ([`super::open_tunnel`]), whether the right PD answers there (`client::pd::direct`).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::client::now;
use crate::fleet::ObjectKey;

/// How long `auto` leaves a pod alone that could not be reached directly.
const LEFT_ALONE: SignedDuration = SignedDuration::from_secs(60);

/// Pods that were not reached directly, by the uid that they had: until when they are left alone, and why.
#[derive(Default)]
pub(in crate::client) struct Indirect(Mutex<BTreeMap<ObjectKey, (String, Timestamp, String)>>);

impl Indirect {
    /// Why a pod is not to be tried now.
    pub fn of(&self, pod: &ObjectKey, uid: &str) -> Option<String> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (_, until, _)| *until > now());
        known.get(pod).filter(|(of, _, _)| of == uid).map(|(_, _, why)| why.clone())
    }

    pub fn note(&self, pod: &ObjectKey, uid: &str, why: &str) {
        let until = now().checked_add(LEFT_ALONE).unwrap_or(Timestamp::MAX);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(pod.clone(), (uid.to_owned(), until, why.to_owned()));
    }
}
