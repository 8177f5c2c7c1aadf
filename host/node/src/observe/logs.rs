//! What guests print: a ring of lines, bounded per grain, per kind and in all.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use granary_core::id::{GrainId, Key, KindName, Revision};
use granary_runtime::LogLevel;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::watch;

use super::{Batch, Place, announce, now_ms};

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "stream", content = "level")]
pub enum Stream {
    /// The guest's standard output.
    Stdout,
    /// The guest's standard error.
    Stderr,
    /// The guest's `wasi:logging`.
    Log(LogLevel),
    /// The node itself: how much was dropped, say.
    Host,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Its number in this run of the node.
    pub seq: u64,
    /// Milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// Whose kind.
    pub kind: KindName,
    /// Whose key.
    pub key: Key,
    /// Which revision ran.
    pub revision: Revision,
    /// Where it came from.
    #[serde(flatten)]
    pub stream: Stream,
    /// The text, without its line end.
    pub line: String,
}

/// How much the ring keeps, in bytes of text and bookkeeping.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Of one grain: a chatty one pushes out its own lines before its neighbours'.
    pub grain_bytes: usize,
    /// Of one kind.
    pub kind_bytes: usize,
    /// In all.
    pub total_bytes: usize,
}

impl Default for Bounds {
    /// A grain that fills its default log-rate with short lines for a second still has the first of them.
    fn default() -> Self {
        Self {
            grain_bytes: 1 << 20,
            kind_bytes: 4 << 20,
            total_bytes: 32 << 20,
        }
    }
}

/// What a reader wants to see; empty = everything.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only this kind.
    pub kind: Option<KindName>,
    /// Only this key.
    pub key: Option<Key>,
}

/// The ring.
#[derive(Debug)]
pub struct Logs {
    bounds: Bounds,
    run: u64,
    ring: Mutex<Ring>,
    newest: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Ring {
    seq: u64,
    bytes: usize,
    kinds: HashMap<KindName, KindRing>,
}

/// Invariant: `grains` lists exactly the numbers in `lines`, each under its key.
#[derive(Debug, Default)]
struct KindRing {
    lines: BTreeMap<u64, Arc<Line>>,
    grains: HashMap<Key, GrainRing>,
    bytes: usize,
    dropped_through: u64,
}

#[derive(Debug, Default)]
struct GrainRing {
    seqs: VecDeque<u64>,
    bytes: usize,
}

/// A line's own memory beside its text, roughly.
const LINE_OVERHEAD_BYTES: usize = 160;

impl Default for Logs {
    fn default() -> Self {
        Self::new(Bounds::default())
    }
}

impl Logs {
    /// An empty ring.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            run: now_ms(),
            ring: Mutex::default(),
            newest: watch::Sender::new(0),
        }
    }

    /// Adds a line. The oldest lines of the grain, the kind or the largest kind make room for it.
    pub fn push(&self, grain: &GrainId, revision: Revision, stream: Stream, line: &str) {
        let time_ms = now_ms();
        let seq = self.ring.lock().push(&self.bounds, |seq| Line {
            seq,
            time_ms,
            kind: grain.kind.clone(),
            key: grain.key.clone(),
            revision,
            stream,
            line: line.to_owned(),
        });
        announce(&self.newest, seq);
    }

    /// At most `limit` lines after a place. A place of another run is the beginning.
    pub fn since(&self, place: Place, filter: &Filter, limit: usize) -> Batch<Arc<Line>> {
        let after = place.after_in(self.run);
        self.ring.lock().since(after, filter, limit)
    }

    /// The place before the first line.
    pub fn start(&self) -> Place {
        Place {
            run: self.run,
            after: 0,
        }
    }

    /// The place of a number in this run.
    pub fn place(&self, after: u64) -> Place {
        Place {
            run: self.run,
            after,
        }
    }

    /// Wakes whenever there is a newer line.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }
}

impl Ring {
    fn push(&mut self, bounds: &Bounds, make: impl FnOnce(u64) -> Line) -> u64 {
        self.seq += 1;
        let line = Arc::new(make(self.seq));
        let bytes = line.line.len() + LINE_OVERHEAD_BYTES;
        let kind = self.kinds.entry(line.kind.clone()).or_default();
        let before = kind.bytes;
        kind.push(&line, bytes);
        kind.shrink(&line.key, bounds);
        self.bytes = self.bytes + kind.bytes - before;
        while bounds.total_bytes < self.bytes {
            let Some(largest) = self.kinds.values_mut().max_by_key(|kind| kind.bytes) else {
                break;
            };
            let freed = largest.drop_oldest();
            if freed == 0 {
                break;
            }
            self.bytes -= freed;
        }
        self.seq
    }

    fn since(&self, after: u64, filter: &Filter, limit: usize) -> Batch<Arc<Line>> {
        let wanted = |name: &KindName| filter.kind.as_ref().is_none_or(|kind| kind == name);
        let mut entries = Vec::new();
        let mut gap = false;
        for (_, kind) in self.kinds.iter().filter(|(name, _)| wanted(name)) {
            gap |= after < kind.dropped_through;
            kind.collect(after, filter.key.as_ref(), limit, &mut entries);
        }
        entries.sort_unstable_by_key(|line| line.seq);
        // Each kind gave its first `limit`: beyond the first `limit` of all there may be holes.
        let whole = entries.len() <= limit;
        entries.truncate(limit);
        let after = match entries.last() {
            Some(last) if !whole || entries.len() == limit => last.seq,
            Some(_) | None => self.seq.max(after),
        };
        // Who starts at the beginning asks for what there is, and misses nothing.
        Batch {
            gap: gap && 0 < after && !entries.is_empty(),
            entries,
            after,
        }
    }
}

impl KindRing {
    fn push(&mut self, line: &Arc<Line>, bytes: usize) {
        self.bytes += bytes;
        let grain = self.grains.entry(line.key.clone()).or_default();
        grain.bytes += bytes;
        grain.seqs.push_back(line.seq);
        self.lines.insert(line.seq, Arc::clone(line));
    }

    fn shrink(&mut self, key: &Key, bounds: &Bounds) {
        while self
            .grains
            .get(key)
            .is_some_and(|grain| bounds.grain_bytes < grain.bytes && 1 < grain.seqs.len())
        {
            let Some(seq) = self
                .grains
                .get(key)
                .and_then(|grain| grain.seqs.front().copied())
            else {
                return;
            };
            self.remove(seq);
        }
        while bounds.kind_bytes < self.bytes && 1 < self.lines.len() {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) -> usize {
        let Some(seq) = self.lines.keys().next().copied() else {
            return 0;
        };
        self.remove(seq)
    }

    /// Removes a grain's oldest line: `seq` is the front of its list.
    fn remove(&mut self, seq: u64) -> usize {
        let Some(line) = self.lines.remove(&seq) else {
            return 0;
        };
        let bytes = line.line.len() + LINE_OVERHEAD_BYTES;
        self.bytes -= bytes;
        self.dropped_through = self.dropped_through.max(seq);
        if let Some(grain) = self.grains.get_mut(&line.key) {
            debug_assert_eq!(
                grain.seqs.front(),
                Some(&seq),
                "lines leave a grain oldest first"
            );
            grain.seqs.pop_front();
            grain.bytes -= bytes;
            if grain.seqs.is_empty() {
                self.grains.remove(&line.key);
            }
        }
        bytes
    }

    fn collect(&self, after: u64, key: Option<&Key>, limit: usize, out: &mut Vec<Arc<Line>>) {
        // One more than wanted, so that the caller can tell "all" from "cut off".
        let Some(key) = key else {
            let lines = self.lines.range((Bound::Excluded(after), Bound::Unbounded));
            return out.extend(lines.take(limit + 1).map(|(_, line)| Arc::clone(line)));
        };
        let Some(grain) = self.grains.get(key) else {
            return;
        };
        let first = grain.seqs.partition_point(|seq| *seq <= after);
        out.extend(
            grain
                .seqs
                .range(first..)
                .take(limit + 1)
                .filter_map(|seq| self.lines.get(seq))
                .map(Arc::clone),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grain(text: &str) -> GrainId {
        GrainId::parse(text).unwrap()
    }

    fn lines(batch: &Batch<Arc<Line>>) -> Vec<&str> {
        batch
            .entries
            .iter()
            .map(|line| line.line.as_str())
            .collect()
    }

    fn all(logs: &Logs, filter: &Filter) -> Vec<String> {
        lines(&logs.since(logs.start(), filter, 1000))
            .into_iter()
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn lines_of_every_kind_come_in_order_and_filters_pick() {
        let logs = Logs::default();
        for (at, id) in ["a/1", "b/1", "a/2", "a/1"].iter().enumerate() {
            logs.push(&grain(id), Revision(1), Stream::Stdout, &at.to_string());
        }
        assert_eq!(all(&logs, &Filter::default()), ["0", "1", "2", "3"]);
        let kind = Some(KindName::parse("a").unwrap());
        assert_eq!(
            all(
                &logs,
                &Filter {
                    kind: kind.clone(),
                    key: None
                }
            ),
            ["0", "2", "3"]
        );
        assert_eq!(
            all(
                &logs,
                &Filter {
                    kind,
                    key: Some(Key::parse("1").unwrap())
                }
            ),
            ["0", "3"]
        );
    }

    #[test]
    fn a_follower_in_small_steps_sees_each_line_once() {
        let logs = Logs::default();
        for at in 0..100 {
            let id = if at % 3 == 0 { "a/x" } else { "b/x" };
            logs.push(&grain(id), Revision(1), Stream::Stderr, &at.to_string());
        }
        let (mut place, mut seen) = (logs.start(), Vec::new());
        loop {
            let batch = logs.since(place, &Filter::default(), 7);
            if batch.entries.is_empty() {
                break;
            }
            assert!(!batch.gap);
            seen.extend(batch.entries.iter().map(|line| line.line.clone()));
            place = logs.place(batch.after);
        }
        assert_eq!(seen, (0..100).map(|at| at.to_string()).collect::<Vec<_>>());
    }

    #[test]
    fn a_chatty_grain_pushes_out_its_own_lines_first_and_a_follower_learns_of_the_gap() {
        let bounds = Bounds {
            grain_bytes: 1000,
            kind_bytes: 10_000,
            total_bytes: 20_000,
        };
        let logs = Logs::new(bounds);
        logs.push(&grain("a/quiet"), Revision(1), Stream::Stdout, "here");
        let place = logs.place(1);
        for _ in 0..100 {
            logs.push(&grain("a/chatty"), Revision(1), Stream::Stdout, "noise");
        }
        assert_eq!(
            all(
                &logs,
                &Filter {
                    kind: None,
                    key: Some(Key::parse("quiet").unwrap())
                }
            ),
            ["here"]
        );
        let batch = logs.since(place, &Filter::default(), 1000);
        assert!(batch.gap);
        assert_eq!(batch.entries.len(), 1000 / (LINE_OVERHEAD_BYTES + 5));
    }

    #[test]
    fn the_total_is_kept_by_taking_from_the_largest_kind() {
        let bounds = Bounds {
            grain_bytes: 5_000,
            kind_bytes: 5_000,
            total_bytes: 6_000,
        };
        let logs = Logs::new(bounds);
        logs.push(&grain("small/x"), Revision(1), Stream::Stdout, "kept");
        for kind in ["a/x", "b/x", "c/x"] {
            for _ in 0..50 {
                logs.push(&grain(kind), Revision(1), Stream::Stdout, "noise");
            }
        }
        let ring = logs.ring.lock();
        assert!(ring.bytes <= 6_000);
        assert_eq!(
            ring.bytes,
            ring.kinds.values().map(|kind| kind.bytes).sum::<usize>()
        );
        drop(ring);
        assert!(all(&logs, &Filter::default()).contains(&"kept".to_owned()));
    }

    #[test]
    fn a_place_of_an_earlier_run_is_the_beginning() {
        let logs = Logs::default();
        logs.push(&grain("a/x"), Revision(1), Stream::Host, "first");
        let batch = logs.since(Place { run: 1, after: 500 }, &Filter::default(), 10);
        assert_eq!(lines(&batch), ["first"]);
    }

    #[tokio::test]
    async fn a_push_wakes_a_follower() {
        let logs = Logs::default();
        let mut watch = logs.watch();
        logs.push(&grain("a/x"), Revision(1), Stream::Stdout, "now");
        watch.changed().await.unwrap();
        assert_eq!(*watch.borrow_and_update(), 1);
    }
}
