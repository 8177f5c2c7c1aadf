//! `wasi:logging`: lines of the grain's log that carry a level.

use wasmtime::StoreContextMut;
use wasmtime::component::Linker;

use crate::LogLevel;
use crate::bindings::wasi::logging::logging::Level;
use crate::guest::Guest;

/// Older components import it without a version.
const NAMES: [&str; 2] = ["wasi:logging/logging@0.1.0-draft", "wasi:logging/logging"];

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    for name in NAMES {
        linker.instance(name)?.func_wrap(
            "log",
            |store: StoreContextMut<'_, Guest>,
             (level, context, message): (Level, String, String)| {
                let output = &store.data().output;
                output.record(own(level), &context, &message);
                Ok(())
            },
        )?;
    }
    Ok(())
}

fn own(level: Level) -> LogLevel {
    match level {
        Level::Trace => LogLevel::Trace,
        Level::Debug => LogLevel::Debug,
        Level::Info => LogLevel::Info,
        Level::Warn => LogLevel::Warn,
        Level::Error => LogLevel::Error,
        Level::Critical => LogLevel::Critical,
    }
}
