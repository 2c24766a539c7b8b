//! Whether PD can decide anything now: two leaders are needed, etcd's and then PD's own.
//!
//! When the leader is gone from one moment to the next, etcd elects within 2.5 to 3.4 s and PD within 11 (measured with PD
//! 8.5.4 and 7.5.7 on three members). Meanwhile the majority stands, peerURLs can be changed, and waiting is all that helps:
//! no state but [`Lead::Lost`] is a lost quorum. Not here: counting the votes ([`super::database`]); asking again
//! (`app::driver`).

use super::database::member_and_store::Member;
use super::pd::{MemberId, PdAnswer};
use super::quorum::{Quorum, votes};
use crate::pluralize::counted;

/// Who leads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lead {
    /// Nobody told.
    #[default]
    NotSeen,
    /// A majority stands and has a leader, and as far as it is told PD has one too.
    Leads,
    /// A majority stands; etcd has a leader and PD none yet.
    NoPdLeader,
    /// A majority of the members answers, and none of them knows a leader of etcd.
    Electing,
    /// No majority of the members is seen to stand.
    Lost,
}

impl Lead {
    pub fn of(members: &[Member], quorum: Quorum, leader: Option<MemberId>, told: &[&PdAnswer]) -> Self {
        if members.is_empty() {
            return Lead::NotSeen;
        }
        if quorum.stands() && leader.is_some() {
            // One that passed a question on to nobody may only not reach the leader: etcd's leader itself has to say it.
            let led = told.iter().any(|answer| answer.pd_leads == Some(true));
            let leaderless = |answer: &&PdAnswer| answer.self_id == leader && answer.pd_leads == Some(false);
            return if !led && told.iter().any(leaderless) { Lead::NoPdLeader } else { Lead::Leads };
        }
        if members.iter().filter(|member| member.answered).count() >= votes(members.len()) {
            return Lead::Electing;
        }
        // One that runs where nobody looks may well stand with the others.
        let hidden = members.iter().filter(|member| !member.answered && !member.place.is_known()).count();
        // That one has no pod says nothing of the others, unless too few are left.
        let gone = members.iter().filter(|member| member.gone).count();
        let cut_off = members.iter().any(|member| member.votes == Some(false) && !member.gone)
            || members.len() - gone < votes(members.len());
        match cut_off && quorum.healthy + hidden < votes(members.len()) {
            true => Lead::Lost,
            false if leader.is_none() => Lead::Electing,
            false => Lead::NotSeen,
        }
    }

    /// Whether waiting a few seconds may change it.
    pub fn passes(self) -> bool {
        match self {
            Lead::NoPdLeader | Lead::Electing | Lead::Lost => true,
            Lead::Leads | Lead::NotSeen => false,
        }
    }

    /// Whether PD has a leader, as far as it is told.
    pub fn leads(self) -> bool {
        match self {
            Lead::Leads | Lead::NotSeen => true,
            Lead::NoPdLeader | Lead::Electing | Lead::Lost => false,
        }
    }

    pub fn problem(self, members: &[Member], quorum: Quorum) -> Option<String> {
        let size = members.len();
        let answered = members.iter().filter(|member| member.answered).count();
        match self {
            Lead::Leads | Lead::NotSeen => None,
            Lead::NoPdLeader => Some(format!(
                "PD has no leader at the moment: {} of {} have etcd's majority, and after a crash PD elects its leader within about 15 s; wait and look again before anything is changed",
                quorum.healthy,
                counted(size, "member")
            )),
            Lead::Electing => Some(format!(
                "PD has no leader at the moment: {answered} of {} answer and none of them knows a leader of etcd, which is elected within seconds unless they cannot reach each other; wait 15 s and look again before anything is changed",
                counted(size, "member")
            )),
            Lead::Lost => {
                Some(format!("PD has lost its quorum: {} of {} healthy", quorum.healthy, counted(size, "member")))
            }
        }
    }

    /// What nobody could tell for want of a leader that is seen.
    pub fn unseen(self, told: &[&PdAnswer]) -> Option<String> {
        let leaderless = told.iter().any(|answer| answer.pd_leads == Some(false));
        let led = told.iter().any(|answer| answer.pd_leads == Some(true));
        (leaderless && !led).then(|| match self {
            Lead::Leads => {
                "no PD pod that is seen reaches PD's leader, so stores and settings are not known".to_owned()
            }
            Lead::NotSeen | Lead::NoPdLeader | Lead::Electing | Lead::Lost => {
                "stores and settings of PD are known to its leader only, and there is none at the moment".to_owned()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::ObjectRef;
    use crate::fleet::database::Place;

    /// Of three members: what each one's own etcd says (`None`: it does not answer), and what its PD says of a leader.
    fn lead(own: [Option<bool>; 3], leader: Option<u64>, pd: [Option<bool>; 3]) -> Lead {
        let members: Vec<Member> = own
            .iter()
            .zip(1..)
            .map(|(own, id)| Member {
                id: MemberId(id),
                place: Place::new(ObjectRef::new("east", "db", "basic"), format!("pd-{id}")),
                votes: *own,
                answered: own.is_some(),
                ..Member::default()
            })
            .collect();
        let answers: Vec<PdAnswer> = own
            .iter()
            .zip(pd)
            .zip(1..)
            .filter(|((own, _), _)| own.is_some())
            .map(|((_, pd_leads), id)| PdAnswer { self_id: Some(MemberId(id)), pd_leads, ..PdAnswer::default() })
            .collect();
        let quorum = Quorum::new(3, own.iter().filter(|own| **own == Some(true)).count());
        Lead::of(&members, quorum, leader.map(MemberId), &answers.iter().collect::<Vec<_>>())
    }

    #[test]
    fn a_lost_leader_is_no_lost_quorum() {
        const T: Option<bool> = Some(true);
        const F: Option<bool> = Some(false);
        let cases = [
            ("all well", lead([T, T, T], Some(1), [T, T, T]), Lead::Leads),
            ("a bare etcd tells nothing of PD", lead([T, T, T], Some(1), [None; 3]), Lead::Leads),
            ("etcd elected 2, PD has no leader yet", lead([None, T, T], Some(2), [None, F, F]), Lead::NoPdLeader),
            ("etcd's leader is not seen", lead([T, T, None], Some(3), [F, F, None]), Lead::Leads),
            ("one follower does not reach it", lead([T, T, T], Some(1), [T, F, F]), Lead::Leads),
            ("etcd elects: two answer", lead([None, F, F], Some(1), [None, F, F]), Lead::Electing),
            ("etcd elects: no leader is followed", lead([F, F, F], None, [F, F, F]), Lead::Electing),
            ("one of three is left", lead([None, None, F], None, [None, None, F]), Lead::Lost),
        ];
        for (what, found, expected) in cases {
            assert_eq!(found, expected, "{what}");
        }
    }
}
