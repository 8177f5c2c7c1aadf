//! Each rule fails on a bug that is planted for it, and on the same run without the bug it holds.

mod far;
mod runs;

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use granary_core::membership::effects::Effect;
use granary_core::membership::member::Status;
use granary_core::membership::message::{Envelope, Message};
use granary_core::membership::state::ClusterState;
use granary_core::membership::subscription::Notice;
use granary_sim::check::broadcasts_arrive::BroadcastsArrive;
use granary_sim::check::callbacks_come_once::CallbacksComeOnce;
use granary_sim::check::consensus_holds::ConsensusHolds;
use granary_sim::check::downed_nodes_end::DownedNodesEnd;
use granary_sim::check::events_fold::EventsFold;
use granary_sim::check::explanations_replay::ExplanationsReplay;
use granary_sim::check::no_illegal_transition::NoIllegalTransition;
use granary_sim::check::one_leader::OneLeader;
use granary_sim::check::one_side_survives::OneSideSurvives;
use granary_sim::check::placement_agrees::PlacementAgrees;
use granary_sim::check::removed_stays_removed::RemovedStaysRemoved;
use granary_sim::check::state_reaches_all::StateReachesAll;
use granary_sim::check::views_converge::ViewsConverge;
use granary_sim::check::{Rule, Rules};
use granary_sim::run::{Steps, play};
use granary_sim::scenario::Scenario;
use granary_sim::world::{REMOVED, Tamper, World};

use runs::{
    A_CONTACT_POINT_IS_BACK, ALIKE, CRASHED, DOWNED, LASTS, RUN, TWO_CLUSTERS, TWO_OPERATORS,
    TWO_OPERATORS_OF_ONE_CLUSTER,
};

/// A bug, as what it does to messages, effects and views.
struct Bug<D, E, V> {
    deliver: D,
    carry_out: E,
    view: V,
}

type OnMessage = fn(usize, &mut Envelope) -> bool;
type OnEffect = fn(usize, &mut Effect) -> bool;
type OnView = fn(usize, &ClusterState) -> Option<ClusterState>;

impl<D> Bug<D, OnEffect, OnView> {
    fn of_messages(deliver: D) -> Self {
        Self {
            deliver,
            carry_out: |_, _| true,
            view: |_, _| None,
        }
    }
}

impl<E> Bug<OnMessage, E, OnView> {
    fn of_effects(carry_out: E) -> Self {
        Self {
            deliver: |_, _| true,
            carry_out,
            view: |_, _| None,
        }
    }
}

impl<V> Bug<OnMessage, OnEffect, V> {
    fn of_views(view: V) -> Self {
        Self {
            deliver: |_, _| true,
            carry_out: |_, _| true,
            view,
        }
    }
}

impl<D, E, V> Tamper for Bug<D, E, V>
where
    D: FnMut(usize, &mut Envelope) -> bool,
    E: FnMut(usize, &mut Effect) -> bool,
    V: FnMut(usize, &ClusterState) -> Option<ClusterState>,
{
    fn deliver(&mut self, to: usize, envelope: &mut Envelope) -> bool {
        (self.deliver)(to, envelope)
    }

    fn carry_out(&mut self, host: usize, effect: &mut Effect) -> bool {
        (self.carry_out)(host, effect)
    }

    fn view(&mut self, host: usize, state: &ClusterState) -> Option<ClusterState> {
        (self.view)(host, state)
    }
}

/// What `rules` say of a run with a bug.
fn found(text: &str, rules: &Rules, bug: Option<Box<dyn Tamper>>) -> Result<(), String> {
    let scenario = Scenario::parse(text).expect("the scenario is as the format says");
    let mut world = World::new(&scenario, 7);
    world.watch_consensus();
    world.watch(Box::new(rules.clone()));
    if let Some(bug) = bug {
        world.tamper(bug);
    }
    play(&scenario, &mut world, Steps::AllPossible).map_err(|unmet| unmet.why)?;
    rules.rest(&world)
}

/// The rule finds the bug, and nothing without it.
#[track_caller]
fn finds(rule: fn() -> Box<dyn Rule>, text: &str, bug: impl Tamper + 'static) {
    let name = rule().name();
    assert_eq!(found(text, &Rules::of(vec![rule()]), None), Ok(()));
    let found = found(text, &Rules::of(vec![rule()]), Some(Box::new(bug)));
    let why = found.expect_err("the bug is found");
    assert!(why.starts_with(&format!("{name}: ")), "{why}");
}

#[test]
fn without_a_bug_every_rule_holds() {
    for text in [RUN, DOWNED, CRASHED, ALIKE] {
        assert_eq!(found(text, &Rules::of_drawn_runs(), None), Ok(()));
    }
}

#[test]
fn pictures_that_never_reach_a_node() {
    let deliver = |to: usize, envelope: &mut Envelope| {
        let picture = matches!(
            envelope.message,
            Message::Gossip(_) | Message::GossipDelta(_) | Message::Status(_)
        );
        to != 2 || !picture
    };
    finds(|| Box::new(ViewsConverge), RUN, Bug::of_messages(deliver));
}

#[test]
fn values_that_never_reach_a_node() {
    let deliver = |to: usize, envelope: &mut Envelope| {
        to != 2 || !matches!(envelope.message, Message::SharedState(_))
    };
    finds(|| Box::new(StateReachesAll), RUN, Bug::of_messages(deliver));
}

#[test]
fn a_node_that_does_not_know_that_all_agree() {
    let deliver = |to: usize, envelope: &mut Envelope| {
        to != 2 || !matches!(envelope.message, Message::SharedState(_))
    };
    finds(
        || Box::new(ConsensusHolds),
        ALIKE,
        Bug::of_messages(deliver),
    );
}

#[test]
fn a_word_that_one_does_not_hear() {
    let deliver = |to: usize, envelope: &mut Envelope| {
        to != 2 || !matches!(envelope.message, Message::Broadcast(_))
    };
    finds(
        || Box::new(BroadcastsArrive),
        ALIKE,
        Bug::of_messages(deliver),
    );
}

#[test]
fn a_node_that_weighs_a_host_otherwise() {
    let view = |host: usize, state: &ClusterState| {
        (host == 1).then(|| weighed(state, |host| if host == "c" { 100 } else { 1 }))
    };
    finds(
        || Box::new(PlacementAgrees::default()),
        ALIKE,
        Bug::of_views(view),
    );
}

#[test]
fn a_host_that_takes_what_was_another_ones() {
    let views = Cell::new(0);
    let view = move |host: usize, state: &ClusterState| {
        views.set(views.get() + u64::from(host == 0));
        let late = 5 < state.members.len() + usize::from(state.converged) * 3;
        (host == 0 && late).then(|| {
            let mut other = weighed(state, |host| if host == "c" { 100_000 } else { 1 });
            other.topology.hash = views.get();
            other
        })
    };
    finds(
        || Box::new(PlacementAgrees::default()),
        ALIKE,
        Bug::of_views(view),
    );
}

#[test]
fn a_downed_node_that_does_not_end() {
    let carry_out = |_: usize, effect: &mut Effect| {
        !matches!(effect, Effect::Terminate { .. } | Effect::BeginExit { .. })
    };
    finds(
        || Box::new(DownedNodesEnd::default()),
        DOWNED,
        Bug::of_effects(carry_out),
    );
}

#[test]
fn an_event_that_is_swallowed() {
    let swallowed = Cell::new(false);
    let carry_out = move |host: usize, effect: &mut Effect| {
        let up = matches!(effect, Effect::Publish { notice: Notice::Event(event), .. } if event.name() == "member-up");
        !(host == 1 && up && !swallowed.replace(true))
    };
    finds(
        || Box::new(EventsFold::default()),
        RUN,
        Bug::of_effects(carry_out),
    );
}

#[test]
fn a_callback_that_does_not_come() {
    let carry_out = |_: usize, effect: &mut Effect| !matches!(effect, Effect::Callback { callback } if *callback == REMOVED);
    finds(
        || Box::new(CallbacksComeOnce::default()),
        RUN,
        Bug::of_effects(carry_out),
    );
}

#[test]
fn an_explanation_of_another_decision() {
    let carry_out = |_: usize, effect: &mut Effect| {
        if let Effect::Explain(explanation) = effect {
            explanation.down.clear();
        }
        true
    };
    finds(
        || Box::new(ExplanationsReplay),
        CRASHED,
        Bug::of_effects(carry_out),
    );
}

#[test]
fn two_sides_that_do_not_hear_of_each_other() {
    let deliver =
        |_: usize, envelope: &mut Envelope| !matches!(envelope.message, Message::Presence(_));
    finds(
        || Box::new(OneSideSurvives),
        TWO_OPERATORS_OF_ONE_CLUSTER,
        Bug::of_messages(deliver),
    );
}

#[test]
fn two_clusters_that_no_contact_point_brings_together() {
    let rules = Rules::of_drawn_runs();
    assert_eq!(found(TWO_CLUSTERS, &rules, None), Ok(()));
    let deliver =
        |_: usize, envelope: &mut Envelope| !matches!(envelope.message, Message::Presence(_));
    finds(
        || Box::new(OneSideSurvives),
        [TWO_CLUSTERS, A_CONTACT_POINT_IS_BACK].concat().as_str(),
        Bug::of_messages(deliver),
    );
}

#[test]
fn votes_that_do_not_arrive() {
    let deliver = |_: usize, envelope: &mut Envelope| !matches!(envelope.message, Message::Vote(_));
    finds(|| Box::new(ViewsConverge), LASTS, Bug::of_messages(deliver));
}

#[test]
fn two_sides_that_both_go_on() {
    let rules = Rules::of(vec![Box::new(OneSideSurvives)]);
    let why = found(TWO_OPERATORS, &rules, None).expect_err("both sides go on");
    assert!(why.starts_with("one side survives: "), "{why}");
}

/// A copy of the state whose members are changed.
fn with_members(
    state: &ClusterState,
    change: impl FnOnce(&mut Vec<granary_core::membership::member::Member>),
) -> ClusterState {
    let mut other = state.clone();
    change(Arc::make_mut(&mut other.members));
    other
}

/// A copy of the state whose members have other capacities.
fn weighed(state: &ClusterState, capacity: impl Fn(&str) -> u32) -> ClusterState {
    with_members(state, |members| {
        for member in members {
            let capacity = capacity(member.node.address.host());
            Arc::make_mut(&mut member.profile).capacity = capacity;
        }
    })
}

#[test]
fn a_member_that_goes_back() {
    let view = |host: usize, state: &ClusterState| {
        let leaving = state
            .members
            .iter()
            .any(|member| member.status == Status::Exiting);
        (host == 0 && leaving).then(|| {
            with_members(state, |members| {
                let exiting = members
                    .iter_mut()
                    .filter(|member| member.status == Status::Exiting);
                exiting.for_each(|member| member.status = Status::Up);
            })
        })
    };
    finds(
        || Box::new(NoIllegalTransition::default()),
        RUN,
        Bug::of_views(view),
    );
}

#[test]
fn a_member_that_comes_back() {
    let gone = RefCell::new(None);
    let view = move |host: usize, state: &ClusterState| {
        let mut gone = gone.borrow_mut();
        let leaving = state
            .members
            .iter()
            .find(|member| member.status == Status::Exiting);
        if host != 0 {
            return None;
        }
        if let Some(leaving) = leaving {
            *gone = Some(leaving.clone());
            return None;
        }
        // It is gone for one picture, and there again in the next.
        let back = gone.clone()?;
        (state.members.len() == 3 && state.converged)
            .then(|| with_members(state, |members| members.push(back)))
    };
    finds(
        || Box::new(RemovedStaysRemoved::default()),
        RUN,
        Bug::of_views(view),
    );
}

#[test]
fn a_node_that_thinks_it_leads() {
    let view = |host: usize, state: &ClusterState| {
        let led = state.converged && state.leader.is_some();
        (host == 1 && led).then(|| {
            let own = state
                .members
                .iter()
                .find(|member| member.node.address.host() == "b");
            let mut other = state.clone();
            other.leader = own.map(|member| member.node.clone());
            other
        })
    };
    finds(|| Box::new(OneLeader::default()), RUN, Bug::of_views(view));
}
