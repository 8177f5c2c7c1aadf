//! One run of a scenario: its steps, its expectations, and what is told when one does not hold.

use std::time::Duration;

use crate::judge::{Judge, Unmet};
use crate::scenario::{Scenario, Step};
use crate::trace::{self, Detail, Line, Tracer};
use crate::world::{Untaken, World};

/// Lines that are told before an expectation that does not hold.
pub const LINES_BEFORE: usize = 40;

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The seed that it was drawn from.
    pub seed: u64,
    /// The first expectation that did not hold; none when all did.
    pub unmet: Option<Unmet>,
    /// What happened before that, the latest last.
    pub before: Vec<Line>,
    /// Runs of one scenario and one seed have the same digest.
    pub digest: u64,
    /// How much time of the cluster has passed.
    pub lasted: Duration,
}

/// Runs a scenario. Where an expectation does not hold it runs again, this time writing down what happens: the same will.
pub fn run(scenario: &Scenario, seed: u64) -> Outcome {
    let _replay = Replay(seed);
    let mut world = World::new(scenario, seed);
    let unmet = play(scenario, &mut world, Steps::AllPossible).err();
    let mut before = Vec::new();
    if unmet.is_some() {
        let mut again = World::new(scenario, seed);
        let lines = trace::last(&mut again, LINES_BEFORE);
        // The same expectation fails at the same moment, where the lines end.
        drop(play(scenario, &mut again, Steps::AllPossible));
        before = lines.take();
    }
    Outcome {
        seed,
        unmet,
        before,
        digest: world.tally().digest(),
        lasted: world.now(),
    }
}

/// Runs a scenario and hands out a line for everything that happens, messages included.
pub fn run_traced(scenario: &Scenario, seed: u64, line: impl FnMut(Line) + 'static) -> Outcome {
    let _replay = Replay(seed);
    let mut world = World::new(scenario, seed);
    world.watch(Box::new(Tracer::new(Detail::Messages, line)));
    let lines = trace::last(&mut world, LINES_BEFORE);
    let unmet = play(scenario, &mut world, Steps::AllPossible).err();
    let before = match unmet {
        Some(_) => lines.take(),
        None => Vec::new(),
    };
    Outcome {
        seed,
        unmet,
        before,
        digest: world.tally().digest(),
        lasted: world.now(),
    }
}

/// What becomes of steps that are impossible as things are, or refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steps {
    /// There must be none but for those that are to be refused.
    AllPossible,
    /// They are left out: whoever drew them could not know.
    WherePossible,
}

/// Takes the steps and judges the expectations, each at its time. Errors: the first that does not hold, or is impossible.
pub fn play(scenario: &Scenario, world: &mut World, possible: Steps) -> Result<(), Unmet> {
    let mut judge = Judge::new(&scenario.expects);
    let mut steps = scenario.steps.iter().peekable();
    loop {
        let step = steps.peek().map(|step| step.at);
        let moment = [step, judge.next()].into_iter().flatten().min();
        let Some(moment) = moment else {
            return Ok(());
        };
        while world.advance(moment) {
            settle(&mut judge, world)?;
        }
        judge.moment(world)?;
        while let Some(step) = steps.next_if(|step| step.at <= moment) {
            let taken = world.take(&step.action);
            if possible == Steps::AllPossible
                && let Some(why) = unexpected(step, taken)
            {
                return Err(Unmet {
                    line: Some(step.line),
                    at: moment,
                    why,
                });
            }
        }
        settle(&mut judge, world)?;
    }
}

/// What came of a step, if that is not what the scenario says.
fn unexpected(step: &Step, taken: Result<(), Untaken>) -> Option<String> {
    match (taken, step.refused) {
        (Ok(()), false) | (Err(Untaken::Refused { .. }), true) => None,
        (Ok(()), true) => Some("was to be refused, and was not".to_owned()),
        (Err(untaken), _) => Some(untaken.to_string()),
    }
}

fn settle(judge: &mut Judge, world: &mut World) -> Result<(), Unmet> {
    if let Some(why) = world.broken() {
        return Err(Unmet {
            line: None,
            at: world.now(),
            why: why.to_owned(),
        });
    }
    let changed = world.take_changed();
    judge.changed(world, &changed)
}

/// Says how to come here again when an assertion inside the product fires before any expectation does.
pub(crate) struct Replay(pub(crate) u64);

impl Drop for Replay {
    #[expect(
        clippy::print_stderr,
        reason = "the panic that unwinds here is the only one to tell it to"
    )]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "the run was drawn from seed {}: --seed {} comes here again",
                self.0, self.0
            );
        }
    }
}
