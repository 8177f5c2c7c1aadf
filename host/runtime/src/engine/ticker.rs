//! The clock that interrupts guests: a thread of its own, because a timer of the async runtime stops when its threads are busy.

use std::sync::Arc;

use parking_lot::Mutex;
use wasmtime::{Engine, EngineWeak};

use super::TICK;

/// The engines whose guests the clock interrupts. It does not keep them: each lives as long as something that runs on it, which may
/// be longer than the runtime that made it.
#[derive(Default)]
pub(crate) struct Ticker {
    engines: Mutex<Vec<EngineWeak>>,
}

impl Ticker {
    /// Starts the thread. It ends soon after the last engine is gone.
    pub(crate) fn start(first: &Engine) -> std::io::Result<Arc<Self>> {
        let ticker = Arc::new(Self {
            engines: Mutex::new(vec![first.weak()]),
        });
        let clock = ticker.clone();
        std::thread::Builder::new()
            .name("granary-epoch".to_owned())
            .spawn(move || clock.run())?;
        Ok(ticker)
    }

    /// Adds an engine.
    pub(crate) fn add(&self, engine: &Engine) {
        self.engines.lock().push(engine.weak());
    }

    fn run(&self) {
        loop {
            std::thread::sleep(TICK);
            let mut engines = self.engines.lock();
            engines.retain(|engine| match engine.upgrade() {
                Some(engine) => {
                    // Ends the epoch: every guest that runs looks up.
                    engine.increment_epoch();
                    true
                }
                None => false,
            });
            if engines.is_empty() {
                return;
            }
        }
    }
}
