//! Quorum arithmetic (`domain.md` §3.7): what is tolerated now, and what would be left.
//!
//! Plain numbers in, plain numbers out. Not here: who is healthy ([`super::database`] counts).

use serde::Serialize;

/// The state of one PD membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Quorum {
    /// Voting members, unstarted ones included: they raise the bar at once.
    pub members: usize,
    /// Members known to be healthy.
    pub healthy: usize,
    /// Further members that may fail now before writes stop.
    pub tolerate: usize,
}

impl Quorum {
    pub fn new(members: usize, healthy: usize) -> Self {
        Self { members, healthy, tolerate: healthy.saturating_sub(votes(members)) }
    }

    pub fn stands(&self) -> bool {
        self.members > 0 && self.healthy >= votes(self.members)
    }

    /// Whether a majority is left when `lost` of the healthy members go away together.
    pub fn stands_without(&self, lost: usize) -> bool {
        self.members > 0 && self.healthy.saturating_sub(lost) >= votes(self.members)
    }
}

/// Votes needed by `members` voters. An empty membership needs one: it can never stand.
pub fn votes(members: usize) -> usize {
    members / 2 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tolerances_of_the_dossier() {
        for (members, tolerate) in [(0, 0), (1, 0), (2, 0), (3, 1), (4, 1), (5, 2), (7, 3)] {
            assert_eq!(Quorum::new(members, members).tolerate, tolerate, "{members} members");
        }
        assert_eq!(Quorum::new(3, 2).tolerate, 0);
        assert!(Quorum::new(3, 2).stands() && !Quorum::new(3, 1).stands() && !Quorum::new(0, 0).stands());
        assert!(Quorum::new(3, 3).stands_without(1) && !Quorum::new(3, 3).stands_without(2));
    }
}
