//! What the resolver does with the lease.

use core::time::Duration;

use super::Cause;
use super::decision::Decision;
use super::resolver_tests::*;
use super::{Effect, Event, LeaseAnswer};
use crate::membership::member::Status;

#[test]
fn the_side_that_gets_the_lease_stays_and_lets_it_go_when_all_is_done() {
    let mut rig = Rig::new(lease_majority(), "a", &["a", "b", "c"]);
    rig.mark("a", "b");
    assert_eq!(rig.until(21), [(20_000, Effect::AcquireLease)]);
    let decision = Decision::AcquireLeaseAndDownUnreachable {
        delay: Duration::ZERO,
    };
    let effects = acts(rig.hear(Event::Lease(LeaseAnswer::Acquired)));
    assert_eq!(
        effects,
        [Effect::LeaseAcquired { decision }, down(&["b"], decision)]
    );
    rig.member("b", Status::Down);
    assert_eq!(rig.until(100), []);
    rig.member("b", Status::Removed);
    assert_eq!(rig.until(139), []);
    assert_eq!(rig.until(140), [(140_000, Effect::ReleaseLease)]);
    // It is tried again until it succeeds.
    assert_eq!(rig.until(145), [(145_000, Effect::ReleaseLease)]);
    assert_eq!(rig.hear(Event::Lease(LeaseAnswer::Failed)), []);
    assert_eq!(rig.until(146), [(146_000, Effect::ReleaseLease)]);
    assert_eq!(
        rig.hear(Event::Lease(LeaseAnswer::Released)),
        [Effect::LeaseReleased]
    );
    assert_eq!(rig.downing.next_wake(), None);
}

#[test]
fn the_side_that_does_not_get_the_lease_goes() {
    for answer in [LeaseAnswer::Denied, LeaseAnswer::Failed] {
        let mut rig = Rig::new(lease_majority(), "a", &["a", "b", "c"]);
        rig.mark("a", "b");
        rig.until(21);
        let effects = rig.hear(Event::Lease(answer));
        let decision = Decision::DownReachable;
        assert_eq!(effects[0], Effect::LeaseDenied { decision });
        let Effect::Explain(explanation) = &effects[1] else {
            panic!("{effects:?}")
        };
        assert_eq!(explanation.cause, Cause::LeaseDenied);
        assert_eq!(explanation.replay().as_ref(), Some(&**explanation));
        assert_eq!(effects[2], down(&["c", "a"], decision));
        // Who could not be asked may have granted it.
        let rest: &[_] = match answer {
            LeaseAnswer::Failed => &[Effect::ReleaseLease],
            LeaseAnswer::Acquired | LeaseAnswer::Denied | LeaseAnswer::Released => &[],
        };
        assert_eq!(&effects[3..], rest);
    }
}

#[test]
fn the_smaller_side_asks_later_and_what_happens_meanwhile_changes_nothing() {
    let mut rig = Rig::new(lease_majority(), "a", &["a", "b", "c"]);
    rig.mark("a", "b");
    rig.mark("a", "c");
    assert_eq!(rig.until(21), []);
    rig.heal("c");
    rig.hear(Event::Leader(false));
    assert_eq!(rig.until(22), [(22_000, Effect::AcquireLease)]);
    let effects = acts(rig.hear(Event::Lease(LeaseAnswer::Denied)));
    let decision = Decision::DownReachable;
    assert_eq!(
        effects,
        [Effect::LeaseDenied { decision }, down(&["a"], decision)]
    );
}

#[test]
fn a_lease_that_comes_too_late_is_given_back() {
    let mut rig = Rig::new(lease_majority(), "a", &["a", "b", "c"]);
    rig.mark("a", "b");
    let effects = rig.acts_until(26);
    let decision = Decision::DownReachable;
    assert_eq!(
        effects,
        [
            (20_000, Effect::AcquireLease),
            (25_000, Effect::LeaseDenied { decision }),
            (25_000, down(&["c", "a"], decision)),
            (25_000, Effect::ReleaseLease),
        ]
    );
    assert_eq!(
        rig.hear(Event::Lease(LeaseAnswer::Acquired)),
        [Effect::ReleaseLease]
    );
}

#[test]
fn a_lease_that_is_held_serves_the_next_decision_and_is_kept_for_it() {
    let mut rig = Rig::new(lease_majority(), "a", &["a", "b", "c", "d", "e"]);
    rig.mark("a", "b");
    rig.until(20);
    rig.hear(Event::Lease(LeaseAnswer::Acquired));
    rig.member("b", Status::Down);
    rig.member("b", Status::Removed);
    rig.until(30);
    rig.mark("a", "c");
    let decision = Decision::AcquireLeaseAndDownUnreachable {
        delay: Duration::ZERO,
    };
    assert_eq!(rig.acts_until(55), [(50_000, down(&["c"], decision))]);
    rig.member("c", Status::Down);
    assert_eq!(rig.acts_until(90), []);
    rig.member("c", Status::Removed);
    assert_eq!(rig.acts_until(131), [(130_000, Effect::ReleaseLease)]);
}

#[test]
fn a_lease_that_was_lost_is_asked_for_again() {
    let mut rig = Rig::new(lease_majority(), "a", &["a", "b", "c", "d", "e"]);
    rig.mark("a", "b");
    rig.until(20);
    rig.hear(Event::Lease(LeaseAnswer::Acquired));
    assert_eq!(rig.hear(Event::Lease(LeaseAnswer::Failed)), []);
    rig.member("b", Status::Removed);
    rig.mark("a", "c");
    assert_eq!(rig.acts_until(41), [(40_000, Effect::AcquireLease)]);
}
