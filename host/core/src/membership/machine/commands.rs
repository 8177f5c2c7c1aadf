//! What people and programs ask of a node.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::share::tell_consensus;
use super::{Membership, Phase};
use crate::id::Time;
use crate::membership::broadcast::BroadcastError;
use crate::membership::consensus::{CHECKS_MAX, Extract, WAITS_MAX, WaitId};
use crate::membership::effects::Effect;
use crate::membership::inputs::{Answer, CallbackId, Command, CommandError, CommandId};
use crate::membership::subscription::{Notice, SubscriberId, TooMany};

impl Membership {
    pub(super) fn command(
        &mut self,
        now: Time,
        id: CommandId,
        command: Command,
        out: &mut Vec<Effect>,
    ) {
        let result = if self.phase == Phase::Ended && !outlives_membership(&command) {
            Err(CommandError::Stopped)
        } else {
            self.obey(now, command, out)
        };
        out.push(Effect::Reply { id, result });
    }

    fn obey(
        &mut self,
        now: Time,
        command: Command,
        out: &mut Vec<Effect>,
    ) -> Result<Answer, CommandError> {
        match command {
            Command::Join { address } => return self.join_by_hand(now, &address, out),
            Command::Leave { node } => return self.leave(&node, out),
            Command::Down { node } => return self.down_by_hand(&node, out),
            Command::PrepareShutdown => return self.prepare_shutdown(out),
            Command::SetState { key, value } => {
                let written = self.shared.set(Arc::clone(&key), value);
                return self.shared_written(now, key, written, out);
            }
            Command::DeleteState { key } => {
                let written = Ok(self.shared.delete(&key));
                return self.shared_written(now, key, written, out);
            }
            Command::SetMapEntry { key, entry, value } => {
                let written = self.shared.set_entry(Arc::clone(&key), entry, value);
                return self.shared_written(now, key, written, out);
            }
            Command::RemoveMapEntry { key, entry } => {
                let written = Ok(self.shared.remove_entry(Arc::clone(&key), entry));
                return self.shared_written(now, key, written, out);
            }
            Command::Broadcast { bytes } => {
                if self.phase != Phase::Member {
                    return Err(CommandError::NotJoined);
                }
                self.broadcasts.say(bytes).map_err(too_long)?;
                self.speak(now, out);
            }
            Command::Subscribe {
                subscriber,
                mode,
                interest,
            } => {
                let subscriptions = &mut self.subscriptions;
                let told = subscriptions.subscribe(subscriber, mode, interest, &self.state);
                publish(subscriber, told.map_err(too_many)?, out);
            }
            Command::Unsubscribe { subscriber } => self.subscriptions.unsubscribe(subscriber),
            Command::Consumed {
                subscriber,
                notices,
            } => {
                let notices = usize::try_from(notices).unwrap_or(usize::MAX);
                let told = self
                    .subscriptions
                    .consumed(subscriber, notices, &self.state);
                publish(subscriber, told, out);
            }
            Command::OnMemberUp { callback } => {
                call(self.callbacks.on_up(callback).map_err(too_many)?, out);
            }
            Command::OnMemberRemoved { callback } => {
                call(self.callbacks.on_removed(callback).map_err(too_many)?, out);
            }
            Command::RegisterConsensus { key, extract } => self.register(key, extract, out)?,
            Command::DropConsensus { key } => {
                let mut events = Vec::new();
                self.consensus.drop_key(&key, &mut events);
                tell_consensus(events, out);
            }
            Command::AwaitConsensus { wait, key, timeout } => {
                self.wait(wait, key, now.after(timeout), out)?;
            }
            Command::Quarantine { node } => self.shut_out(now, &node, out)?,
            Command::ClearQuarantine { node } => self.clear_quarantine(&node, out),
        }
        Ok(Answer::Done)
    }

    fn wait(
        &mut self,
        id: WaitId,
        key: Arc<str>,
        until: Time,
        out: &mut Vec<Effect>,
    ) -> Result<(), CommandError> {
        let mut events = Vec::new();
        if !self.consensus.wait(id, key, until, &mut events) {
            return Err(CommandError::Limit {
                limit: "consensus-waits",
                max: WAITS_MAX,
                actual: WAITS_MAX + 1,
            });
        }
        tell_consensus(events, out);
        Ok(())
    }

    fn register(
        &mut self,
        key: Arc<str>,
        extract: Extract,
        out: &mut Vec<Effect>,
    ) -> Result<(), CommandError> {
        if !self.consensus.register(key, extract) {
            return Err(CommandError::Limit {
                limit: "consensus-checks",
                max: CHECKS_MAX,
                actual: CHECKS_MAX + 1,
            });
        }
        self.check_consensus(out);
        Ok(())
    }
}

/// Whether a command still means something once membership has ended.
fn outlives_membership(command: &Command) -> bool {
    match command {
        Command::Subscribe { .. }
        | Command::Unsubscribe { .. }
        | Command::Consumed { .. }
        | Command::OnMemberUp { .. }
        | Command::OnMemberRemoved { .. } => true,
        Command::Join { .. }
        | Command::Leave { .. }
        | Command::Down { .. }
        | Command::PrepareShutdown
        | Command::SetState { .. }
        | Command::DeleteState { .. }
        | Command::SetMapEntry { .. }
        | Command::RemoveMapEntry { .. }
        | Command::Broadcast { .. }
        | Command::RegisterConsensus { .. }
        | Command::DropConsensus { .. }
        | Command::AwaitConsensus { .. }
        | Command::Quarantine { .. }
        | Command::ClearQuarantine { .. } => false,
    }
}

fn publish(subscriber: SubscriberId, notices: Vec<Notice>, out: &mut Vec<Effect>) {
    out.extend(
        notices
            .into_iter()
            .map(|notice| Effect::Publish { subscriber, notice }),
    );
}

fn call(callback: Option<CallbackId>, out: &mut Vec<Effect>) {
    out.extend(callback.map(|callback| Effect::Callback { callback }));
}

fn too_many(error: TooMany) -> CommandError {
    CommandError::Limit {
        limit: error.what,
        max: error.limit,
        actual: error.limit + 1,
    }
}

fn too_long(error: BroadcastError) -> CommandError {
    CommandError::Limit {
        limit: error.limit,
        max: error.max,
        actual: error.actual,
    }
}
