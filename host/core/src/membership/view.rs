//! What a picture means to one node: who leads, whether everybody agrees, who may be let up, who is the oldest.
//!
//! All of it follows from the picture and from who asks; nothing is remembered. Only the node's own data centre counts, where nothing else
//! is said.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::address::UniqueAddress;
use super::gossip::Gossip;
use super::member::{Member, Status};
use super::order::{by_age, by_leader_status};
use super::reachability::Reach;

/// Why the members do not agree yet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hindrance {
    /// Who must see the picture first.
    pub unseen: Vec<UniqueAddress>,
    /// Who cannot be reached, and is not about to go.
    pub unreachable: Vec<UniqueAddress>,
}

/// How many members there must be before the first is let up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gates {
    /// In all.
    pub members: u32,
    /// Of each role.
    pub by_role: BTreeMap<Arc<str>, u32>,
}

/// A picture as one node sees it.
#[derive(Debug, Clone)]
pub struct View<'a> {
    gossip: &'a Gossip,
    me: &'a UniqueAddress,
    dc: &'a str,
    /// Whom members of the own data centre cannot reach there.
    unreachable: BTreeMap<&'a UniqueAddress, Reach>,
    /// The same without the words of those that are down.
    unreachable_for_living: BTreeMap<&'a UniqueAddress, Reach>,
}

impl<'a> View<'a> {
    /// The picture as `me`, a node of `dc`, sees it.
    pub fn new(gossip: &'a Gossip, me: &'a UniqueAddress, dc: &'a str) -> Self {
        let in_dc =
            |node: &UniqueAddress| gossip.member(node).is_some_and(|m| m.dc().as_ref() == dc);
        let is_down = |node: &UniqueAddress| {
            gossip
                .member(node)
                .is_some_and(|member| member.status == Status::Down)
        };
        let judged = |counts: &dyn Fn(&UniqueAddress) -> bool| {
            let mut judged = gossip.reachability().judged(counts);
            judged.retain(|subject, _| in_dc(subject));
            judged
        };
        let unreachable = judged(&in_dc);
        let unreachable_for_living = if unreachable.is_empty() {
            BTreeMap::new()
        } else {
            judged(&|observer| in_dc(observer) && !is_down(observer))
        };
        Self {
            gossip,
            me,
            dc,
            unreachable,
            unreachable_for_living,
        }
    }

    /// The picture.
    pub fn gossip(&self) -> &'a Gossip {
        self.gossip
    }

    /// Who looks.
    pub fn me(&self) -> &'a UniqueAddress {
        self.me
    }

    /// The data centre of who looks.
    pub fn dc(&self) -> &'a str {
        self.dc
    }

    /// The members of the data centre, in the order of their addresses.
    pub fn members(&self) -> impl Iterator<Item = &'a Member> {
        let dc = self.dc;
        let members = self.gossip.members().iter();
        members.filter(move |member| member.dc().as_ref() == dc)
    }

    /// Whether there are members of other data centres.
    pub fn is_multi_dc(&self) -> bool {
        let mut members = self.gossip.members().iter();
        members.any(|member| member.dc().as_ref() != self.dc)
    }

    /// Whether a member is unreachable, or terminated, for some member of the data centre. This is what events tell. Always false of who
    /// looks and of other data centres' members.
    pub fn is_unreachable(&self, node: &UniqueAddress) -> bool {
        node != self.me && self.unreachable.contains_key(node)
    }

    /// Those of whom [`Self::is_unreachable`] holds.
    pub fn unreachable(&self) -> impl Iterator<Item = &'a UniqueAddress> {
        let nodes = self.unreachable.keys().copied();
        nodes.filter(|node| *node != self.me)
    }

    /// Whether nobody who counts calls a member unreachable: within the data centre its own members that are not down, of another
    /// data centre's member anyone who is not down. False of who is no member.
    pub fn is_reachable(&self, node: &UniqueAddress) -> bool {
        let Some(member) = self.gossip.member(node) else {
            return false;
        };
        if member.dc().as_ref() == self.dc {
            return !self.unreachable_for_living.contains_key(node);
        }
        let rows = self.gossip.reachability().rows();
        let mut said =
            rows.filter(|(_, subject, reach, _)| *subject == node && *reach != Reach::Reachable);
        let counts = |observer| {
            let observer = self.gossip.member(observer);
            observer.is_some_and(|observer| observer.status != Status::Down)
        };
        !said.any(|(observer, ..)| counts(observer))
    }

    /// The members that [`Self::is_reachable`] holds of, in the order of their addresses.
    pub fn reachable_members(&self) -> impl Iterator<Item = &'a Member> {
        let counts = |observer: &UniqueAddress| {
            let observer = self.gossip.member(observer);
            observer.is_some_and(|observer| observer.status != Status::Down)
        };
        let anywhere = self.gossip.reachability().judged(counts);
        let members = self.gossip.members().iter();
        members.filter(move |member| {
            if member.dc().as_ref() == self.dc {
                !self.unreachable_for_living.contains_key(&member.node)
            } else {
                !anywhere.contains_key(&member.node)
            }
        })
    }

    /// The other data centres of which some member is unreachable for a member of this one.
    pub fn unreachable_dcs(&self) -> BTreeSet<Arc<str>> {
        let member = |node: &UniqueAddress| self.gossip.member(node);
        let ours = |node: &UniqueAddress| member(node).is_some_and(|m| m.dc().as_ref() == self.dc);
        let judged = self.gossip.reachability().judged(ours);
        let unreachable = judged
            .into_iter()
            .filter(|(_, reach)| *reach == Reach::Unreachable);
        let members = unreachable.filter_map(|(node, _)| member(node));
        let others = members.filter(|member| member.dc().as_ref() != self.dc);
        others.map(|member| member.dc().clone()).collect()
    }

    /// Who leads the data centre: nobody is elected, every view names one.
    ///
    /// Unlike in Pekko the words of those that are down do not count, so that a node declared dead cannot move the lead any more.
    pub fn leader(&self) -> Option<&'a UniqueAddress> {
        self.leader_of(self.members())
    }

    /// Who would lead if some were not there.
    pub fn leader_without(&self, gone: &[&UniqueAddress]) -> Option<&'a UniqueAddress> {
        self.leader_of(
            self.members()
                .filter(|member| !gone.contains(&&member.node)),
        )
    }

    /// Who leads the members of a role.
    pub fn role_leader(&self, role: &str) -> Option<&'a UniqueAddress> {
        self.leader_of(self.members().filter(|member| member.has_role(role)))
    }

    /// Who leads the members of each role that there is, implied ones included.
    pub fn role_leaders(&self) -> BTreeMap<Arc<str>, UniqueAddress> {
        let mut by_role: BTreeMap<&str, Vec<&'a Member>> = BTreeMap::new();
        for member in self.members() {
            for role in &member.profile.roles {
                by_role.entry(role).or_default().push(member);
            }
        }
        let named = by_role.into_iter().filter_map(|(role, members)| {
            let leader = self.leader_of(members.into_iter())?;
            Some((role.into(), leader.clone()))
        });
        let mut leaders: BTreeMap<Arc<str>, UniqueAddress> = named.collect();
        if let (Some(member), Some(leader)) = (self.members().next(), self.leader()) {
            leaders.insert(member.profile.dc_role(), leader.clone());
        }
        leaders
    }

    /// `members` in the order of their addresses.
    fn leader_of(&self, members: impl Iterator<Item = &'a Member>) -> Option<&'a UniqueAddress> {
        let mut stand_in: Option<&Member> = None;
        let reaches = |node| node == self.me || !self.unreachable_for_living.contains_key(node);
        for member in members {
            if member.status == Status::Down || !reaches(&member.node) {
                continue;
            }
            if member.status.counts() {
                return Some(&member.node);
            }
            let before = |other: &&Member| by_leader_status(member, other).is_lt();
            if stand_in.as_ref().is_none_or(before) {
                stand_in = Some(member);
            }
        }
        stand_in.map(|member| &member.node)
    }

    /// Whether the members agree: all that count have seen the picture, and all that cannot be reached are about to go. Those whose exit is
    /// confirmed are not waited for.
    pub fn is_converged(&self, exiting_confirmed: &BTreeSet<UniqueAddress>) -> bool {
        self.in_the_way(exiting_confirmed).next().is_none()
            && self.unseen(exiting_confirmed).next().is_none()
    }

    /// All that keeps the members from agreeing.
    pub fn hindrance(&self, exiting_confirmed: &BTreeSet<UniqueAddress>) -> Hindrance {
        let node = |member: &'a Member| member.node.clone();
        Hindrance {
            unseen: self.unseen(exiting_confirmed).map(node).collect(),
            unreachable: self.in_the_way(exiting_confirmed).map(node).collect(),
        }
    }

    /// Who cannot be reached and is neither down nor exiting.
    fn in_the_way<'s>(
        &'s self,
        confirmed: &'s BTreeSet<UniqueAddress>,
    ) -> impl Iterator<Item = &'a Member> + 's {
        let unreachable = self.unreachable_for_living.keys().copied();
        let waited_for =
            unreachable.filter(move |node| *node != self.me && !confirmed.contains(*node));
        let members = waited_for.filter_map(|node| self.gossip.member(node));
        members.filter(|member| !member.status.is_going())
    }

    /// Who must see the picture first. Where the data centre has nobody yet who counts, everybody everywhere must, those that join too: the
    /// first number of age is then given only once.
    fn unseen<'s>(
        &'s self,
        confirmed: &'s BTreeSet<UniqueAddress>,
    ) -> impl Iterator<Item = &'a Member> + 's {
        let first = !self.members().any(|member| member.status.counts());
        let must_see = move |member: &Member| {
            let status = member.status;
            let here = member.dc().as_ref() == self.dc;
            (first || here) && (status.counts() || (first && status.waits_for_up()))
        };
        let members = self.gossip.members().iter().enumerate();
        let unseen = members.filter(|(at, _)| !self.gossip.seen().has(*at));
        let waited_for = unseen.filter(move |(_, member)| must_see(member));
        waited_for
            .filter_map(move |(_, member)| (!confirmed.contains(&member.node)).then_some(member))
    }

    /// Whether there are so many members, in all data centres, as the gates want. Those that are about to go do not count; in Pekko they do.
    pub fn is_enough(&self, gates: &Gates) -> bool {
        let stays = |member: &&Member| !member.status.is_going();
        let count = |role: Option<&str>| {
            let members = self.gossip.members().iter().filter(stays);
            members
                .filter(|member| role.is_none_or(|role| member.has_role(role)))
                .count()
        };
        let reached = |least: u32, role| usize::try_from(least).is_ok_and(|n| n <= count(role));
        let roles = &gates.by_role;
        reached(gates.members, None)
            && roles
                .iter()
                .all(|(role, least)| reached(*least, Some(role)))
    }

    /// Whom the leader lets up when the members agree and are enough, with their numbers: in the order of their addresses, from the
    /// youngest's number on.
    pub fn promotions(&self) -> Vec<(UniqueAddress, u32)> {
        let youngest = self.members().filter_map(|member| member.up_number).max();
        let first = youngest.unwrap_or_default().saturating_add(1);
        let waiting = self.members().filter(|member| member.status.waits_for_up());
        let numbered = waiting.zip(first..);
        numbered
            .map(|(member, number)| (member.node.clone(), number))
            .collect()
    }

    /// Whom the leader lets in as weakly up when the members do not agree for long: those that join and can be reached.
    pub fn weak_promotions(&self) -> Vec<UniqueAddress> {
        let joining = self
            .members()
            .filter(|member| member.status == Status::Joining);
        let reachable = joining.filter(|member| self.is_reachable(&member.node));
        reachable.map(|member| member.node.clone()).collect()
    }

    /// Whom the leader removes when the members agree: who is exiting and cannot be reached, or down and out of reach of one who is not, whose exit is
    /// confirmed, and whom another data centre declared dead or lets go.
    ///
    /// What one that is down says of another one that is down removes nobody: that one may be well, and is to hear first that it is down.
    pub fn removals(&self, exiting_confirmed: &BTreeSet<UniqueAddress>) -> Vec<UniqueAddress> {
        let is_gone = |member: &&Member| {
            let node = &member.node;
            let confirmed = member.status == Status::Exiting && exiting_confirmed.contains(node);
            let elsewhere = member.dc().as_ref() != self.dc;
            let is_lost = if member.status == Status::Down {
                node != self.me && self.unreachable_for_living.contains_key(node)
            } else {
                self.is_unreachable(node)
            };
            member.status.is_going() && (confirmed || elsewhere || is_lost)
        };
        let gone = self.gossip.members().iter().filter(is_gone);
        gone.map(|member| member.node.clone()).collect()
    }

    /// The members, the oldest first; those that were never up last.
    pub fn by_age(&self) -> Vec<&'a Member> {
        let mut members: Vec<_> = self.members().collect();
        members.sort_by(|a, b| by_age(a, b));
        members
    }

    /// The oldest member that counts, of those with a role if one is named: the host of what there is one of.
    pub fn oldest(&self, role: Option<&str>) -> Option<&'a UniqueAddress> {
        let fit = self.members().filter(|member| member.status.counts());
        let of_role = fit.filter(|member| role.is_none_or(|role| member.has_role(role)));
        of_role
            .min_by(|a, b| by_age(a, b))
            .map(|member| &member.node)
    }

    /// The oldest of those members of each data centre that can speak, at most so many: they speak for it.
    pub fn oldest_by_dc(
        &self,
        most: usize,
        can_speak: impl Fn(&Member) -> bool,
    ) -> BTreeMap<Arc<str>, Vec<&'a Member>> {
        let mut by_dc: BTreeMap<Arc<str>, Vec<&'a Member>> = BTreeMap::new();
        for member in self.gossip.members().iter().filter(|one| can_speak(one)) {
            by_dc.entry(member.dc().clone()).or_default().push(member);
        }
        for members in by_dc.values_mut() {
            members.sort_by(|a, b| by_age(a, b));
            members.truncate(most);
        }
        by_dc
    }

    /// Who should hear at once that these members are exiting, because they may have to take something over: the two oldest, and the two
    /// oldest of each role of theirs.
    pub fn exiting_targets(&self, exiting: &[UniqueAddress]) -> BTreeSet<UniqueAddress> {
        if exiting.is_empty() {
            return BTreeSet::new();
        }
        let exiting = exiting.iter().filter_map(|node| self.gossip.member(node));
        let roles: BTreeSet<&str> = exiting
            .flat_map(|member| member.profile.roles.iter().map(AsRef::as_ref))
            .collect();
        let by_age = self.by_age();
        let mut targets: BTreeSet<_> = by_age.iter().take(2).map(|m| m.node.clone()).collect();
        for role in roles {
            let of_role = by_age.iter().filter(|member| member.has_role(role));
            targets.extend(of_role.take(2).map(|member| member.node.clone()));
        }
        targets
    }
}

#[cfg(test)]
mod tests;
