//! The same with two data centres, for the rules that have something to say of these.

use std::cell::Cell;

use granary_core::membership::effects::{Effect, Marker};
use granary_core::membership::message::{Envelope, Message};
use granary_core::membership::state::ClusterState;
use granary_sim::check::Rules;
use granary_sim::check::broadcasts_arrive::BroadcastsArrive;
use granary_sim::check::consensus_holds::ConsensusHolds;
use granary_sim::check::decides_for_its_own::DecidesForItsOwn;
use granary_sim::check::distance_downs_nobody::DistanceDownsNobody;
use granary_sim::check::one_leader::OneLeader;
use granary_sim::check::state_reaches_all::StateReachesAll;
use granary_sim::check::views_converge::ViewsConverge;

use super::{Bug, finds, found};

/// Two data centres of two, which lose sight of each other for a while; all set one key, the members of one alike, and say a word once it is quiet.
const FAR: &str = r#"
[cluster]
stable-after = "5s"
[[node]]
name = "a"
dc = "east"
[[node]]
name = "b"
dc = "east"
[[node]]
name = "c"
dc = "west"
[[node]]
name = "d"
dc = "west"
[[step]]
at = "0s"
do = "start"
[[step]]
at = "20s"
do = "set-state"
node = "a"
key = "agreed"
value = "one"
[[step]]
at = "20s"
do = "set-state"
node = "b"
key = "agreed"
value = "one"
[[step]]
at = "20s"
do = "set-state"
node = "c"
key = "agreed"
value = "two"
[[step]]
at = "20s"
do = "set-state"
node = "d"
key = "agreed"
value = "two"
[[step]]
at = "30s"
do = "cut"
from = ["a", "b"]
to = ["c", "d"]
[[step]]
at = "70s"
do = "heal"
[[step]]
at = "90s"
do = "broadcast"
node = "a"
word = "quiet a"
[[step]]
at = "90s"
do = "broadcast"
node = "c"
word = "quiet c"
[[step]]
at = "110s"
do = "heal"
"#;

/// One of a data centre of three is gone without a word, and another data centre looks on.
const FAR_CRASH: &str = r#"
[cluster]
stable-after = "5s"
[[node]]
name = "a"
dc = "east"
[[node]]
name = "b"
dc = "east"
[[node]]
name = "c"
dc = "east"
[[node]]
name = "d"
dc = "west"
[[step]]
at = "0s"
do = "start"
[[step]]
at = "30s"
do = "crash"
node = "c"
[[step]]
at = "120s"
do = "heal"
"#;

/// Whether two hosts of `FAR` are in different data centres.
fn across(from: &str, to: usize) -> bool {
    matches!(from, "a" | "b") != (to < 2)
}

#[test]
fn without_a_bug_every_rule_holds_in_two_data_centres() {
    for text in [FAR, FAR_CRASH] {
        assert_eq!(found(text, &Rules::of_drawn_runs(), None), Ok(()));
    }
}

#[test]
fn a_data_centre_that_is_never_seen_again() {
    let deliver = |to: usize, envelope: &mut Envelope| {
        let answer = matches!(envelope.message, Message::CrossHeartbeatReply(_));
        !(answer && across(envelope.from.address.host(), to))
    };
    finds(|| Box::new(ViewsConverge), FAR, Bug::of_messages(deliver));
}

#[test]
fn a_removal_that_the_other_data_centre_never_hears_of() {
    let deliver = |to: usize, envelope: &mut Envelope| {
        if matches!(envelope.message, Message::GossipDelta(_)) {
            return to != 3;
        }
        let Message::Gossip(message) = &envelope.message else {
            return true;
        };
        let mut members = message.gossip.members().iter();
        to != 3 || members.any(|member| member.node.address.host() == "c")
    };
    // Every picture comes whole, and none without the one that is gone.
    finds(
        || Box::new(ViewsConverge),
        FAR_CRASH,
        Bug::of_messages(deliver),
    );
}

#[test]
fn values_that_never_reach_the_other_data_centre() {
    let deliver = |to: usize, envelope: &mut Envelope| {
        let value = matches!(envelope.message, Message::SharedState(_));
        !(value && across(envelope.from.address.host(), to))
    };
    finds(|| Box::new(StateReachesAll), FAR, Bug::of_messages(deliver));
}

#[test]
fn words_that_never_reach_the_other_data_centre() {
    let deliver = |to: usize, envelope: &mut Envelope| {
        let word = matches!(envelope.message, Message::Broadcast(_));
        !(word && across(envelope.from.address.host(), to))
    };
    finds(
        || Box::new(BroadcastsArrive),
        FAR,
        Bug::of_messages(deliver),
    );
}

#[test]
fn a_data_centre_that_does_not_know_that_its_members_agree() {
    let deliver = |to: usize, envelope: &mut Envelope| {
        to != 3 || !matches!(envelope.message, Message::SharedState(_))
    };
    finds(|| Box::new(ConsensusHolds), FAR, Bug::of_messages(deliver));
}

#[test]
fn a_second_leader_in_the_second_data_centre() {
    let view = |host: usize, state: &ClusterState| {
        let led = state.converged && state.leader.is_some();
        let own = state
            .members
            .iter()
            .find(|member| member.node.address.host() == "d");
        let own = own.filter(|_| host == 3 && led)?;
        let mut other = state.clone();
        other.leader = Some(own.node.clone());
        Some(other)
    };
    finds(|| Box::new(OneLeader::default()), FAR, Bug::of_views(view));
}

#[test]
fn a_member_that_is_downed_by_another_data_centre() {
    let carry_out = |_: usize, effect: &mut Effect| {
        if let Effect::Log(Marker::DowningNode { node, .. }) = effect {
            node.address = "d:7000".parse().unwrap();
        }
        true
    };
    finds(
        || Box::new(DecidesForItsOwn),
        FAR_CRASH,
        Bug::of_effects(carry_out),
    );
}

#[test]
fn members_that_do_not_hear_each_other_once_they_have_heard_from_afar() {
    let heard = Cell::new(false);
    let deliver = move |_: usize, envelope: &mut Envelope| {
        let far = matches!(envelope.message, Message::CrossHeartbeat(_));
        heard.set(heard.get() || far);
        !(heard.get() && matches!(envelope.message, Message::HeartbeatReply(_)))
    };
    finds(
        || Box::new(DistanceDownsNobody::default()),
        FAR,
        Bug::of_messages(deliver),
    );
}
