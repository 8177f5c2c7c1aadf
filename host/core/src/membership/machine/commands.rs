//! What people and programs ask of a node.

use alloc::vec::Vec;

use super::share::tell_consensus;
use super::{Membership, Phase};
use crate::id::Time;
use crate::membership::broadcast::BroadcastError;
use crate::membership::consensus::CHECKS_MAX;
use crate::membership::effects::Effect;
use crate::membership::inputs::{Answer, Command, CommandError, CommandId};
use crate::membership::subscription::TooMany;

impl Membership {
    pub(super) fn command(
        &mut self,
        now: Time,
        id: CommandId,
        command: Command,
        out: &mut Vec<Effect>,
    ) {
        let result = match command {
            Command::Join { address } => {
                let joined = self.join_by_hand(now, &address, out);
                joined.map(|()| Answer::Done)
            }
            Command::Leave { node } => self.leave(&node, out),
            Command::Down { node } => self.down_by_hand(&node, out),
            Command::PrepareShutdown => self.prepare_shutdown(out),
            Command::ClearQuarantine { node } => {
                self.clear_quarantine(&node, out);
                Ok(Answer::Done)
            }
            Command::SetState { .. }
            | Command::DeleteState { .. }
            | Command::SetMapEntry { .. }
            | Command::RemoveMapEntry { .. } => self.write_shared(now, command, out),
            Command::Broadcast { bytes } => {
                let said = self.broadcasts.say(bytes).map_err(too_long);
                self.speak(now, out);
                said.map(|()| Answer::Done)
            }
            Command::Subscribe { .. }
            | Command::Unsubscribe { .. }
            | Command::Consumed { .. }
            | Command::OnMemberUp { .. }
            | Command::OnMemberRemoved { .. } => self.listen(command, out),
            Command::RegisterConsensus { .. }
            | Command::DropConsensus { .. }
            | Command::AwaitConsensus { .. } => self.agree(now, command, out),
        };
        out.push(Effect::Reply { id, result });
    }

    fn write_shared(
        &mut self,
        now: Time,
        command: Command,
        out: &mut Vec<Effect>,
    ) -> Result<Answer, CommandError> {
        if self.phase == Phase::Ended {
            return Err(CommandError::Stopped);
        }
        let shared = &mut self.shared;
        let (key, written) = match command {
            Command::SetState { key, value } => (key.clone(), shared.set(key, value)),
            Command::DeleteState { key } => (key.clone(), Ok(shared.delete(&key))),
            Command::SetMapEntry { key, entry, value } => {
                (key.clone(), shared.set_entry(key, entry, value))
            }
            Command::RemoveMapEntry { key, entry } => {
                (key.clone(), Ok(shared.remove_entry(key, entry)))
            }
            _ => return Ok(Answer::Done),
        };
        self.shared_written(now, key, written, out)
    }

    fn listen(&mut self, command: Command, out: &mut Vec<Effect>) -> Result<Answer, CommandError> {
        let callback = match command {
            Command::Subscribe {
                subscriber,
                mode,
                interest,
            } => {
                let subscriptions = &mut self.subscriptions;
                let told = subscriptions.subscribe(subscriber, mode, interest, &self.state);
                let told = told.map_err(too_many)?;
                out.extend(
                    told.into_iter()
                        .map(|notice| Effect::Publish { subscriber, notice }),
                );
                None
            }
            Command::Unsubscribe { subscriber } => {
                self.subscriptions.unsubscribe(subscriber);
                None
            }
            Command::Consumed {
                subscriber,
                notices,
            } => {
                let notices = usize::try_from(notices).unwrap_or(usize::MAX);
                let told = self
                    .subscriptions
                    .consumed(subscriber, notices, &self.state);
                out.extend(
                    told.into_iter()
                        .map(|notice| Effect::Publish { subscriber, notice }),
                );
                None
            }
            Command::OnMemberUp { callback } => self.callbacks.on_up(callback).map_err(too_many)?,
            Command::OnMemberRemoved { callback } => {
                self.callbacks.on_removed(callback).map_err(too_many)?
            }
            _ => None,
        };
        out.extend(callback.map(|callback| Effect::Callback { callback }));
        Ok(Answer::Done)
    }

    fn agree(
        &mut self,
        now: Time,
        command: Command,
        out: &mut Vec<Effect>,
    ) -> Result<Answer, CommandError> {
        if self.phase == Phase::Ended {
            return Err(CommandError::Stopped);
        }
        let mut events = Vec::new();
        match command {
            Command::RegisterConsensus { key, extract } => {
                if !self.consensus.register(key, extract) {
                    return Err(CommandError::Limit {
                        limit: "consensus-checks",
                        max: CHECKS_MAX,
                        actual: CHECKS_MAX + 1,
                    });
                }
                self.check_consensus(out);
            }
            Command::DropConsensus { key } => self.consensus.drop_key(&key, &mut events),
            Command::AwaitConsensus { wait, key, timeout } => {
                let until = now.after(timeout);
                self.consensus.wait(wait, key, until, &mut events);
            }
            _ => {}
        }
        tell_consensus(events, out);
        Ok(Answer::Done)
    }
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
