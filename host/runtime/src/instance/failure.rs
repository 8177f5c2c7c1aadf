//! What Wasmtime says went wrong, as the error that a caller gets.

use std::time::Duration;

use granary_core::error::{CallError, LimitName};
use wasmtime::{PoolConcurrencyLimitError, Store, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::guest::Guest;
use crate::guest::turn::{Turn, human};

const BACKTRACE_FRAMES_MAX: usize = 32;

/// The error of a guest that did not come back. `turn` is the one that ran; none in start code.
pub(crate) fn call_error(
    error: wasmtime::Error,
    store: &mut Store<Guest>,
    turn: Option<Turn>,
) -> CallError {
    if let Some(stopped) = turn.and_then(Turn::into_stopped) {
        return stopped;
    }
    let guest = store.data();
    let limits = &guest.linked.spec().limits;
    if error.downcast_ref::<PoolConcurrencyLimitError>().is_some() {
        return CallError::Overloaded {
            detail: format!("the node has no room for another grain of this shape: {error:#}"),
        };
    }
    let last_words = guest.output.last_words();
    let trap = error.downcast_ref::<Trap>().copied();
    if trap == Some(Trap::Interrupt) {
        let detail = format!(
            "it ran for its {} of CPU time without an end; raise limits.cpu-time",
            human(limits.cpu_time)
        );
        return CallError::LimitExceeded {
            limit: LimitName::CpuTime,
            detail,
        };
    }
    if trap == Some(Trap::StackOverflow) {
        let detail =
            "the guest called too deep; its stack cannot be raised, look for an endless recursion"
                .to_owned();
        return CallError::LimitExceeded {
            limit: LimitName::Stack,
            detail,
        };
    }
    if guest.room.refused() {
        let detail = format!(
            "the guest needs more than its {} bytes of memory; raise limits.memory{}",
            guest.room.limit(),
            said(&last_words)
        );
        return CallError::LimitExceeded {
            limit: LimitName::Memory,
            detail,
        };
    }
    if is_hostcall_exhaustion(&error) {
        let detail = format!(
            "what the guest handed to the host takes more than {} bytes there; raise limits.host-memory",
            limits.host_memory
        );
        return CallError::LimitExceeded {
            limit: LimitName::HostMemory,
            detail,
        };
    }
    let backtrace = backtrace(&error);
    CallError::GuestTrap {
        detail: format!(
            "{}{}{}",
            message(&error, &last_words),
            deep(trap, backtrace.len()),
            said(&last_words)
        ),
        backtrace,
    }
}

/// How many frames Wasmtime keeps: of a deep recursion no more are seen.
const KEPT_FRAMES: usize = 20;

/// A hint at a stack that is used up. Compilers of C, Zig and Rust put one of their own at the beginning of the memory, so that it then leaves the
/// memory. The host cannot tell it from any other access outside: it knows neither the address, which compiled code compares by itself,
/// nor the module's stack pointer, which is not exported.
fn deep(trap: Option<Trap>, frames: usize) -> &'static str {
    if trap == Some(Trap::MemoryOutOfBounds) && KEPT_FRAMES <= frames {
        "; it was deep in calls, and its own stack in the memory may be used up: look for an endless recursion, or raise `stack` of a kind in C or Zig"
    } else {
        ""
    }
}

/// A turn's or an activation's wall deadline has passed.
pub(crate) fn wall_time(limit: LimitName, setting: &str, wall: Duration) -> CallError {
    CallError::LimitExceeded {
        limit,
        detail: format!("it did not end within {}; raise {setting}", human(wall)),
    }
}

/// The host itself failed.
pub(crate) fn lost() -> CallError {
    CallError::Unavailable {
        detail: "the node failed within the turn, see its log; the turn left no trace".to_owned(),
    }
}

/// Wasmtime has no type for it.
fn is_hostcall_exhaustion(error: &wasmtime::Error) -> bool {
    error
        .chain()
        .any(|cause| cause.to_string().contains("fuel allocated for hostcalls"))
}

fn said(last_words: &str) -> String {
    if last_words.is_empty() {
        String::new()
    } else {
        format!("; the guest said: {last_words}")
    }
}

/// How the SDK of JavaScript begins the last words of what nobody caught, before it ends the guest: an engine has no trap of its own for that.
const UNCAUGHT: &str = "Uncaught ";

/// What is known of a guest that ended itself. `wasi:cli/exit` has success and failure, whatever number the guest's own language was given;
/// only its newer `exit-with-code` has more.
fn ended(status: i32, last_words: &str) -> String {
    let threw = last_words.lines().any(|line| line.starts_with(UNCAUGHT));
    match status {
        1 if threw => "the guest threw".to_owned(),
        0 => "the guest called exit and ended itself with success".to_owned(),
        1 => "the guest called exit and ended itself with a failure status".to_owned(),
        status => format!("the guest called exit({status})"),
    }
}

fn message(error: &wasmtime::Error, last_words: &str) -> String {
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return ended(exit.0, last_words);
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::UnreachableCodeReached) => {
            "the guest trapped: unreachable (a panic, an abort or a failed assertion)".to_owned()
        }
        Some(Trap::AsyncDeadlock) => {
            "the guest waits for nothing: no call, timer or stream is left that could wake it; await what was started, and drop no future half-way".to_owned()
        }
        Some(Trap::CannotBlockSyncTask) => {
            "a method that is not declared `async func` waited; declare it `async func`".to_owned()
        }
        Some(trap) => format!("the guest trapped: {trap}"),
        None => format!("the guest failed: {}", error.root_cause()),
    }
}

/// Innermost frame first. Wasmtime's own text has the demangled names.
fn backtrace(error: &wasmtime::Error) -> Vec<String> {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else {
        return Vec::new();
    };
    let text = backtrace.to_string();
    let frames = text.lines().filter_map(|line| {
        line.trim()
            .split_once(": ")
            .filter(|(index, _)| index.parse::<u32>().is_ok())
    });
    // Behind the index: an address, a dash, the module and the function.
    frames
        .map(|(_, frame)| {
            frame
                .split_once(" - ")
                .map_or(frame, |(_, name)| name)
                .trim()
                .trim_start_matches("<unknown>!")
                .to_owned()
        })
        .take(BACKTRACE_FRAMES_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_are_part_of_the_message() {
        assert_eq!(said(""), "");
        assert_eq!(said("oh no"), "; the guest said: oh no");
        let exit = |status, words| message(&wasmtime::Error::from(I32Exit(status)), words);
        assert_eq!(exit(3, ""), "the guest called exit(3)");
        for (status, known) in [(0, "with success"), (1, "with a failure status")] {
            let words = exit(status, "an earlier line");
            assert!(
                words.contains(known) && !words.contains('('),
                "no number that nobody gave: {words}"
            );
        }
        assert_eq!(exit(1, "a line\nUncaught Error: no"), "the guest threw");
        assert!(backtrace(&wasmtime::format_err!("none")).is_empty());
        assert!(deep(Some(Trap::MemoryOutOfBounds), KEPT_FRAMES).contains("`stack`"));
        assert_eq!(deep(Some(Trap::MemoryOutOfBounds), 3), "");
        assert_eq!(deep(Some(Trap::UnreachableCodeReached), KEPT_FRAMES), "");
    }
}
