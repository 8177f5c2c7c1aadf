//! What happened on the node: a ring for each class of events, so that a flood of one does not push out the others.

use std::collections::VecDeque;
use std::sync::Arc;

use granary_core::id::{CallId, GrainId, KindName, Revision};
use parking_lot::Mutex;
use serde::{Serialize, Serializer};
use tokio::sync::watch;

use super::{Batch, Place, announce, now_ms};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum What {
    /// The node serves.
    Started {
        /// Its name.
        node: String,
    },
    /// The node takes no more calls.
    Stopping {
        /// Its name.
        node: String,
    },
    /// A kind has a new current revision.
    Deployed {
        /// The kind.
        kind: KindName,
        /// The revision.
        revision: Revision,
        /// `first`, `same`, `additive` or `breaking`.
        verdict: String,
    },
    /// A kind went back to an earlier revision.
    RolledBack {
        /// The kind.
        kind: KindName,
        /// The one before.
        from: Revision,
        /// The one from now on.
        to: Revision,
    },
    /// A kind was removed; its grains' state stays.
    Removed {
        /// The kind.
        kind: KindName,
    },
    /// A migration failed; no further grain moves to the new revision.
    Halted {
        /// The kind.
        kind: KindName,
        /// Where the others stay.
        from: Revision,
        /// Where they were to go.
        to: Revision,
        /// The grain that failed.
        grain: GrainId,
        /// How.
        because: String,
    },
    /// A guest trapped.
    Trap {
        /// Whose.
        grain: GrainId,
        /// Which revision.
        revision: Revision,
        /// What it ran.
        method: String,
        /// The trap's message.
        detail: String,
        /// The guest's stack, innermost first.
        backtrace: Vec<String>,
    },
    /// A guest used up a limit.
    Limit {
        /// Whose.
        grain: GrainId,
        /// Which revision.
        revision: Revision,
        /// What it ran.
        method: String,
        /// The limit's name in the manifest.
        limit: &'static str,
        /// Its value and more.
        detail: String,
    },
    /// Calls would have waited in a circle.
    Deadlock {
        /// The circle, each grain as `kind/key`: first and last are the same.
        #[serde(serialize_with = "as_texts")]
        cycle: Vec<GrainId>,
    },
    /// A call was turned away because a queue or the node is full.
    Shed {
        /// Which grain's queue; none = the node's.
        grain: Option<GrainId>,
        /// Which limit.
        detail: String,
    },
    /// A one-way message or asynchronous call was given up.
    GivenUp {
        /// Its id.
        id: CallId,
        /// To whom it was.
        target: GrainId,
        /// Its method.
        method: String,
        /// The last failure.
        detail: String,
    },
    /// The client of a stream went away before its end.
    Abandoned {
        /// Whose.
        grain: GrainId,
        /// What streamed.
        method: String,
        /// What became of the turn.
        detail: String,
    },
    /// The store has no space; new turns that write are refused.
    StoreFull {
        /// Where.
        detail: String,
    },
    /// The store takes commits again.
    StoreRecovered,
}

fn as_texts<S: Serializer>(grains: &[GrainId], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(grains.iter().map(ToString::to_string))
}

/// An entry of the ring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Its number in this run of the node.
    pub seq: u64,
    /// Milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// The classes that have a ring of their own.
const CLASSES: usize = 7;

impl What {
    /// Its name, as in the `type` member.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Started { .. } => "started",
            Self::Stopping { .. } => "stopping",
            Self::Deployed { .. } => "deployed",
            Self::RolledBack { .. } => "rolled-back",
            Self::Removed { .. } => "removed",
            Self::Halted { .. } => "halted",
            Self::Trap { .. } => "trap",
            Self::Limit { .. } => "limit",
            Self::Deadlock { .. } => "deadlock",
            Self::Shed { .. } => "shed",
            Self::GivenUp { .. } => "given-up",
            Self::Abandoned { .. } => "abandoned",
            Self::StoreFull { .. } => "store-full",
            Self::StoreRecovered => "store-recovered",
        }
    }

    /// The kind that it concerns, if it concerns one.
    pub fn kind(&self) -> Option<&KindName> {
        match self {
            Self::Deployed { kind, .. }
            | Self::RolledBack { kind, .. }
            | Self::Removed { kind }
            | Self::Halted { kind, .. } => Some(kind),
            Self::Trap { grain, .. }
            | Self::Limit { grain, .. }
            | Self::Abandoned { grain, .. }
            | Self::GivenUp { target: grain, .. } => Some(&grain.kind),
            Self::Shed { grain, .. } => grain.as_ref().map(|grain| &grain.kind),
            Self::Deadlock { cycle } => cycle.first().map(|grain| &grain.kind),
            Self::Started { .. }
            | Self::Stopping { .. }
            | Self::StoreFull { .. }
            | Self::StoreRecovered => None,
        }
    }

    fn class(&self) -> usize {
        match self {
            Self::Started { .. }
            | Self::Stopping { .. }
            | Self::Deployed { .. }
            | Self::RolledBack { .. }
            | Self::Removed { .. }
            | Self::Halted { .. }
            | Self::StoreFull { .. }
            | Self::StoreRecovered => 0,
            Self::Trap { .. } => 1,
            Self::Limit { .. } => 2,
            Self::Deadlock { .. } => 3,
            Self::Shed { .. } => 4,
            Self::GivenUp { .. } => 5,
            Self::Abandoned { .. } => 6,
        }
    }
}

/// The rings.
#[derive(Debug)]
pub struct Events {
    run: u64,
    kept_each: usize,
    rings: Mutex<Rings>,
    newest: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Rings {
    seq: u64,
    classes: [Class; CLASSES],
}

#[derive(Debug, Default)]
struct Class {
    events: VecDeque<Arc<Event>>,
    dropped_through: u64,
}

impl Default for Events {
    fn default() -> Self {
        Self::new(512)
    }
}

impl Events {
    /// Empty rings that keep so many events of each class.
    pub fn new(kept_each: usize) -> Self {
        Self {
            run: now_ms(),
            kept_each,
            rings: Mutex::default(),
            newest: watch::Sender::new(0),
        }
    }

    /// Adds an event.
    pub fn push(&self, what: What) {
        let time_ms = now_ms();
        let mut rings = self.rings.lock();
        rings.seq += 1;
        let seq = rings.seq;
        let class = &mut rings.classes[what.class()];
        if class.events.len() == self.kept_each
            && let Some(gone) = class.events.pop_front()
        {
            class.dropped_through = gone.seq;
        }
        class
            .events
            .push_back(Arc::new(Event { seq, time_ms, what }));
        drop(rings);
        announce(&self.newest, seq);
    }

    /// At most `limit` events after a place, of one kind and type or all. A place of another run is the beginning.
    pub fn since(&self, place: Place, filter: &Filter, limit: usize) -> Batch<Arc<Event>> {
        let after = place.after_in(self.run);
        let rings = self.rings.lock();
        let gap = 0 < after
            && rings
                .classes
                .iter()
                .any(|class| after < class.dropped_through);
        let mut entries: Vec<_> = rings
            .classes
            .iter()
            .flat_map(|class| {
                class
                    .events
                    .range(class.events.partition_point(|event| event.seq <= after)..)
            })
            .filter(|event| filter.fits(&event.what))
            .cloned()
            .collect();
        let newest = rings.seq;
        drop(rings);
        entries.sort_unstable_by_key(|event| event.seq);
        let cut = limit < entries.len();
        entries.truncate(limit);
        let after = match entries.last() {
            Some(last) if cut => last.seq,
            Some(_) | None => newest.max(after),
        };
        Batch {
            entries,
            after,
            gap,
        }
    }

    /// The place before the first event.
    pub fn start(&self) -> Place {
        self.place(0)
    }

    /// The place of a number in this run.
    pub fn place(&self, after: u64) -> Place {
        Place {
            run: self.run,
            after,
        }
    }

    /// Wakes whenever there is a newer event.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }
}

/// What a reader wants to see; empty = everything.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only events of this kind.
    pub kind: Option<KindName>,
    /// Only events with this name.
    pub name: Option<String>,
}

impl Filter {
    fn fits(&self, what: &What) -> bool {
        self.kind
            .as_ref()
            .is_none_or(|kind| what.kind() == Some(kind))
            && self.name.as_ref().is_none_or(|name| what.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shed(detail: &str) -> What {
        What::Shed {
            grain: None,
            detail: detail.to_owned(),
        }
    }

    #[test]
    fn a_flood_of_one_class_leaves_the_others_and_is_seen_as_a_gap() {
        let events = Events::new(10);
        events.push(What::Started { node: "one".into() });
        for at in 0..100 {
            events.push(shed(&at.to_string()));
        }
        let batch = events.since(events.start(), &Filter::default(), 100);
        assert_eq!(batch.entries.len(), 11);
        assert_eq!(batch.entries[0].what, What::Started { node: "one".into() });
        assert!(!batch.gap, "who starts at the beginning misses nothing");
        assert!(events.since(events.place(5), &Filter::default(), 100).gap);
        assert!(!events.since(events.place(100), &Filter::default(), 100).gap);
    }

    #[test]
    fn small_steps_see_each_event_once_in_order() {
        let events = Events::default();
        for at in 0..20 {
            events.push(if at % 2 == 0 {
                shed("x")
            } else {
                What::StoreRecovered
            });
        }
        let (mut place, mut seen) = (events.start(), Vec::new());
        loop {
            let batch = events.since(place, &Filter::default(), 3);
            if batch.entries.is_empty() {
                break;
            }
            seen.extend(batch.entries.iter().map(|event| event.seq));
            place = events.place(batch.after);
        }
        assert_eq!(seen, (1..=20).collect::<Vec<_>>());
    }

    #[test]
    fn an_event_is_flat_json_whose_type_is_its_name() {
        let events = Events::default();
        let kind = KindName::parse("cart").unwrap();
        events.push(What::RolledBack {
            kind: kind.clone(),
            from: Revision(3),
            to: Revision(2),
        });
        events.push(What::StoreRecovered);
        let filter = Filter {
            kind: Some(kind),
            name: Some("rolled-back".into()),
        };
        let batch = events.since(events.start(), &filter, 10);
        assert_eq!((batch.entries.len(), batch.after), (1, 2));
        let json = serde_json::to_value(&*batch.entries[0]).unwrap();
        assert_eq!(json["type"], batch.entries[0].what.name());
        assert_eq!(
            (
                json["kind"].as_str(),
                json["from"].as_u64(),
                json["seq"].as_u64()
            ),
            (Some("cart"), Some(3), Some(1))
        );
    }
}
