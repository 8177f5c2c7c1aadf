//! Figures, for people: `cargo test --release --workspace --test runtime -- --ignored --nocapture measures`.

use std::time::{Duration, Instant};

use granary_core::kind::Mode;
use granary_core::limits::Limits;
use granary_runtime::{Runtime, RuntimeConfig};

use crate::bench::{activate, config, context, everything, linked, spec};

fn status(field: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn maps() -> usize {
    std::fs::read_to_string("/proc/self/maps")
        .unwrap()
        .lines()
        .count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "prints figures, proves nothing"]
async fn measures() {
    let (maps_before, began) = (maps(), Instant::now());
    let runtime = Runtime::new(RuntimeConfig {
        slots_max: None,
        ..config()
    })
    .unwrap();
    println!(
        "start: {:?}, {:?}, maps {} → {}",
        began.elapsed(),
        runtime.capacity(),
        maps_before,
        maps()
    );
    let linked = linked(&runtime, &everything(), &spec(Limits::DEFAULT)).await;

    let grain = activate(&linked).await.unwrap();
    let turns = 200_000;
    let mut times = Vec::with_capacity(turns);
    for _ in 0..turns {
        let (context, work) = (context(Mode::Exclusive), grain.work("add", "[1,2]"));
        let began = Instant::now();
        let ended = grain.instance.run(context, work).await;
        times.push(began.elapsed());
        assert!(!ended.poisoned);
    }
    times.sort();
    println!(
        "one turn: p50 {:?}, p90 {:?}, p99 {:?}",
        times[turns / 2],
        times[turns * 9 / 10],
        times[turns * 99 / 100]
    );

    let (count, began) = (20_000, Instant::now());
    for _ in 0..count {
        let _grain = activate(&linked).await.unwrap();
    }
    println!("activate and drop: {:?}", began.elapsed() / count);
    let began = Instant::now();
    for _ in 0..count {
        let grain = activate(&linked).await.unwrap();
        grain.call("add", "[1,2]").await.unwrap();
    }
    println!("activate, call and drop: {:?}", began.elapsed() / count);

    let (resident, maps_before) = (status("VmRSS"), maps());
    let mut grains = Vec::new();
    for _ in 0..2000 {
        let grain = activate(&linked).await.unwrap();
        grain.call("add", "[1,2]").await.unwrap();
        grains.push(grain);
    }
    println!(
        "resident a grain: {} KiB, maps a grain: {:.2}",
        (status("VmRSS") - resident) / 2000,
        (maps() - maps_before) as f64 / 2000.0
    );
    let began = Instant::now();
    for grain in &grains {
        grain.call("add", "[1,2]").await.unwrap();
    }
    println!(
        "a turn of a cold-cached grain: {:?}",
        began.elapsed() / 2000
    );
    drop(grains);
    while 1 < runtime.capacity().in_use {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    println!(
        "resident after they are gone: {} KiB more",
        status("VmRSS").saturating_sub(resident)
    );
}
