//! What members tell each other beside the picture: shared values, agreement on them, and words to all.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Membership, Phase};
use crate::id::Time;
use crate::membership::address::UniqueAddress;
use crate::membership::consensus::{ConsensusEvent, Electorate};
use crate::membership::effects::Effect;
use crate::membership::inputs::{Answer, CommandError};
use crate::membership::message::Message;
use crate::membership::shared::{Exchange, SharedDelta, SharedDigest, SharedError};

/// How many members are told in each round what this node has.
const SHARED_TARGETS: usize = 3;

impl Membership {
    /// One round: others say what they lack.
    pub(super) fn share(&mut self, out: &mut Vec<Effect>) {
        if self.shared.is_empty() {
            // There is nothing to tell; whoever has something will ask.
            return;
        }
        let summary = self.shared.summary();
        let view = super::View::new(&self.gossip, &self.this, &self.profile.dc);
        for peer in self.targets.burst(&view, SHARED_TARGETS, &mut self.rng) {
            self.send(&peer, Message::SharedStateDigest(summary.clone()), out);
        }
    }

    pub(super) fn on_shared_digest(
        &mut self,
        from: &UniqueAddress,
        digest: &SharedDigest,
        out: &mut Vec<Effect>,
    ) {
        let Exchange { delta, digest } = self.shared.compare(digest);
        if let Some(delta) = delta {
            self.send(from, Message::SharedState(delta), out);
        }
        if let Some(digest) = digest {
            self.send(from, Message::SharedStateDigest(digest), out);
        }
    }

    pub(super) fn on_shared_state(&mut self, delta: &SharedDelta, out: &mut Vec<Effect>) {
        let applied = self.shared.apply(delta);
        self.counters.shared_refused += applied.refused.len() as u64;
        if !applied.changed.is_empty() {
            for (node, key) in applied.changed {
                out.push(Effect::SharedChanged { node, key });
            }
            self.check_consensus(out);
        }
    }

    /// Says that this node's own value under a key has changed, and that others should hear of it soon.
    pub(super) fn shared_written(
        &mut self,
        now: Time,
        key: Arc<str>,
        written: Result<bool, SharedError>,
        out: &mut Vec<Effect>,
    ) -> Result<Answer, CommandError> {
        let is_changed = written.map_err(|error| CommandError::Limit {
            limit: error.limit,
            max: error.max,
            actual: error.actual,
        })?;
        if is_changed {
            let node = self.this.clone();
            out.push(Effect::SharedChanged { node, key });
            self.rounds.shared = now;
            self.check_consensus(out);
        }
        Ok(Answer::Done)
    }

    /// Sends the words that wait, if they may go.
    pub(super) fn speak(&mut self, now: Time, out: &mut Vec<Effect>) {
        let Some(words) = self.broadcasts.wake(now) else {
            return;
        };
        deliver(&self.this, &words, out);
        let others = self.gossip.members().iter();
        let others = others.filter(|member| member.node != self.this);
        for member in others {
            self.send(&member.node, Message::Broadcast(Arc::clone(&words)), out);
        }
    }

    /// Looks again at every key that is watched.
    pub(super) fn check_consensus(&mut self, out: &mut Vec<Effect>) {
        if self.consensus.is_idle() || self.phase != Phase::Member {
            return;
        }
        let view = self.view();
        let counting = view.members().filter(|member| member.status.counts());
        let reachable =
            counting.filter(|member| member.node == self.this || view.is_reachable(&member.node));
        let voters: BTreeSet<UniqueAddress> = reachable.map(|member| member.node.clone()).collect();
        let electorate = Electorate {
            topology: self.state.topology.hash,
            voters,
            seen: self.gossip.seen_by().cloned().collect(),
        };
        let mut events = Vec::new();
        self.consensus
            .update(&electorate, &self.shared, &mut events);
        tell_consensus(events, out);
    }

    /// Ends the waits for agreement whose time is up.
    pub(super) fn consensus_timers(&mut self, now: Time, out: &mut Vec<Effect>) {
        let mut events = Vec::new();
        self.consensus.wake(now, &mut events);
        tell_consensus(events, out);
    }
}

pub(super) fn tell_consensus(events: Vec<ConsensusEvent>, out: &mut Vec<Effect>) {
    out.extend(events.into_iter().map(|event| match event {
        ConsensusEvent::Agreed { key, value } => Effect::Consensus {
            key,
            value: Some(value),
        },
        ConsensusEvent::Lost { key } => Effect::Consensus { key, value: None },
        ConsensusEvent::Waited { id, value } => Effect::Waited { id, value },
    }));
}

pub(super) fn deliver(from: &UniqueAddress, words: &[Arc<[u8]>], out: &mut Vec<Effect>) {
    out.extend(words.iter().map(|bytes| Effect::Deliver {
        from: from.clone(),
        bytes: Arc::clone(bytes),
    }));
}
