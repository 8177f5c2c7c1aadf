//! Each limit has its error, and none of them hurts anybody else.

use std::time::{Duration, Instant};

use granary_core::error::{CallError, LimitName};
use granary_core::kind::Mode;
use granary_core::limits::Limits;

use crate::bench::{activate, everything, grain, guest, linked, runtime, spec};

fn limit_of(error: &CallError) -> Option<LimitName> {
    if let CallError::LimitExceeded { limit, .. } = error {
        Some(*limit)
    } else {
        None
    }
}

fn short() -> Limits {
    Limits {
        cpu_time: Duration::from_millis(50),
        ..Limits::DEFAULT
    }
}

#[tokio::test]
async fn a_loop_ends_with_its_cpu_time_and_costs_about_that_much() {
    let runtime = runtime();
    let looping = grain(&runtime, &everything(), short()).await;
    let ended = looping.turn(Mode::Exclusive, "spin", "").await;
    assert_eq!(
        limit_of(&ended.result.unwrap_err()),
        Some(LimitName::CpuTime)
    );
    assert!(ended.poisoned);
    assert!(
        (Duration::from_millis(50)..Duration::from_millis(200)).contains(&ended.cpu),
        "{:?}",
        ended.cpu
    );
    // The place of the dead one can be taken again, and nobody else noticed.
    let fresh = activate(&looping.linked).await.unwrap();
    assert_eq!(fresh.call("count", "").await.unwrap(), "1");
}

#[tokio::test]
async fn a_turn_that_ends_in_time_is_measured() {
    let grain = grain(&runtime(), &everything(), Limits::DEFAULT).await;
    let ended = grain.turn(Mode::Exclusive, "work", "[30000000]").await;
    assert!(
        Duration::from_millis(1) < ended.cpu && ended.cpu < Duration::from_secs(1),
        "{:?}",
        ended.cpu
    );
    assert!(!ended.poisoned);
    assert_eq!(grain.json("work", ended).unwrap(), "30000000");
    assert_eq!(grain.call("add", "[1,2]").await.unwrap(), "3");
}

#[tokio::test]
async fn a_loop_is_stopped_at_its_wall_time_though_it_has_cpu_time_left() {
    let limits = Limits {
        wall_time: Duration::from_millis(100),
        cpu_time: Duration::from_secs(10),
        ..Limits::DEFAULT
    };
    let looping = grain(&runtime(), &everything(), limits).await;
    let began = Instant::now();
    let ended = looping.turn(Mode::Exclusive, "spin", "").await;
    assert_eq!(
        limit_of(&ended.result.unwrap_err()),
        Some(LimitName::WallTime)
    );
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_cancelled_loop_is_stopped_after_its_grace() {
    let limits = Limits {
        cpu_time: Duration::from_secs(10),
        ..Limits::DEFAULT
    };
    let looping = grain(&runtime(), &everything(), limits).await;
    let context = crate::bench::context(Mode::Exclusive);
    let run = tokio::spawn(
        looping
            .instance
            .run(context.clone(), looping.work("spin", "")),
    );
    context.cancel();
    assert!(matches!(
        run.await.unwrap().result,
        Err(CallError::Cancelled { .. })
    ));
}

#[tokio::test]
async fn a_deep_recursion_is_a_stack_limit() {
    let grain = grain(&runtime(), &everything(), Limits::DEFAULT).await;
    assert_eq!(
        limit_of(&grain.call("deep", "[0]").await.unwrap_err()),
        Some(LimitName::Stack)
    );
}

#[tokio::test]
async fn memory_grows_up_to_its_limit_and_no_further() {
    let limits = Limits {
        memory: 2 << 20,
        ..Limits::DEFAULT
    };
    let grain = grain(&runtime(), &everything(), limits).await;
    assert_eq!(grain.instance.memory_bytes(), 64 << 10);
    assert_eq!(grain.call("grow", "[31]").await.unwrap(), "1");
    assert_eq!(grain.instance.memory_bytes(), 2 << 20);
    assert_eq!(grain.call("grow", "[1]").await.unwrap(), "-1");
    assert_eq!(grain.call("add", "[1,2]").await.unwrap(), "3");
    assert_eq!(
        limit_of(&grain.call("grow-or-die", "[1]").await.unwrap_err()),
        Some(LimitName::Memory)
    );
}

#[tokio::test]
async fn the_largest_memory_that_a_manifest_may_ask_for_exists() {
    let limits = Limits {
        memory: Limits::MAX.memory,
        ..Limits::DEFAULT
    };
    let grain = grain(&runtime(), &everything(), limits).await;
    assert_eq!(grain.call("grow", "[4095]").await.unwrap(), "1");
    assert_eq!(grain.call("grow", "[1]").await.unwrap(), "-1");
}

#[tokio::test]
async fn a_trap_names_its_frames_and_hurts_only_itself() {
    let runtime = runtime();
    let linked = linked(&runtime, &everything(), &spec(Limits::DEFAULT)).await;
    let (one, other) = (
        activate(&linked).await.unwrap(),
        activate(&linked).await.unwrap(),
    );
    assert_eq!(other.call("count", "").await.unwrap(), "1");
    let ended = one.turn(Mode::Exclusive, "outer", "").await;
    assert!(ended.poisoned);
    let Err(CallError::GuestTrap { detail, backtrace }) = ended.result else {
        panic!("a trap")
    };
    assert!(detail.contains("unreachable"), "{detail}");
    assert_eq!(backtrace.len(), 2);
    assert!(backtrace[0].contains("boom"), "{backtrace:?}");
    let again = one.turn(Mode::Exclusive, "add", "[1,2]").await;
    assert!(again.poisoned && matches!(again.result, Err(CallError::Unavailable { .. })));
    assert_eq!(other.call("count", "").await.unwrap(), "2");
    assert_eq!(runtime.capacity().in_use, 1);
}

#[tokio::test]
async fn start_code_runs_under_the_same_limits() {
    let runtime = runtime();
    let trapping = guest(
        "(func $s unreachable) (start $s) (func (export \"f\"))",
        &[("f", "")],
    );
    let error = activate(&linked(&runtime, &trapping, &spec(short())).await)
        .await
        .err();
    assert!(
        matches!(error, Some(CallError::GuestTrap { .. })),
        "{error:?}"
    );
    let looping = guest(
        "(func $s (loop $l (br $l))) (start $s) (func (export \"f\"))",
        &[("f", "")],
    );
    let error = activate(&linked(&runtime, &looping, &spec(short())).await)
        .await
        .err();
    assert_eq!(limit_of(&error.unwrap()), Some(LimitName::CpuTime));
    let growing = guest(
        "(memory 1) (func $s (if (i32.eq (memory.grow (i32.const 4000)) (i32.const -1)) (then unreachable))) (start $s) (func (export \"f\"))",
        &[("f", "")],
    );
    let error = activate(&linked(&runtime, &growing, &spec(short())).await)
        .await
        .err();
    assert_eq!(limit_of(&error.unwrap()), Some(LimitName::Memory));
    assert_eq!(runtime.capacity().in_use, 0);
}

#[tokio::test]
async fn a_full_node_says_what_would_make_room() {
    let runtime = runtime();
    let linked = linked(&runtime, &everything(), &spec(Limits::DEFAULT)).await;
    let mut grains = Vec::new();
    for _ in 0..runtime.capacity().slots {
        grains.push(activate(&linked).await.unwrap());
    }
    let Some(CallError::Overloaded { detail }) = activate(&linked).await.err() else {
        panic!("overloaded")
    };
    assert!(
        detail.contains("20 places") && detail.contains("engine.slots"),
        "{detail}"
    );
    grains.pop();
    assert!(activate(&linked).await.is_ok());
}

#[tokio::test]
async fn a_dropped_turn_stops_its_guest() {
    let runtime = runtime();
    let limits = Limits {
        cpu_time: Duration::from_secs(10),
        ..Limits::DEFAULT
    };
    let looping = grain(&runtime, &everything(), limits).await;
    let run = looping.instance.run(
        crate::bench::context(Mode::Exclusive),
        looping.work("spin", ""),
    );
    assert!(
        tokio::time::timeout(Duration::from_millis(30), run)
            .await
            .is_err()
    );
    let began = Instant::now();
    while runtime.capacity().in_use != 0 {
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "the guest still runs"
        );
        tokio::task::yield_now().await;
    }
    assert!(looping.turn(Mode::Exclusive, "add", "[1,2]").await.poisoned);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_loops_leave_the_fast_lane_to_others() {
    let runtime = runtime();
    let limits = Limits {
        cpu_time: Duration::from_secs(10),
        ..Limits::DEFAULT
    };
    let linked = linked(&runtime, &everything(), &spec(limits)).await;
    let mut loops = Vec::new();
    for _ in 0..16 {
        let grain = activate(&linked).await.unwrap();
        let run = grain.instance.run(
            crate::bench::context(Mode::Exclusive),
            grain.work("spin", ""),
        );
        loops.push(tokio::spawn(run));
    }
    let quick = activate(&linked).await.unwrap();
    let began = Instant::now();
    for _ in 0..2000 {
        quick.call("count", "").await.unwrap();
    }
    // Without the slow lane each call would queue behind up to sixteen ticks: 80 ms.
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
    for run in loops {
        run.abort();
    }
}
