//! Whether a lease is still ours, asked just before a write leaves, and until when the write may.
//!
//! The answer is that of every cluster, and counts from the moment in which it was asked for. Not here: the arithmetic of that
//! time ([`crate::client::wire::lease_timing`]), who asks before which write ([`crate::client::wire::permit`]).

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures::future::{BoxFuture, join_all};

use super::Lease;
use super::object::read;
use super::renewing::name_of;
use crate::client::wire::lease_timing::Until;
use crate::client::wire::permit::{Fence, Lost};

impl Fence for Lease {
    fn leave(&self) -> BoxFuture<'_, Result<Until, Lost>> {
        Box::pin(async move {
            self.confirm().await?;
            Ok(self.until())
        })
    }
}

impl Lease {
    /// What our own renewals say, without asking anybody.
    pub fn ready(&self) -> Result<(), Lost> {
        for held in &self.held {
            let state = held.state.lock().unwrap_or_else(PoisonError::into_inner);
            let context = held.place.context.clone();
            if let Some(now) = &state.taken {
                return Err(Lost::Taken { context, now: now.clone() });
            }
            let age = self.clock.since(state.renewed);
            if age > self.timing.good_for() {
                let why = format!("it was not renewed for {} s", age.as_secs());
                return Err(Lost::Unsure { context, why });
            }
        }
        Ok(())
    }

    /// Until when a write may leave, by the oldest of our last renewals.
    fn until(&self) -> Until {
        let renewed = self.held.iter().map(|held| held.state.lock().unwrap_or_else(PoisonError::into_inner).renewed);
        match renewed.max_by_key(|renewed| self.clock.since(*renewed)) {
            Some(oldest) => Until::of(self.timing, self.clock.clone(), oldest),
            None => Until::default(),
        }
    }

    /// Asks every cluster whether the lease still carries our name and fence.
    pub async fn confirm(&self) -> Result<(), Lost> {
        let begun = self.clock.moment();
        let asked = self.held.iter().map(|held| async {
            let context = &held.place.context;
            let link = self.links.need(context).map_err(|why| Lost::Unsure { context: context.clone(), why })?;
            let found = read(link, &held.place, &name_of(held)).await;
            let found = found.map_err(|t| Lost::Unsure { context: context.clone(), why: t.sentence })?;
            held.compare(found.as_ref()).map(|_| ())
        });
        // That it was taken outweighs that something could not be asked.
        let answers = join_all(asked).await;
        let mut lost: Vec<Lost> = answers.into_iter().filter_map(Result::err).collect();
        lost.sort_by_key(|lost| matches!(lost, Lost::Unsure { .. }));
        match lost.into_iter().next() {
            Some(lost) => Err(lost),
            None => {
                *self.confirmed.lock().unwrap_or_else(PoisonError::into_inner) = Some(begun);
                self.ready()
            }
        }
    }

    /// Whether it was confirmed so lately; where not, it is asked. Until when a write may leave.
    async fn confirm_within(&self, lately: Duration) -> Result<Until, Lost> {
        let confirmed = *self.confirmed.lock().unwrap_or_else(PoisonError::into_inner);
        match confirmed.is_some_and(|begun| self.clock.since(begun) < lately) {
            true => self.ready()?,
            false => self.confirm().await?,
        }
        Ok(self.until())
    }

    /// Whether it was confirmed so lately, or is now.
    pub async fn confirm_lately(&self, lately: Duration) -> Result<(), Lost> {
        self.confirm_within(lately).await.map(|_| ())
    }
}

const LATELY: Duration = Duration::from_millis(500);

/// A lease as the run's own record is written under it: a line of the record is preceded by a confirmation of its own, before it
/// goes into the file, so that one which is so young is not asked for again. The record's objects take no write on an older
/// version: two who write to them cannot both go on. Everything else asks for each write.
#[derive(Debug)]
pub struct Lately(pub Arc<Lease>);

impl Fence for Lately {
    fn leave(&self) -> BoxFuture<'_, Result<Until, Lost>> {
        Box::pin(self.0.confirm_within(LATELY))
    }
}
