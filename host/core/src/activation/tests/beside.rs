//! Turns that run side by side.

use super::*;

#[test]
fn turns_that_run_side_by_side_are_kept_one_after_the_other() {
    let mut m = machine();
    step(&mut m, 0, beside(1));
    step(&mut m, 0, beside(2));
    assert_eq!(
        step(&mut m, 0, Event::Loaded(facts(false, true))),
        [run(0, 1), run(1, 2)]
    );
    // The second one ends first, so it is kept first; the first one waits for that.
    assert_eq!(
        step(&mut m, 1, ended(1, End::Keep)),
        [Effect::Commit(TurnId(1))]
    );
    assert_eq!(step(&mut m, 2, ended(0, End::Keep)), []);
    assert!(m.is_committing(TurnId(0)));
    assert_eq!(
        step(&mut m, 3, committed(1, Kept::Yes)),
        [Effect::Commit(TurnId(0)), reply(1, 2)]
    );
    // What the first one did is refused: its memory is not to be trusted, and the next call meets a new instance.
    assert_eq!(step(&mut m, 4, beside(3)), [run(2, 3)]);
    assert_eq!(step(&mut m, 5, committed(0, Kept::No)), [reply(0, 1)]);
    assert_eq!(step(&mut m, 5, beside(4)), []);
    assert_eq!(
        step(&mut m, 6, ended(2, End::Clean)),
        [
            reply(2, 3),
            Effect::Drop,
            Effect::Load(ActivateReason::Recovery)
        ]
    );
}

#[test]
fn an_exclusive_call_keeps_later_ones_from_overtaking_it() {
    let mut m = machine();
    step(&mut m, 0, beside(1));
    step(&mut m, 0, Event::Loaded(facts(false, true)));
    assert_eq!(step(&mut m, 0, call(2)), []);
    assert_eq!(step(&mut m, 0, beside(3)), []);
    assert_eq!(
        step(&mut m, 1, ended(0, End::Clean)),
        [reply(0, 1), run(1, 2)]
    );
    assert_eq!(
        step(&mut m, 2, ended(1, End::Clean)),
        [reply(1, 2), run(2, 3)]
    );
}
