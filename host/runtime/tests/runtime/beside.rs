//! Async components: reads side by side.

use std::sync::Arc;
use std::sync::atomic::Ordering;
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
async fn a_turn_that_waits_for_nothing_is_not_late_because_others_take_the_time() {
    let grain = meeting(Limits {
        tail_time: Duration::ZERO,
        ..Limits::DEFAULT
    })
    .await;
    let meet = grain
        .instance
        .run(context(Mode::Read), grain.work("meet", "[9]"));
    let mut meet = std::pin::pin!(meet);
    assert!(futures::poll!(meet.as_mut()).is_pending());
    let linger = grain.turn(Mode::Read, "linger", "[3]").await;
    assert_eq!(grain.json("linger", linger).unwrap(), "7");
    assert!(futures::poll!(meet).is_pending());
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

/// `fetch` gives the length of the value under `k`, or 99 for an error; it awaits the value. `count` counts its calls.
const FETCHING: &str = r#"(component
    (import "granary:grain/async-state@0.1.0" (instance $state
        (type $codes (enum "bad-key" "too-large" "read-only" "unavailable"))
        (export "state-error-code" (type $code (eq $codes)))
        (type $record (record (field "code" $code) (field "text" string)))
        (export "state-error" (type $error (eq $record)))
        (export "get" (func async (param "key" string) (result (result (option (list u8)) (error $error)))))))
    (core module $memory
        (memory (export "memory") 1)
        (data (i32.const 8) "k")
        (global $next (mut i32) (i32.const 1024))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
            (global.get $next)
            (global.set $next (i32.add (global.get $next) (local.get 3)))))
    (core instance $memory (instantiate $memory))
    (core func $get (canon lower (func $state "get") async
        (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
    (core func $set (canon waitable-set.new))
    (core func $join (canon waitable.join))
    (core func $drop (canon subtask.drop))
    (core func $answer (canon task.return (result u32)))
    (core module $m
        (import "" "memory" (memory 1))
        (import "" "get" (func $get (param i32 i32 i32) (result i32)))
        (import "" "set" (func $set (result i32)))
        (import "" "join" (func $join (param i32 i32)))
        (import "" "drop" (func $drop (param i32)))
        (import "" "answer" (func $answer (param i32)))
        (global $count (mut i32) (i32.const 0))
        (func $done (result i32)
            (call $answer (if (result i32) (i32.load8_u (i32.const 16)) (then (i32.const 99)) (else (i32.load (i32.const 28)))))
            (i32.const 0))
        (func (export "fetch") (result i32) (local $status i32) (local $waits i32)
            (local.set $status (call $get (i32.const 8) (i32.const 1) (i32.const 16)))
            (if (i32.eq (i32.and (local.get $status) (i32.const 15)) (i32.const 2)) (then (return (call $done))))
            (local.set $waits (call $set))
            (call $join (i32.shr_u (local.get $status) (i32.const 4)) (local.get $waits))
            (i32.or (i32.const 2) (i32.shl (local.get $waits) (i32.const 4))))
        (func (export "fetch-on") (param $event i32) (param $subtask i32) (param $state i32) (result i32)
            (call $drop (local.get $subtask))
            (call $done))
        (func (export "count") (result i32)
            (global.set $count (i32.add (global.get $count) (i32.const 1)))
            (call $answer (global.get $count))
            (i32.const 0))
        (func (export "count-on") (param i32 i32 i32) (result i32) (i32.const 0)))
    (core instance $i (instantiate $m (with "" (instance
        (export "memory" (memory $memory "memory")) (export "get" (func $get)) (export "set" (func $set))
        (export "join" (func $join)) (export "drop" (func $drop)) (export "answer" (func $answer))))))
    (func $fetch async (result u32) (canon lift (core func $i "fetch") async (callback (core func $i "fetch-on"))))
    (func $count async (result u32) (canon lift (core func $i "count") async (callback (core func $i "count-on"))))
    (instance $api (export "fetch" (func $fetch)) (export "count" (func $count)))
    (export "t:t/api" (instance $api)))"#;

#[tokio::test]
async fn a_turn_goes_on_while_another_one_waits_for_the_store() {
    let grain = grain(&runtime(), FETCHING, Limits::DEFAULT).await;
    let node = &grain.node;
    node.state.lock().insert("k".to_owned(), vec![1; 7]);
    assert_eq!(grain.call("fetch", "").await.unwrap(), "7", "out of memory");
    node.slow.store(true, Ordering::Relaxed);
    assert_eq!(grain.call("fetch", "").await.unwrap(), "7", "after a wait");
    node.asked.notified().await;
    node.closed.send_replace(true);
    let turn = |method| {
        let ended = grain
            .instance
            .run(context(Mode::Interleave), grain.work(method, ""));
        tokio::time::timeout(Duration::from_secs(60), ended)
    };
    let fetch = tokio::spawn(turn("fetch"));
    node.asked.notified().await;
    for count in ["1", "2"] {
        let ended = turn("count").await.expect("it does not stand still");
        assert_eq!(grain.json("count", ended).unwrap(), count);
    }
    assert!(!fetch.is_finished());
    node.closed.send_replace(false);
    let ended = fetch.await.unwrap().expect("the value came");
    assert_eq!(grain.json("fetch", ended).unwrap(), "7");
}
