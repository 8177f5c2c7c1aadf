//! A decision about a partition, made again from the record that explains it, is the same.

use std::time::Duration;

use super::Rule;
use crate::world::{Fact, World};

/// Keeps nothing: it looks at each record by itself.
pub struct ExplanationsReplay;

impl Rule for ExplanationsReplay {
    fn name(&self) -> &'static str {
        "explanations replay"
    }

    fn see(&mut self, world: &World, _at: Duration, fact: &Fact<'_>) -> Result<(), String> {
        let Fact::Explained { this, explanation } = fact else {
            return Ok(());
        };
        let Some(again) = explanation.replay() else {
            return Ok(());
        };
        if again == **explanation {
            return Ok(());
        }
        Err(format!(
            "{} explains {:?} of {:?}, and its own record leads to {:?} of {:?}",
            world.name(this),
            explanation.decision,
            explanation.down,
            again.decision,
            again.down
        ))
    }
}
