//! Where an instance's store rests between turns.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::live::Live;

/// The resting place.
pub(crate) struct Slot {
    state: Mutex<State>,
    changed: Notify,
}

enum State {
    /// Nobody runs.
    Rests(Box<Live>),
    /// A turn, or a session of turns side by side, has it.
    Lent,
    /// A turn failed, or was dropped. For good.
    Gone,
}

/// A store on loan. Dropped before it is given back, the instance is dead.
pub(crate) struct Lease {
    slot: Arc<Slot>,
    live: Option<Box<Live>>,
}

impl Slot {
    pub(crate) fn new(live: Box<Live>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State::Rests(live)),
            changed: Notify::new(),
        })
    }

    /// Borrows the store. None: it is gone, or somebody has it.
    pub(crate) fn try_borrow(self: &Arc<Self>) -> Option<Lease> {
        let mut state = self.state.lock();
        match std::mem::replace(&mut *state, State::Lent) {
            State::Rests(live) => Some(Lease {
                slot: self.clone(),
                live: Some(live),
            }),
            State::Lent => None,
            State::Gone => {
                *state = State::Gone;
                None
            }
        }
    }

    /// Borrows the store as soon as nobody else has it. None: it is gone.
    pub(crate) async fn borrow(self: &Arc<Self>) -> Option<Lease> {
        loop {
            let changed = self.changed.notified();
            if let Some(lease) = self.try_borrow() {
                return Some(lease);
            }
            if matches!(*self.state.lock(), State::Gone) {
                return None;
            }
            changed.await;
        }
    }

    fn set(&self, state: State) {
        let _old = std::mem::replace(&mut *self.state.lock(), state);
        self.changed.notify_waiters();
    }
}

impl Lease {
    /// The store.
    pub(crate) fn live(&mut self) -> &mut Live {
        self.live
            .as_mut()
            .expect("it is only taken when the lease ends")
    }

    /// Puts it back, for the next turn.
    pub(crate) fn give_back(mut self) {
        if let Some(live) = self.live.take() {
            self.slot.set(State::Rests(live));
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.live.take().is_some() {
            self.slot.set(State::Gone);
        }
    }
}
