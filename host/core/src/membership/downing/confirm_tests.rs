//! A decision waits until everybody has confirmed the picture, and not for ever.

use alloc::vec;
use core::time::Duration;

use super::decision::Decision;
use super::resolver_tests::*;
use super::{Effect, Event};

#[test]
fn all_are_asked_once_when_the_picture_is_at_rest_and_again_when_it_has_changed() {
    let mut rig = Rig::new(keep_majority(), "a", &["a", "b", "c", "d"]);
    rig.silence(&["c"]);
    rig.mark("a", "d");
    assert_eq!(rig.asked_until(30), [20_000]);
    rig.heal("d");
    rig.mark("a", "d");
    assert_eq!(rig.asked_until(54), [50_000]);
}

#[test]
fn nobody_is_downed_before_all_have_confirmed_the_picture() {
    let mut rig = Rig::new(keep_majority(), "a", &["a", "b", "c", "d"]);
    rig.silence(&["c"]);
    rig.mark("a", "d");
    assert_eq!(rig.until(30), []);
    assert_eq!(rig.hear(Event::Seen), []);
    rig.silence(&[]);
    assert_eq!(
        acts(rig.hear(Event::Seen)),
        [down(&["d"], Decision::DownUnreachable)]
    );
}

#[test]
fn what_is_never_confirmed_is_given_up() {
    let mut rig = Rig::new(keep_majority(), "a", &["a", "b", "c", "d"]);
    rig.silence(&["c"]);
    rig.mark("a", "d");
    rig.until(14);
    // At rest from 34 s on, an instant before unrest would be too long; confirming it, and voting, has as much time.
    rig.mark("b", "d");
    assert_eq!(rig.acts_until(68), []);
    let unstable = Effect::Unstable {
        changes: 2,
        lasting: Duration::from_secs(69),
    };
    let all = down(&["b", "c", "d", "a"], Decision::DownAll);
    assert_eq!(rig.acts_until(69), [(69_000, unstable), (69_000, all)]);
}

#[test]
fn who_leads_no_more_asks_nobody_and_decides_nothing() {
    let mut rig = Rig::new(keep_majority(), "a", &["a", "b", "c", "d"]);
    rig.silence(&["c"]);
    rig.mark("a", "d");
    rig.until(25);
    rig.hear(Event::Leader(false));
    rig.silence(&[]);
    assert_eq!(rig.hear(Event::Seen), vec![]);
    assert_eq!(rig.until(34), []);
}
