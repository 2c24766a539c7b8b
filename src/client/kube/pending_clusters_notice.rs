//! Tells whoever sits at a terminal which KubeClusters a look still waits for, and for how long at most.
//!
//! A cluster that is dark costs its whole deadline; without a word that looks like a program that hangs. Nothing is waited for
//! less or longer for it.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What answers sooner needs no word.
const QUIET: Duration = Duration::from_secs(1);

/// The contexts that have not answered yet.
#[derive(Debug, Default)]
pub(super) struct Awaited(Mutex<BTreeSet<String>>);

impl Awaited {
    pub fn of<'a>(contexts: impl Iterator<Item = &'a str>) -> Self {
        Self(Mutex::new(contexts.map(str::to_owned).collect()))
    }

    pub fn answered(&self, context: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(context);
    }

    fn left(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Waits for `all`, and tells once what is still awaited after [`QUIET`]. `longest`: of one look.
    pub async fn during<T>(&self, tell: Option<fn(&str)>, longest: Duration, all: impl Future<Output = T>) -> T {
        let Some(tell) = tell else { return all.await };
        let mut all = pin!(all);
        if let Ok(done) = tokio::time::timeout(QUIET, &mut all).await {
            return done;
        }
        let left = self.left();
        if !left.is_empty() {
            tell(&format!("no answer yet from {}; a look waits {} s at most", left.join(", "), longest.as_secs()));
        }
        all.await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static TOLD: Mutex<Vec<String>> = Mutex::new(Vec::new());

    fn tell(text: &str) {
        TOLD.lock().expect("not poisoned").push(text.to_owned());
    }

    #[tokio::test]
    async fn who_has_not_answered_within_a_second_is_named_once() {
        async fn slow(after: u64, awaited: &Awaited) {
            let east = async {
                awaited.answered("east");
            };
            let west = async {
                tokio::time::sleep(Duration::from_millis(after)).await;
                awaited.answered("west");
            };
            tokio::join!(east, west);
        }
        let longest = Duration::from_secs(13);
        for (after, asks) in [(0, true), (1_300, false), (1_300, true)] {
            let awaited = Awaited::of(["west", "east"].into_iter());
            awaited.during(asks.then_some(tell as fn(&str)), longest, slow(after, &awaited)).await;
        }
        let told = TOLD.lock().expect("not poisoned").clone();
        assert_eq!(told, ["no answer yet from west; a look waits 13 s at most"]);
    }
}
