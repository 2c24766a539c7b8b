//! A lease as the run's own record is written under it.
//!
//! A line of the record is preceded by a confirmation of its own, before it goes into the file, so that one which is so young is
//! not asked for again. The record's objects take no write on an older version: two who write to them cannot both go on.
//! Everything else asks for each write ([`crate::client::share::lease`]).

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use crate::client::share::lease::Lease;
use crate::client::wire::fence::{Fence, Lost};
use crate::client::wire::timing::Until;

const LATELY: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub struct Lately(pub Arc<Lease>);

impl Fence for Lately {
    fn leave(&self) -> BoxFuture<'_, Result<Until, Lost>> {
        Box::pin(self.0.confirm_within(LATELY))
    }
}
