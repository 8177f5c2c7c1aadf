//! Limits: a grain can hurt only itself.
//!
//! Call any of these and watch a neighbour go on. Each call ends with an error that names the limit.

use std::cell::RefCell;
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use exports::demo::runaway::runaway::Guest;
use granary_sdk::{calls, context, state};

wit_bindgen::generate!({ path: "wit", world: "grain" });

const MIB: usize = 1 << 20;
const VALUE_BYTES: u64 = 64 << 10;

static ARRIVED: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// What `allocate` keeps.
    static HELD: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

struct Runaway;

impl Guest for Runaway {
    fn loop_forever() {
        let mut round = 0_u64;
        loop {
            round = black_box(round.wrapping_add(1));
        }
    }

    fn burn(ms: u32) -> u64 {
        let end = Instant::now() + Duration::from_millis(ms.into());
        let mut rounds = 0;
        while Instant::now() < end {
            for step in 0..10_000_u64 {
                black_box(step);
            }
            rounds += 1;
        }
        rounds
    }

    fn allocate(mib: u32) -> Result<u32, String> {
        for _ in 0..mib {
            let mut block = Vec::new();
            block
                .try_reserve_exact(MIB)
                .map_err(|_| format!("no more than {} MiB", held_mib()))?;
            // Written to, or the memory would only be promised.
            block.resize(MIB, 1);
            HELD.with_borrow_mut(|held| held.push(block));
        }
        Ok(held_mib())
    }

    fn exhaust() {
        loop {
            HELD.with_borrow_mut(|held| held.push(vec![1; MIB]));
        }
    }

    fn recurse(depth: u32) -> u32 {
        match depth {
            1 => 1,
            _ => black_box(Self::recurse(black_box(depth.wrapping_sub(1)))).wrapping_add(1),
        }
    }

    fn flood_log(lines: u32) {
        for line in 0..lines {
            println!("line {line} of a flood, long enough to count for something");
        }
    }

    fn flood_state(bytes: u64) -> Result<u32, String> {
        let before = Self::values();
        let mut written = 0;
        let mut left = bytes;
        while 0 < left {
            let size = left.min(VALUE_BYTES);
            let key = format!("flood/{:08}", before + written);
            state::set_bytes(&key, &vec![7; size as usize]).map_err(|e| e.to_string())?;
            written += 1;
            left -= size;
        }
        Ok(written)
    }

    fn write_value(bytes: u32) -> Result<(), String> {
        state::set_bytes("value", &vec![7; bytes as usize]).map_err(|e| e.to_string())
    }

    fn values() -> u32 {
        state::scan("").count() as u32
    }

    fn write_while_reading() -> Result<(), String> {
        state::set_bytes("forbidden", b"?").map_err(|e| e.to_string())
    }

    fn huge_result(bytes: u32) -> Vec<u8> {
        vec![0; bytes as usize]
    }

    fn many_results(entries: u32) -> Vec<String> {
        vec![String::new(); entries as usize]
    }

    fn trap() {
        trap_now()
    }

    fn write_and_trap() {
        state::set_bytes("trace", b"!").expect("the state is writable");
        trap_now()
    }

    fn panic_with(message: String) {
        panic!("{message}");
    }

    fn exit(failed: bool) {
        std::process::exit(failed.into());
    }

    fn sleep(ms: u32) {
        thread::sleep(Duration::from_millis(ms.into()));
    }

    fn send_flood(messages: u32) -> Result<u32, String> {
        let me = context::self_id();
        let myself = calls::grain(me.kind, me.key);
        for sent in 0..messages {
            myself
                .send("received", &())
                .map_err(|e| format!("after {sent} messages: {e}"))?;
        }
        Ok(messages)
    }

    fn received() {
        ARRIVED.fetch_add(1, Ordering::Relaxed);
    }

    fn arrived() -> u32 {
        ARRIVED.load(Ordering::Relaxed)
    }

    fn ping() {}
}

fn held_mib() -> u32 {
    HELD.with_borrow(|held| held.len() as u32)
}

fn trap_now() -> ! {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    std::process::abort();
}

granary_sdk::grain!(Runaway);
