//! Each rule as a list of events and the whole list of effects.

mod beside;

use alloc::vec::Vec;
use core::time::Duration;

use super::*;
use crate::id::Revision;

const IDLE: Duration = Duration::from_nanos(1000);

fn rules() -> Rules {
    Rules {
        mailbox_calls: 3,
        mailbox_bytes: 100,
        idle: IDLE,
    }
}

fn facts(hooks: bool, side_by_side: bool) -> Facts {
    Facts {
        migrate: None,
        hooks,
        side_by_side,
        rules: rules(),
    }
}

fn machine() -> Activation {
    Activation::new(Time(0), rules())
}

fn step(machine: &mut Activation, now: u64, event: Event) -> Vec<Effect> {
    let mut out = Vec::new();
    machine.handle(Time(now), event, &mut out);
    out
}

fn call(id: u128) -> Event {
    Event::Arrived(waiting(id))
}

fn waiting(id: u128) -> Waiting {
    Waiting {
        call: CallId(id),
        bytes: 10,
        beside: false,
        deadline: Time(500),
        repeated: false,
    }
}

fn beside(id: u128) -> Event {
    Event::Arrived(Waiting {
        beside: true,
        ..waiting(id)
    })
}

fn ended(turn: u64, end: End) -> Event {
    Event::Ended {
        turn: TurnId(turn),
        end,
    }
}

fn committed(turn: u64, kept: Kept) -> Event {
    Event::Committed {
        turn: TurnId(turn),
        kept,
    }
}

fn run(turn: u64, id: u128) -> Effect {
    Effect::Run {
        turn: TurnId(turn),
        work: Work::Call(CallId(id)),
    }
}

fn reply(turn: u64, id: u128) -> Effect {
    Effect::Reply {
        turn: TurnId(turn),
        call: CallId(id),
    }
}

fn refuse(id: u128, why: Refusal) -> Effect {
    Effect::Refuse {
        call: CallId(id),
        why,
    }
}

/// A machine that runs call 1 as turn 0.
fn running(side_by_side: bool) -> Activation {
    let mut m = machine();
    step(&mut m, 0, call(1));
    assert_eq!(
        step(&mut m, 0, Event::Loaded(facts(false, side_by_side))),
        [run(0, 1)]
    );
    m
}

#[test]
fn a_first_call_loads_wakes_runs_commits_and_only_then_is_answered() {
    let mut m = machine();
    assert_eq!(
        step(&mut m, 0, call(1)),
        [Effect::Load(ActivateReason::Message)]
    );
    assert_eq!(step(&mut m, 1, call(2)), []);
    let wake = Effect::Run {
        turn: TurnId(0),
        work: Work::Activate(ActivateReason::Message),
    };
    assert_eq!(step(&mut m, 2, Event::Loaded(facts(true, false))), [wake]);
    assert_eq!(
        step(&mut m, 3, ended(0, End::Keep)),
        [Effect::Commit(TurnId(0))]
    );
    assert_eq!(
        step(&mut m, 4, committed(0, Kept::Yes)),
        [Effect::Close(TurnId(0)), run(1, 1)]
    );
    assert_eq!(
        step(&mut m, 5, ended(1, End::Keep)),
        [Effect::Commit(TurnId(1))]
    );
    assert_eq!(
        step(&mut m, 6, committed(1, Kept::Yes)),
        [reply(1, 1), run(2, 2)]
    );
    assert_eq!(step(&mut m, 7, ended(2, End::Clean)), [reply(2, 2)]);
}

#[test]
fn a_full_mailbox_is_an_answer() {
    let mut m = running(false);
    for id in 2..=4 {
        assert_eq!(step(&mut m, 0, call(id)), []);
    }
    assert_eq!(
        step(&mut m, 0, call(5)),
        [refuse(5, Refusal::MailboxCalls(3))]
    );
    let mut m = running(false);
    step(&mut m, 0, call(2));
    let large = Event::Arrived(Waiting {
        bytes: 91,
        ..waiting(3)
    });
    assert_eq!(
        step(&mut m, 0, large),
        [refuse(3, Refusal::MailboxBytes(100))]
    );
}

#[test]
fn reads_overlap_only_where_the_component_can_and_never_overtake() {
    let mut m = machine();
    step(&mut m, 0, beside(1));
    assert_eq!(
        step(&mut m, 0, Event::Loaded(facts(false, true))),
        [run(0, 1)]
    );
    assert_eq!(step(&mut m, 0, beside(2)), [run(1, 2)]);
    assert_eq!(step(&mut m, 0, call(3)), []);
    assert_eq!(
        step(&mut m, 0, beside(4)),
        [],
        "it came after an exclusive one"
    );
    assert_eq!(step(&mut m, 0, ended(0, End::Clean)), [reply(0, 1)]);
    assert_eq!(
        step(&mut m, 0, ended(1, End::Clean)),
        [reply(1, 2), run(2, 3)]
    );
    assert_eq!(
        step(&mut m, 0, ended(2, End::Clean)),
        [reply(2, 3), run(3, 4)]
    );
    let mut m = machine();
    step(&mut m, 0, beside(1));
    step(&mut m, 0, Event::Loaded(facts(false, false)));
    assert_eq!(step(&mut m, 0, beside(2)), []);
}

#[test]
fn a_failed_turn_is_answered_and_replaced_for_the_next_call() {
    let mut m = running(false);
    step(&mut m, 0, call(2));
    let replaced = [
        reply(0, 1),
        Effect::Drop,
        Effect::Load(ActivateReason::Recovery),
    ];
    assert_eq!(step(&mut m, 1, ended(0, End::Failed)), replaced);
    assert_eq!(
        step(&mut m, 2, Event::Loaded(facts(false, false))),
        [run(1, 2)]
    );
    assert_eq!(
        step(&mut m, 3, ended(1, End::Failed)),
        [reply(1, 2), Effect::Drop]
    );
    assert_eq!(
        step(&mut m, 4, call(3)),
        [Effect::Load(ActivateReason::Recovery)]
    );
}

#[test]
fn a_failed_read_waits_for_its_neighbours_and_lets_nobody_in() {
    let mut m = machine();
    step(&mut m, 0, beside(1));
    step(&mut m, 0, Event::Loaded(facts(false, true)));
    step(&mut m, 0, beside(2));
    assert_eq!(step(&mut m, 0, ended(0, End::Failed)), [reply(0, 1)]);
    assert_eq!(step(&mut m, 0, beside(3)), []);
    let replaced = [
        reply(1, 2),
        Effect::Drop,
        Effect::Load(ActivateReason::Recovery),
    ];
    assert_eq!(step(&mut m, 0, ended(1, End::Failed)), replaced);
}

#[test]
fn a_turn_that_was_rolled_back_but_handled_commits_and_loses_its_memory() {
    let mut m = running(false);
    assert_eq!(
        step(&mut m, 1, ended(0, End::KeepAndDrop)),
        [Effect::Commit(TurnId(0))]
    );
    assert_eq!(
        step(&mut m, 2, committed(0, Kept::Yes)),
        [reply(0, 1), Effect::Drop]
    );
}

#[test]
fn a_refused_commit_drops_the_instance() {
    let mut m = running(false);
    step(&mut m, 1, ended(0, End::Keep));
    assert_eq!(
        step(&mut m, 2, committed(0, Kept::No)),
        [reply(0, 1), Effect::Drop]
    );
}

#[test]
fn a_fenced_turn_runs_once_more_if_it_may_and_then_gives_up() {
    let mut m = running(false);
    step(&mut m, 0, call(2));
    step(&mut m, 1, ended(0, End::Keep));
    let fenced = Kept::Fenced { again: true };
    let again = [
        Effect::Close(TurnId(0)),
        Effect::Drop,
        Effect::Load(ActivateReason::Recovery),
    ];
    assert_eq!(step(&mut m, 2, committed(0, fenced)), again);
    assert_eq!(
        step(&mut m, 3, Event::Loaded(facts(false, false))),
        [run(1, 1)],
        "before the one that came later"
    );
    step(&mut m, 4, ended(1, End::Keep));
    let given_up = [
        reply(1, 1),
        Effect::Drop,
        Effect::Load(ActivateReason::Recovery),
    ];
    assert_eq!(step(&mut m, 5, committed(1, fenced)), given_up);
    let mut m = running(false);
    step(&mut m, 1, ended(0, End::Keep));
    let not_again = step(&mut m, 2, committed(0, Kept::Fenced { again: false }));
    assert_eq!(not_again, [reply(0, 1), Effect::Drop]);
}

#[test]
fn deadlines_tell_a_waiting_call_from_a_running_one() {
    let mut m = running(false);
    step(
        &mut m,
        100,
        Event::Arrived(Waiting {
            deadline: Time(300),
            ..waiting(2)
        }),
    );
    assert_eq!(m.next_wake(), Some(Time(300)));
    assert_eq!(
        step(&mut m, 300, Event::Wake),
        [refuse(2, Refusal::TimedOut { started: false })]
    );
    assert_eq!(m.next_wake(), Some(Time(500)));
    let late = [
        refuse(1, Refusal::TimedOut { started: true }),
        Effect::Tell {
            turn: TurnId(0),
            stop: false,
        },
    ];
    assert_eq!(step(&mut m, 500, Event::Wake), late);
    assert_eq!(m.next_wake(), None);
    assert_eq!(
        step(&mut m, 600, ended(0, End::Keep)),
        [Effect::Commit(TurnId(0))],
        "it is finished all the same"
    );
    assert_eq!(
        step(&mut m, 700, committed(0, Kept::Yes)),
        [Effect::Close(TurnId(0))]
    );
    let too_late = step(&mut m, 700, call(3));
    assert_eq!(too_late, [refuse(3, Refusal::TimedOut { started: false })]);
}

#[test]
fn a_waiting_call_is_cancelled_and_a_running_one_is_told() {
    let mut m = running(false);
    step(&mut m, 0, call(2));
    let cancel = |call, stop| Event::Cancel {
        call: CallId(call),
        stop,
    };
    assert_eq!(
        step(&mut m, 0, cancel(2, false)),
        [refuse(2, Refusal::Cancelled)]
    );
    assert_eq!(step(&mut m, 0, cancel(2, false)), []);
    assert_eq!(
        step(&mut m, 0, cancel(1, true)),
        [Effect::Tell {
            turn: TurnId(0),
            stop: true
        }]
    );
    step(&mut m, 0, call(3));
    assert_eq!(
        step(&mut m, 0, Event::Circle(CallId(3))),
        [refuse(3, Refusal::Deadlock)]
    );
}

#[test]
fn an_idle_activation_says_goodbye_and_goes() {
    let mut m = machine();
    step(&mut m, 0, call(1));
    step(&mut m, 0, Event::Loaded(facts(true, false)));
    step(&mut m, 0, ended(0, End::Clean));
    step(&mut m, 10, ended(1, End::Clean));
    assert_eq!(
        step(&mut m, 500, Event::Wake),
        [],
        "an early wake does no harm"
    );
    assert_eq!(m.next_wake(), Some(Time(1010)));
    let goodbye = Effect::Run {
        turn: TurnId(2),
        work: Work::Deactivate(DeactivateReason::Idle),
    };
    assert_eq!(step(&mut m, 1010, Event::Wake), [goodbye]);
    assert_eq!(
        step(&mut m, 1011, ended(2, End::Keep)),
        [Effect::Commit(TurnId(2))]
    );
    assert_eq!(
        step(&mut m, 1012, committed(2, Kept::No)),
        [Effect::Close(TurnId(2)), Effect::Drop, Effect::Gone]
    );
}

#[test]
fn a_call_during_the_goodbye_meets_a_new_activation() {
    let mut m = machine();
    step(&mut m, 0, call(1));
    step(&mut m, 0, Event::Loaded(facts(true, false)));
    step(&mut m, 0, ended(0, End::Clean));
    step(&mut m, 0, ended(1, End::Clean));
    step(&mut m, 0, Event::Leave(DeactivateReason::Requested));
    assert_eq!(step(&mut m, 1, call(2)), []);
    let anew = [
        Effect::Close(TurnId(2)),
        Effect::Drop,
        Effect::Load(ActivateReason::Message),
    ];
    assert_eq!(step(&mut m, 2, ended(2, End::Clean)), anew);
}

#[test]
fn pressure_moves_only_what_rests() {
    let mut m = running(false);
    assert_eq!(
        step(&mut m, 1, Event::Leave(DeactivateReason::Pressure)),
        []
    );
    assert_eq!(step(&mut m, 2, ended(0, End::Clean)), [reply(0, 1)]);
    assert_eq!(
        step(&mut m, 3, Event::Leave(DeactivateReason::Pressure)),
        [Effect::Drop, Effect::Gone]
    );
}

#[test]
fn an_upgrade_waits_for_the_turn_and_keeps_the_queue() {
    let mut m = running(false);
    step(&mut m, 0, call(2));
    assert_eq!(step(&mut m, 1, Event::Leave(DeactivateReason::Upgrade)), []);
    let moved = [
        reply(0, 1),
        Effect::Drop,
        Effect::Load(ActivateReason::Upgrade),
    ];
    assert_eq!(step(&mut m, 2, ended(0, End::Clean)), moved);
    let migrate = Facts {
        migrate: Some(Revision(1)),
        ..facts(false, false)
    };
    let handed = Effect::Run {
        turn: TurnId(1),
        work: Work::Migrate(Revision(1)),
    };
    assert_eq!(step(&mut m, 3, Event::Loaded(migrate)), [handed]);
    assert_eq!(
        step(&mut m, 4, ended(1, End::Clean)),
        [Effect::Commit(TurnId(1))],
        "that it moved is to be kept"
    );
    assert_eq!(
        step(&mut m, 5, committed(1, Kept::Yes)),
        [Effect::Close(TurnId(1)), run(2, 2)]
    );
}

#[test]
fn an_upgrade_of_a_resting_grain_is_remembered_for_its_next_call() {
    let mut m = running(false);
    step(&mut m, 0, ended(0, End::Clean));
    assert_eq!(
        step(&mut m, 1, Event::Leave(DeactivateReason::Upgrade)),
        [Effect::Drop]
    );
    assert_eq!(
        step(&mut m, 2, call(2)),
        [Effect::Load(ActivateReason::Upgrade)]
    );
}

#[test]
fn a_failed_migration_puts_the_grain_back_and_serves_the_call_there() {
    let mut m = machine();
    step(&mut m, 0, call(1));
    step(
        &mut m,
        0,
        Event::Loaded(Facts {
            migrate: Some(Revision(1)),
            ..facts(false, false)
        }),
    );
    let back = [
        Effect::PutBack(TurnId(0)),
        Effect::Close(TurnId(0)),
        Effect::Drop,
        Effect::Load(ActivateReason::Message),
    ];
    assert_eq!(step(&mut m, 1, ended(0, End::Failed)), back);
    assert_eq!(
        step(&mut m, 2, Event::Loaded(facts(false, false))),
        [run(1, 1)]
    );
}

#[test]
fn a_migration_that_never_comes_to_an_end_is_given_up() {
    let mut m = machine();
    step(&mut m, 0, call(1));
    let migrate = Event::Loaded(Facts {
        migrate: Some(Revision(1)),
        ..facts(false, false)
    });
    for turn in 0..2 {
        step(&mut m, 0, migrate);
        assert_eq!(step(&mut m, 0, ended(turn, End::Failed)).len(), 4);
    }
    step(&mut m, 0, migrate);
    let given_up = [
        Effect::PutBack(TurnId(2)),
        refuse(1, Refusal::Hook(TurnId(2))),
        Effect::Close(TurnId(2)),
        Effect::Drop,
    ];
    assert_eq!(step(&mut m, 0, ended(2, End::Failed)), given_up);
}

#[test]
fn a_refusing_activate_hook_costs_one_call_and_the_next_tries_again() {
    let mut m = machine();
    step(&mut m, 0, call(1));
    step(&mut m, 0, call(2));
    step(&mut m, 0, Event::Loaded(facts(true, false)));
    let refused = [
        refuse(1, Refusal::Hook(TurnId(0))),
        Effect::Close(TurnId(0)),
        Effect::Drop,
        Effect::Load(ActivateReason::Message),
    ];
    assert_eq!(step(&mut m, 1, ended(0, End::Failed)), refused);
}

#[test]
fn what_cannot_be_loaded_refuses_everyone_who_waits_and_tries_again_for_the_next() {
    let mut m = machine();
    step(&mut m, 0, call(1));
    step(&mut m, 0, call(2));
    let refused = [refuse(1, Refusal::NotLoaded), refuse(2, Refusal::NotLoaded)];
    assert_eq!(step(&mut m, 1, Event::NotLoaded), refused);
    assert_eq!(
        step(&mut m, 2, call(3)),
        [Effect::Load(ActivateReason::Message)]
    );
}

#[test]
fn stopping_refuses_the_queue_finishes_the_turn_and_says_goodbye() {
    let mut m = machine();
    step(&mut m, 0, call(1));
    step(&mut m, 0, Event::Loaded(facts(true, false)));
    step(&mut m, 0, ended(0, End::Clean));
    step(&mut m, 0, call(2));
    assert_eq!(step(&mut m, 1, Event::Stop), [refuse(2, Refusal::Stopping)]);
    assert_eq!(step(&mut m, 1, call(3)), [refuse(3, Refusal::Stopping)]);
    let goodbye = Effect::Run {
        turn: TurnId(2),
        work: Work::Deactivate(DeactivateReason::Shutdown),
    };
    assert_eq!(
        step(&mut m, 2, ended(1, End::Clean)),
        [reply(1, 1), goodbye]
    );
    assert_eq!(
        step(&mut m, 3, ended(2, End::Clean)),
        [Effect::Close(TurnId(2)), Effect::Drop, Effect::Gone]
    );
    assert_eq!(step(&mut machine(), 0, Event::Stop), [Effect::Gone]);
}

#[test]
fn stopping_while_it_loads_runs_no_hook() {
    let mut m = machine();
    step(&mut m, 0, call(1));
    assert_eq!(step(&mut m, 0, Event::Stop), [refuse(1, Refusal::Stopping)]);
    assert_eq!(
        step(&mut m, 1, Event::Loaded(facts(true, false))),
        [Effect::Drop, Effect::Gone]
    );
}

#[test]
fn a_grain_that_left_nothing_behind_goes_when_it_has_rested() {
    let mut m = running(false);
    step(&mut m, 0, ended(0, End::Failed));
    assert_eq!(step(&mut m, 500, Event::Wake), []);
    assert_eq!(m.next_wake(), Some(Time(1000)));
    assert_eq!(step(&mut m, 1000, Event::Wake), [Effect::Gone]);
}
