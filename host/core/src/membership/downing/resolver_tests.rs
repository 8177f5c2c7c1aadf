//! When the resolver decides, and what it does with the lease.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::time::Duration;

use super::decision::Decision;
use super::picture::{Observation, Picture, Voter};
use super::strategy::{Policy, Strategy, Verdict};
use super::tests::node;
use super::{Cause, Reason, Vote};
use super::{Config, Downing, Effect, Event};
use crate::id::Time;
use crate::membership::address::UniqueAddress;
use crate::membership::member::{AppVersion, Member, Profile, Status};
use crate::membership::protocol::ProtocolRange;

/// One node's membership, by hand: members, marks, and the resolver that hears of both.
pub(super) struct Rig {
    pub(super) downing: Downing,
    members: BTreeMap<&'static str, Member>,
    marks: Vec<(&'static str, &'static str)>,
    this: &'static str,
    /// Who confirms nothing.
    silent: Vec<&'static str>,
    now: Time,
    /// Pictures that were drawn.
    drawn: RefCell<usize>,
}

const STABLE_AFTER: Duration = Duration::from_secs(20);
const UNSTABLE: Duration = Duration::from_secs(15);

fn profile(dc: &str) -> Arc<Profile> {
    Arc::new(Profile {
        roles: [].into(),
        dc: dc.into(),
        app_version: AppVersion::default(),
        protocol: ProtocolRange::SUPPORTED,
        kinds: [].into(),
        capacity: 1,
        labels: BTreeMap::new(),
    })
}

fn config(policy: Option<Arc<dyn Policy>>, this: &str) -> Config {
    Config {
        this: node(this),
        dc: "default".into(),
        policy,
        stable_after: STABLE_AFTER,
        down_all_when_unstable: Some(UNSTABLE),
        watched: 9,
    }
}

fn idle() -> Downing {
    Downing::new(config(None, "a"), Time(0))
}

pub(super) fn keep_majority() -> Strategy {
    Strategy::KeepMajority { role: None }
}

pub(super) fn lease_majority() -> Strategy {
    Strategy::LeaseMajority {
        role: None,
        minority_delay: Duration::from_secs(2),
        release_after: Duration::from_secs(40),
    }
}

impl Rig {
    /// A node that leads, all of whose members came up before anything happens.
    pub(super) fn new(
        policy: impl Policy + 'static,
        this: &'static str,
        members: &[&'static str],
    ) -> Self {
        let mut rig = Self::blank(Some(Arc::new(policy)), this);
        for name in members {
            assert_eq!(rig.member(name, Status::Up), []);
        }
        assert_eq!(rig.hear(Event::Leader(true)), []);
        rig
    }

    fn blank(policy: Option<Arc<dyn Policy>>, this: &'static str) -> Self {
        Self {
            downing: Downing::new(config(policy, this), Time(0)),
            members: BTreeMap::new(),
            marks: Vec::new(),
            this,
            silent: Vec::new(),
            now: Time(0),
            drawn: RefCell::new(0),
        }
    }

    pub(super) fn picture(&self) -> Picture {
        *self.drawn.borrow_mut() += 1;
        let rows = self.marks.iter().map(|(observer, subject)| Observation {
            observer: node(observer),
            subject: node(subject),
            is_terminated: false,
        });
        let is_marked = |name: &str| self.marks.iter().any(|(_, subject)| *subject == name);
        let seen = self.members.keys();
        let seen = seen.filter(|name| !is_marked(name) && !self.silent.contains(name));
        Picture::new(
            node(self.this),
            "default".into(),
            self.members.values().map(Voter::from),
            rows,
            seen.map(|name| node(name)),
        )
    }

    /// These confirm nothing from now on, and all others do.
    pub(super) fn silence(&mut self, silent: &[&'static str]) {
        self.silent = silent.to_vec();
    }

    /// When all are asked to confirm the picture.
    pub(super) fn asked_until(&mut self, second: u64) -> Vec<u64> {
        let mut asked = Vec::new();
        self.wake_until(second, |at, rig| {
            let effects = rig.hear(Event::Wake);
            asked.extend(effects.contains(&Effect::Confirm).then_some(at));
        });
        asked
    }

    /// What comes of an event. Whoever is asked for a vote gives it at once.
    pub(super) fn hear(&mut self, event: Event<'_>) -> Vec<Effect> {
        let mut out = self.hear_alone(event);
        while let Some(at) = out.iter().position(|it| matches!(it, Effect::Ask { .. })) {
            let Effect::Ask { ballot, of } = out.remove(at) else {
                continue;
            };
            let is_silent = |node: &UniqueAddress| self.silent.contains(&node.address.host());
            let voters: Vec<_> = of.into_iter().filter(|node| !is_silent(node)).collect();
            for by in voters.iter().filter(|_| !ballot.down.is_empty()) {
                out.extend(self.hear_alone(Event::Voted {
                    by,
                    vote: &vote(ballot.number, &[]),
                }));
            }
        }
        out
    }

    /// The same, and nobody votes.
    pub(super) fn hear_alone(&mut self, event: Event<'_>) -> Vec<Effect> {
        let mut out = Vec::new();
        let mut downing = core::mem::replace(&mut self.downing, idle());
        downing.handle(self.now, event, &|| self.picture(), &mut out);
        self.downing = downing;
        out
    }

    /// A member's status, new or changed.
    pub(super) fn member(&mut self, name: &'static str, status: Status) -> Vec<Effect> {
        let joining = matches!(status, Status::Joining | Status::WeaklyUp);
        let member = Member {
            node: node(name),
            status,
            up_number: (!joining).then_some(1),
            downed_by: None,
            profile: profile("default"),
        };
        self.members.insert(name, member.clone());
        match status {
            Status::WeaklyUp => self.hear(Event::WeaklyUp(&member)),
            Status::Up => self.hear(Event::Up(&member)),
            Status::Leaving => self.hear(Event::Left(&member)),
            Status::Exiting => self.hear(Event::Exited(&member)),
            Status::Down => self.hear(Event::Downed(&member)),
            Status::Removed => {
                self.members.remove(name);
                self.marks.retain(|(a, b)| *a != name && *b != name);
                self.hear(Event::Removed(&node(name)))
            }
            Status::Joining | Status::PreparingForShutdown | Status::ReadyForShutdown => vec![],
        }
    }

    pub(super) fn mark(&mut self, observer: &'static str, subject: &'static str) {
        self.marks.push((observer, subject));
        let member = self.members[subject].clone();
        assert_eq!(self.hear(Event::Unreachable(&member)), []);
    }

    pub(super) fn heal(&mut self, subject: &'static str) {
        self.marks.retain(|(_, marked)| *marked != subject);
        let member = self.members[subject].clone();
        assert_eq!(self.hear(Event::Reachable(&member)), []);
    }

    /// A member is reached again, and nobody votes.
    pub(super) fn marks_lost(&mut self, subject: &'static str, said: &mut Vec<Effect>) {
        self.marks.retain(|(_, marked)| *marked != subject);
        let member = self.members[subject].clone();
        said.extend(self.hear_alone(Event::Reachable(&member)));
    }

    /// A cluster that finds no rest is not given up from now on.
    pub(super) fn never_unstable(&mut self) {
        self.downing.give_nobody_up();
    }

    /// The resolver is woken when it asked to be, and is never late.
    pub(super) fn wake_until(&mut self, second: u64, wake: impl FnMut(u64, &mut Self)) {
        self.wake_until_ms(second * 1000, wake);
    }

    pub(super) fn wake_until_ms(&mut self, end: u64, mut wake: impl FnMut(u64, &mut Self)) {
        let end = Time(0).after(Duration::from_millis(end));
        let mut wakes = 0;
        while let Some(at) = self.downing.next_wake().filter(|at| *at <= end) {
            assert!(self.now <= at || wakes < 1000, "it never rests");
            wakes += 1;
            self.now = self.now.max(at);
            wake(self.now.0 / 1_000_000, self);
        }
        self.now = end;
    }

    /// What comes of waiting up to a second of the rig's life. Whoever is asked to confirm the picture does so at once.
    pub(super) fn until(&mut self, second: u64) -> Vec<(u64, Effect)> {
        let mut all = Vec::new();
        self.wake_until(second, |at, rig| {
            let mut effects = rig.hear(Event::Wake);
            if let Some(asked) = effects.iter().position(|it| *it == Effect::Confirm) {
                effects.remove(asked);
                effects.extend(rig.hear(Event::Seen));
            }
            all.extend(effects.into_iter().map(|effect| (at, effect)));
        });
        all
    }

    /// The same, with explanations left out.
    pub(super) fn acts_until(&mut self, second: u64) -> Vec<(u64, Effect)> {
        let mut acts = self.until(second);
        acts.retain(|(_, effect)| !matches!(effect, Effect::Explain(_)));
        acts
    }
}

pub(super) fn vote(number: u64, bound: &[&str]) -> Vote {
    Vote {
        number,
        bound: bound.iter().map(|name| node(name)).collect(),
    }
}

pub(super) fn down(nodes: &[&str], decision: Decision) -> Effect {
    Effect::Down {
        nodes: nodes.iter().map(|name| node(name)).collect(),
        decision,
    }
}

pub(super) fn acts(effects: Vec<Effect>) -> Vec<Effect> {
    let is_act = |effect: &Effect| !matches!(effect, Effect::Explain(_));
    effects.into_iter().filter(is_act).collect()
}

#[test]
fn the_leader_downs_the_unreachable_when_nothing_changed_for_long_enough() {
    let mut rig = Rig::new(keep_majority(), "a", &["a", "b", "c"]);
    rig.until(5);
    rig.mark("a", "b");
    let effects = rig.until(60);
    let (_, Effect::Explain(explanation)) = &effects[0] else {
        panic!("{effects:?}")
    };
    assert_eq!(explanation.cause, Cause::Unreachable);
    assert_eq!(explanation.because, Reason::Majority { here: 2, there: 1 });
    assert_eq!(
        effects[1],
        (25_000, down(&["b"], Decision::DownUnreachable))
    );
    // Nothing says that the downing was heard: it is decided again after the same time, and only then.
    assert_eq!(
        effects[3],
        (45_000, down(&["b"], Decision::DownUnreachable))
    );
    // One picture to ask about, one to decide on, and one to see that it still holds when there are votes enough, each time.
    assert_eq!((effects.len(), *rig.drawn.borrow()), (4, 6));
}

#[test]
fn who_is_down_already_is_left_alone() {
    let mut rig = Rig::new(keep_majority(), "a", &["a", "b", "c"]);
    rig.mark("a", "b");
    rig.member("b", Status::Down);
    assert_eq!(rig.until(100), []);
    rig.member("b", Status::Removed);
    rig.mark("a", "c");
    assert_eq!(rig.until(110), []);
    rig.member("c", Status::Exiting);
    assert_eq!(rig.until(200), []);
    assert_eq!(rig.downing.next_wake(), None);
}

#[test]
fn only_a_leader_that_was_let_in_decides() {
    let mut rig = Rig::new(keep_majority(), "a", &["a", "b", "c"]);
    rig.hear(Event::Leader(false));
    rig.mark("a", "c");
    assert_eq!(rig.until(30), []);
    // It has been at rest long enough: the new leader need not wait again.
    rig.hear(Event::Leader(true));
    assert_eq!(
        rig.acts_until(30),
        [(30_000, down(&["c"], Decision::DownUnreachable))]
    );

    let mut rig = Rig::blank(Some(Arc::new(keep_majority())), "a");
    for name in ["b", "c", "d"] {
        rig.member(name, Status::Up);
    }
    rig.member("a", Status::Joining);
    rig.hear(Event::Leader(true));
    rig.mark("a", "c");
    assert_eq!(rig.until(30), []);
    rig.member("a", Status::WeaklyUp);
    assert_eq!(
        rig.acts_until(30),
        [(30_000, down(&["c"], Decision::DownUnreachable))]
    );
}

#[test]
fn a_weakly_up_leader_whose_members_are_all_gone_goes_itself_and_last() {
    let mut rig = Rig::blank(Some(Arc::new(keep_majority())), "a");
    rig.member("c", Status::Up);
    rig.member("a", Status::WeaklyUp);
    rig.member("b", Status::WeaklyUp);
    rig.hear(Event::Leader(true));
    rig.mark("a", "c");
    assert_eq!(
        rig.acts_until(30),
        [(20_000, down(&["b", "a"], Decision::DownReachable))]
    );
}

#[test]
fn a_leader_that_loses_its_place_decides_nothing() {
    let mut rig = Rig::new(keep_majority(), "a", &["a", "b", "c"]);
    rig.mark("a", "c");
    rig.until(10);
    rig.hear(Event::Leader(false));
    assert_eq!(rig.acts_until(34), []);
}

#[test]
fn what_heals_in_time_is_not_downed() {
    let mut rig = Rig::new(keep_majority(), "a", &["a", "b", "c"]);
    rig.mark("a", "b");
    rig.until(19);
    rig.heal("b");
    assert_eq!(rig.until(500), []);
}

#[test]
fn what_is_removed_in_time_is_not_downed() {
    let mut rig = Rig::new(keep_majority(), "a", &["a", "b", "c"]);
    rig.mark("a", "b");
    rig.until(19);
    rig.member("b", Status::Removed);
    assert_eq!(rig.until(500), []);
}

#[test]
fn each_change_that_matters_starts_the_wait_anew() {
    let resets: [(&str, Status, u64); 6] = [
        ("d", Status::Up, 30_000),
        ("d", Status::Exiting, 30_000),
        ("d", Status::Down, 30_000),
        ("d", Status::Joining, 20_000),
        ("d", Status::WeaklyUp, 20_000),
        ("d", Status::Leaving, 20_000),
    ];
    for (name, status, expected) in resets {
        let mut rig = Rig::new(keep_majority(), "a", &["a", "b", "c"]);
        rig.mark("a", "b");
        rig.until(10);
        rig.member(name, status);
        let found = rig.acts_until(34);
        assert_eq!(
            found,
            [(expected, down(&["b"], Decision::DownUnreachable))],
            "{status:?}"
        );
    }
    // Reachable and unreachable, too.
    let mut rig = Rig::new(keep_majority(), "a", &["a", "b", "c", "d", "e"]);
    rig.mark("a", "b");
    rig.until(6);
    rig.mark("a", "c");
    rig.until(12);
    rig.heal("c");
    let found = rig.acts_until(34);
    assert_eq!(found, [(32_000, down(&["b"], Decision::DownUnreachable))]);
}

#[test]
fn members_of_other_data_centres_are_none_of_its_business() {
    let mut rig = Rig::new(keep_majority(), "a", &["a", "b", "c"]);
    let far = Member {
        node: node("z"),
        status: Status::Up,
        up_number: Some(1),
        downed_by: None,
        profile: profile("far"),
    };
    rig.members.insert("z", far.clone());
    rig.marks.push(("a", "z"));
    assert_eq!(rig.hear(Event::Unreachable(&far)), []);
    assert_eq!(rig.until(500), []);
}

#[test]
fn a_cluster_that_finds_no_rest_is_given_up_by_every_node() {
    let mut rig = Rig::new(keep_majority(), "b", &["a", "b", "c", "d", "e"]);
    rig.hear(Event::Leader(false));
    rig.mark("b", "d");
    for second in [10, 20, 30] {
        rig.until(second - 5);
        rig.mark("b", "e");
        rig.until(second);
        rig.heal("e");
    }
    let effects = rig.acts_until(60);
    let unstable = Effect::Unstable {
        changes: 7,
        lasting: Duration::from_secs(35),
    };
    let all = down(&["a", "c", "d", "e", "b"], Decision::DownAll);
    assert_eq!(effects, [(35_000, unstable), (35_000, all)]);
}

#[test]
fn unrest_is_forgotten_once_all_is_well() {
    let mut rig = Rig::new(keep_majority(), "b", &["a", "b", "c", "d", "e"]);
    rig.hear(Event::Leader(false));
    for second in 1..20 {
        rig.mark("b", "d");
        rig.until(second * 5);
        rig.heal("d");
    }
    assert_eq!(rig.until(500), []);
    // The same when the leader has downed whom it was about.
    rig.mark("b", "d");
    rig.until(520);
    rig.member("d", Status::Down);
    assert_eq!(rig.until(1000), []);
}

#[test]
fn members_that_only_join_cannot_keep_a_cluster_unstable() {
    let mut rig = Rig::new(keep_majority(), "b", &["a", "b", "c"]);
    rig.hear(Event::Leader(false));
    rig.member("j", Status::WeaklyUp);
    rig.mark("b", "j");
    assert_eq!(rig.until(500), []);
}

#[test]
fn instability_can_be_left_to_the_operator() {
    let mut rig = Rig::blank(None, "a");
    rig.downing = Downing::new(
        Config {
            down_all_when_unstable: None,
            ..config(Some(Arc::new(keep_majority())), "a")
        },
        Time(0),
    );
    rig.member("a", Status::Up);
    rig.member("b", Status::Up);
    rig.mark("a", "b");
    assert_eq!(rig.until(10_000), []);
}

#[test]
fn a_node_that_is_shut_out_by_a_member_goes() {
    let mut rig = Rig::new(keep_majority(), "a", &["a", "b", "c"]);
    rig.hear(Event::Leader(false));
    let effects = acts(rig.hear(Event::QuarantinedBy(&node("b"))));
    assert_eq!(
        effects,
        [down(&["a"], Decision::DownSelfQuarantinedByRemote)]
    );
}

#[test]
fn more_members_than_a_quorum_can_tell_apart_are_reported_once() {
    let quorum = Strategy::StaticQuorum {
        quorum_size: 2,
        role: None,
    };
    let mut rig = Rig::new(quorum, "a", &["a", "b", "c"]);
    assert_eq!(rig.until(10), []);
    rig.member("d", Status::Up);
    rig.member("e", Status::Up);
    let warning = Effect::TooManyMembers {
        members: 5,
        most: 3,
    };
    assert_eq!(rig.until(20), [(11_000, warning)]);
    rig.member("e", Status::Up);
    assert_eq!(rig.until(30), []);
}

#[test]
fn a_removed_node_and_a_node_without_policy_decide_nothing() {
    let mut rig = Rig::new(keep_majority(), "a", &["a", "b", "c"]);
    rig.mark("a", "b");
    rig.member("a", Status::Removed);
    assert_eq!((rig.until(500), rig.downing.next_wake()), (vec![], None));

    let mut rig = Rig::blank(None, "a");
    for name in ["a", "b"] {
        rig.member(name, Status::Up);
    }
    rig.hear(Event::Leader(true));
    rig.mark("a", "b");
    assert_eq!((rig.until(500), rig.downing.next_wake()), (vec![], None));
    assert_eq!(rig.hear(Event::QuarantinedBy(&node("b"))), []);
    assert_eq!(rig.downing.removal_margin(), Duration::ZERO);
}

#[test]
fn a_policy_from_outside_decides_in_the_same_way() {
    #[derive(Debug)]
    struct SpareTheOdd;
    impl Policy for SpareTheOdd {
        fn name(&self) -> &str {
            "spare-the-odd"
        }
        fn decide(&self, picture: &Picture) -> Verdict {
            let odd = picture.voters().count() % 2 == 1;
            Verdict {
                decision: if odd {
                    Decision::DownUnreachable
                } else {
                    Decision::DownAll
                },
                because: Reason::Policy {
                    text: "odd numbers bring luck".into(),
                },
            }
        }
    }
    let mut rig = Rig::new(SpareTheOdd, "a", &["a", "b", "c"]);
    rig.mark("a", "b");
    let effects = rig.until(20);
    let Effect::Explain(explanation) = &effects[0].1 else {
        panic!("{effects:?}")
    };
    assert_eq!(
        (explanation.policy.as_str(), explanation.replay()),
        ("spare-the-odd", None)
    );
    let again = super::Explanation::new(
        &SpareTheOdd,
        explanation.cause.clone(),
        explanation.picture.clone(),
    );
    assert_eq!(Box::new(again), *explanation);
    assert_eq!(effects[1].1, down(&["b"], Decision::DownUnreachable));
}
