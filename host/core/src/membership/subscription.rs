//! Who hears of changes, without a gap and without a double, and never more at a time than it can take.
//!
//! A subscriber first gets the present, as one state or as events that lead to it, and then every change. The driver says what it has taken
//! ([`Subscriptions::consumed`]). One that falls behind is left alone until it has taken everything; then it is told so, and gets
//! the difference between what it knows and the present: changes may be passed over, but what it knows is right again.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::event::{ClusterEvent, Interest, diff};
use super::member::{Member, Status};
use super::state::ClusterState;

/// The most subscribers of a node.
pub const SUBSCRIBERS_MAX: usize = 1024;
/// The most callbacks of a kind that may wait.
pub const CALLBACKS_MAX: usize = 1024;

/// A subscriber. The driver draws it; the core only repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SubscriberId(pub u64);

/// A callback that was asked for. The driver draws it; the core only repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallbackId(pub u64);

/// How a subscriber learns the present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// As one state.
    Snapshot,
    /// As events, as if it had been there from the beginning.
    Events,
}

/// What a subscriber is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// The present.
    Snapshot(Arc<ClusterState>),
    /// A change.
    Event(ClusterEvent),
    /// It was too slow: so many events were not told. Those that follow lead from what it knows to the present.
    Lagged {
        /// How many.
        missed: u64,
    },
}

/// There are as many subscribers, or callbacks that wait, as may be. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a node has at most {limit} {what}")]
pub struct TooMany {
    /// Of what.
    pub what: &'static str,
    /// The limit.
    pub limit: usize,
}

#[derive(Debug)]
struct Subscriber {
    interest: Interest,
    /// What was told and not yet taken.
    under_way: usize,
    behind: Option<Behind>,
}

#[derive(Debug)]
struct Behind {
    /// What it knows.
    known: Arc<ClusterState>,
    missed: u64,
    /// The end of the membership is no difference between states.
    ending: bool,
}

/// All subscribers of a node.
#[derive(Debug)]
pub struct Subscriptions {
    /// What may be under way to one. A single change may be larger, if nothing else is.
    limit: usize,
    subscribers: BTreeMap<SubscriberId, Subscriber>,
}

impl Subscriptions {
    /// Nobody yet; to each, so many notices may be under way.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            subscribers: BTreeMap::new(),
        }
    }

    /// All that some subscriber wants to hear of.
    pub fn interest(&self) -> Interest {
        let interests = self
            .subscribers
            .values()
            .map(|subscriber| &subscriber.interest);
        Interest::of(interests.flat_map(Interest::topics))
    }

    /// Adds a subscriber, or begins anew with one. What it is told first. Errors: [`TooMany`].
    pub fn subscribe(
        &mut self,
        id: SubscriberId,
        mode: Mode,
        interest: Interest,
        present: &Arc<ClusterState>,
    ) -> Result<Vec<Notice>, TooMany> {
        if SUBSCRIBERS_MAX <= self.subscribers.len() && !self.subscribers.contains_key(&id) {
            let (what, limit) = ("subscribers", SUBSCRIBERS_MAX);
            return Err(TooMany { what, limit });
        }
        let notices: Vec<Notice> = match mode {
            Mode::Snapshot => Vec::from([Notice::Snapshot(present.clone())]),
            Mode::Events => {
                let events = diff(&ClusterState::default(), present, &interest);
                events.into_iter().map(Notice::Event).collect()
            }
        };
        let subscriber = Subscriber {
            interest,
            under_way: notices.len(),
            behind: None,
        };
        self.subscribers.insert(id, subscriber);
        Ok(notices)
    }

    /// Tells a subscriber no more.
    pub fn unsubscribe(&mut self, id: SubscriberId) {
        self.subscribers.remove(&id);
    }

    /// Tells everyone who can take it what changed since `before`.
    pub fn publish(
        &mut self,
        before: &Arc<ClusterState>,
        events: &[ClusterEvent],
    ) -> Vec<(SubscriberId, Notice)> {
        let mut told = Vec::new();
        for (id, subscriber) in &mut self.subscribers {
            let wanted = events
                .iter()
                .filter(|event| subscriber.interest.has(event.topic()));
            let wanted: Vec<_> = wanted.collect();
            let fits = subscriber.under_way == 0
                || subscriber.under_way.saturating_add(wanted.len()) <= self.limit;
            if wanted.is_empty() {
                continue;
            }
            if subscriber.behind.is_none() && fits {
                subscriber.under_way += wanted.len();
                told.extend(
                    wanted
                        .into_iter()
                        .map(|event| (*id, Notice::Event(event.clone()))),
                );
                continue;
            }
            let behind = subscriber.behind.get_or_insert_with(|| Behind {
                known: before.clone(),
                missed: 0,
                ending: false,
            });
            behind.missed = behind.missed.saturating_add(wanted.len() as u64);
            behind.ending |= wanted.contains(&&ClusterEvent::ClusterShuttingDown);
        }
        told
    }

    /// A subscriber has taken so many notices. If it had fallen behind and has now taken everything: what it is told.
    pub fn consumed(
        &mut self,
        id: SubscriberId,
        notices: usize,
        present: &ClusterState,
    ) -> Vec<Notice> {
        let Some(subscriber) = self.subscribers.get_mut(&id) else {
            return Vec::new();
        };
        subscriber.under_way = subscriber.under_way.saturating_sub(notices);
        if subscriber.under_way != 0 {
            return Vec::new();
        }
        let Some(behind) = subscriber.behind.take() else {
            return Vec::new();
        };
        let missed = behind.missed;
        let ending = behind.ending.then_some(ClusterEvent::ClusterShuttingDown);
        let events = diff(&behind.known, present, &subscriber.interest);
        let events = ending.into_iter().chain(events).map(Notice::Event);
        let told: Vec<_> = core::iter::once(Notice::Lagged { missed })
            .chain(events)
            .collect();
        subscriber.under_way = told.len();
        told
    }
}

/// Callbacks for the two great moments of a node's own membership, each called once.
#[derive(Debug, Default)]
pub struct Callbacks {
    on_up: Vec<CallbackId>,
    on_removed: Vec<CallbackId>,
    was_up: bool,
    is_removed: bool,
}

impl Callbacks {
    /// Call when this node is up. The callback itself if that is so now; if the node is no member any more, it is never called.
    /// Errors: [`TooMany`].
    pub fn on_up(&mut self, callback: CallbackId) -> Result<Option<CallbackId>, TooMany> {
        if self.is_removed {
            return Ok(None);
        }
        wait(self.was_up, &mut self.on_up, callback)
    }

    /// Call when this node is no member any more. The callback itself if that is so now. Errors: [`TooMany`].
    pub fn on_removed(&mut self, callback: CallbackId) -> Result<Option<CallbackId>, TooMany> {
        wait(self.is_removed, &mut self.on_removed, callback)
    }

    /// How far the node has come, each time that may have changed. Whom to call.
    pub fn seen_as(&mut self, member: &Member) -> Vec<CallbackId> {
        // A view may pass over "up"; who has a number has been it. One who is down is on its way out.
        if self.was_up || member.up_number.is_none() || member.status == Status::Down {
            return Vec::new();
        }
        self.was_up = true;
        core::mem::take(&mut self.on_up)
    }

    /// The node is no member any more, and never will be. Whom to call.
    pub fn removed(&mut self) -> Vec<CallbackId> {
        self.is_removed = true;
        self.on_up.clear();
        core::mem::take(&mut self.on_removed)
    }
}

fn wait(
    now: bool,
    waiting: &mut Vec<CallbackId>,
    callback: CallbackId,
) -> Result<Option<CallbackId>, TooMany> {
    if now {
        return Ok(Some(callback));
    }
    if CALLBACKS_MAX <= waiting.len() {
        let (what, limit) = ("callbacks that wait", CALLBACKS_MAX);
        return Err(TooMany { what, limit });
    }
    waiting.push(callback);
    Ok(None)
}

#[cfg(test)]
mod tests;
