//! Async components: reads side by side.

use std::sync::Arc;
use std::time::Duration;

use granary_core::error::{CallError, LimitName};
use granary_core::kind::Mode;
use granary_core::limits::Limits;
use granary_runtime::EngineKind;

use crate::bench::{Grain, context, grain, runtime};

/// `meet(n)` comes back once `n` calls of it are under way, with whether its own caller has given up. `alone` does not wait.
/// `linger` answers and goes on for so many yields, then writes down that it has. `lingered` tells. `spin` loops. `hold` comes back after `release`.
const MEETING: &str = r#"(component
    (import "granary:grain/context@0.1.0" (instance $context (export "is-cancelled" (func (result bool)))))
    (core func $cancelled (canon lower (func $context "is-cancelled")))
    (core func $answer (canon task.return (result u32)))
    (core module $m
        (import "" "answer" (func $answer (param i32)))
        (import "" "cancelled" (func $cancelled (result i32)))
        (global $here (mut i32) (i32.const 0))
        (global $wanted (mut i32) (i32.const 0))
        (global $tail (mut i32) (i32.const 0))
        (global $lingered (mut i32) (i32.const 0))
        (global $released (mut i32) (i32.const 0))
        (func $go (result i32)
            (if (result i32) (i32.ge_u (global.get $here) (global.get $wanted))
                (then (call $answer (call $cancelled)) (i32.const 0))
                (else (i32.const 1))))
        (func (export "meet") (param i32) (result i32)
            (global.set $here (i32.add (global.get $here) (i32.const 1)))
            (global.set $wanted (local.get 0))
            (call $go))
        (func (export "meet-on") (param i32 i32 i32) (result i32) (call $go))
        (func (export "spin") (result i32) (loop $l (br $l)) (i32.const 0))
        (func (export "no-callback") (param i32 i32 i32) (result i32) (i32.const 0))
        (func (export "linger") (param i32) (result i32)
            (global.set $tail (local.get 0)) (call $answer (i32.const 7)) (i32.const 1))
        (func (export "linger-on") (param i32 i32 i32) (result i32)
            (global.set $tail (i32.sub (global.get $tail) (i32.const 1)))
            (if (result i32) (i32.eqz (global.get $tail))
                (then (global.set $lingered (i32.const 1)) (i32.const 0))
                (else (i32.const 1))))
        (func (export "lingered") (result i32) (global.get $lingered))
        (func (export "hold") (result i32) (i32.const 1))
        (func (export "hold-on") (param i32 i32 i32) (result i32)
            (if (result i32) (global.get $released)
                (then (call $answer (i32.const 1)) (i32.const 0))
                (else (i32.const 1))))
        (func (export "release") (global.set $released (i32.const 1))))
    (core instance $i (instantiate $m (with "" (instance (export "answer" (func $answer)) (export "cancelled" (func $cancelled))))))
    (func $meet async (param "n" u32) (result u32) (canon lift (core func $i "meet") async (callback (core func $i "meet-on"))))
    (func $spin async (result u32) (canon lift (core func $i "spin") async (callback (core func $i "no-callback"))))
    (func $linger async (param "n" u32) (result u32) (canon lift (core func $i "linger") async (callback (core func $i "linger-on"))))
    (func $lingered (result u32) (canon lift (core func $i "lingered")))
    (func $hold async (result u32) (canon lift (core func $i "hold") async (callback (core func $i "hold-on"))))
    (func $release (canon lift (core func $i "release")))
    (instance $api (export "hold" (func $hold)) (export "release" (func $release)) (export "meet" (func $meet)) (export "spin" (func $spin)) (export "linger" (func $linger)) (export "lingered" (func $lingered)))
    (export "t:t/api" (instance $api)))"#;

async fn meeting(limits: Limits) -> Grain {
    let grain = grain(&runtime(), MEETING, limits).await;
    assert_eq!(grain.linked.component().engine, EngineKind::Async);
    grain
}

#[tokio::test]
async fn reads_run_side_by_side_and_each_import_knows_whose_call_it_works_for() {
    let grain = meeting(Limits::DEFAULT).await;
    let (given_up, waiting) = (context(Mode::Read), context(Mode::Read));
    given_up.cancel();
    let one = grain.instance.run(given_up, grain.work("meet", "[2]"));
    let other = grain.instance.run(waiting, grain.work("meet", "[2]"));
    let (one, other) = tokio::join!(one, other);
    assert_eq!(
        (
            grain.json("meet", one).unwrap(),
            grain.json("meet", other).unwrap()
        ),
        ("1".to_owned(), "0".to_owned())
    );
}

/// Whether a read found that its own caller has given up.
async fn meet_alone(grain: &Grain, given_up: bool) -> String {
    let context = context(Mode::Read);
    if given_up {
        context.cancel();
    }
    let ended = grain.instance.run(context, grain.work("meet", "[1]")).await;
    grain.json("meet", ended).unwrap()
}

/// The engine gives the id of a task that has exited to the next one, maybe before the turn of the first is found to be over.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_turn_is_not_taken_for_one_whose_task_had_the_same_id() {
    let grain = Arc::new(meeting(Limits::DEFAULT).await);
    let hold = tokio::spawn({
        let grain = grain.clone();
        async move { grain.turn(Mode::Read, "hold", "").await }
    });
    let callers = [false, true, false, true].map(|cancelled| {
        let grain = grain.clone();
        tokio::spawn(async move {
            for _ in 0..500 {
                assert_eq!(
                    meet_alone(&grain, cancelled).await,
                    u32::from(cancelled).to_string()
                );
            }
        })
    });
    for caller in callers {
        caller.await.unwrap();
    }
    grain.turn(Mode::Read, "release", "").await.result.unwrap();
    hold.await.unwrap().result.unwrap();
}

#[tokio::test]
async fn exclusive_turns_and_reads_take_turns() {
    let grain = meeting(Limits::DEFAULT).await;
    for _ in 0..20 {
        assert_eq!(grain.call("meet", "[1]").await.unwrap(), "0");
        let read = grain.turn(Mode::Read, "meet", "[1]").await;
        assert_eq!(grain.json("meet", read).unwrap(), "0");
    }
}

#[tokio::test]
async fn a_turn_ends_when_its_task_does_not_when_it_answers() {
    let grain = meeting(Limits::DEFAULT).await;
    assert_eq!(grain.call("linger", "[100]").await.unwrap(), "7");
    assert_eq!(grain.call("lingered", "").await.unwrap(), "1");
}

#[tokio::test]
async fn a_read_that_loops_is_stopped_and_the_one_beside_it_may_be_repeated() {
    let grain = meeting(Limits {
        cpu_time: Duration::from_millis(50),
        ..Limits::DEFAULT
    })
    .await;
    let spin = tokio::spawn(
        grain
            .instance
            .run(context(Mode::Read), grain.work("spin", "")),
    );
    let wait = tokio::spawn(
        grain
            .instance
            .run(context(Mode::Read), grain.work("meet", "[9]")),
    );
    let (spin, wait) = (spin.await.unwrap(), wait.await.unwrap());
    assert!(spin.poisoned && wait.poisoned);
    for ended in [spin, wait] {
        let error = ended.result.unwrap_err();
        let cpu = matches!(
            error,
            CallError::LimitExceeded {
                limit: LimitName::CpuTime,
                ..
            }
        );
        assert!(
            cpu || matches!(error, CallError::Conflict { .. }),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_read_that_waits_for_ever_is_stopped_at_its_wall_time() {
    let grain = meeting(Limits {
        wall_time: Duration::from_millis(100),
        ..Limits::DEFAULT
    })
    .await;
    let ended = grain.turn(Mode::Read, "meet", "[9]").await;
    assert!(matches!(
        ended.result,
        Err(CallError::LimitExceeded {
            limit: LimitName::WallTime,
            ..
        })
    ));
    let after = grain.turn(Mode::Exclusive, "lingered", "").await;
    assert!(after.poisoned);
}
