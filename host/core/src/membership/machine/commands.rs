//! What people and programs ask of a node.

use alloc::vec::Vec;

use super::Membership;
use crate::id::Time;
use crate::membership::effects::Effect;
use crate::membership::inputs::{Answer, Command, CommandId};

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
                self.join_by_hand(now, &address, out).map(|()| Answer::Done)
            }
            Command::Leave { node } => self.leave(&node, out),
            Command::Down { node } => self.down_by_hand(&node, out),
            Command::PrepareShutdown => self.prepare_shutdown(out),
            Command::ClearQuarantine { node } => {
                self.clear_quarantine(&node, out);
                Ok(Answer::Done)
            }
        };
        out.push(Effect::Reply { id, result });
    }
}
