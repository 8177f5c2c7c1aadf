//! Many grains that call each other at random: nothing is refused without a circle, and nothing stands still.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

/// A turn works through the grains that it has to call, two at a time where it is a pair's turn, else one after the other.
#[derive(Debug, Clone)]
struct Running {
    call: CallId,
    /// The turn that waits for it; none from outside.
    caller: Option<usize>,
    script: VecDeque<usize>,
    /// Answers that it waits for.
    waits: usize,
}

impl Running {
    /// Every other turn waits for two calls at a time; none ends while it waits.
    fn may_go_on(&self) -> bool {
        let pairs = self.call.0.is_multiple_of(2);
        self.waits == 0 || (pairs && self.waits == 1 && !self.script.is_empty())
    }
}

#[derive(Debug, Default)]
struct Place {
    turn: Option<Running>,
    queue: VecDeque<Running>,
}

struct World {
    waits: Waits,
    places: Vec<Place>,
    /// Calls on their way: the target and the call.
    travelling: Vec<(usize, Running)>,
    scripts: Vec<Vec<usize>>,
    next_call: u128,
    refused: usize,
}

fn grain(place: usize) -> GrainId {
    GrainId::parse(&format!("g/{place}")).unwrap()
}

impl World {
    /// `scripts[i]`: what a turn of grain `i` calls. A call of a call stops at a depth, so that every script ends.
    fn new(scripts: Vec<Vec<usize>>, starts: &[usize]) -> Self {
        let places = scripts.iter().map(|_| Place::default()).collect();
        let mut world = Self {
            waits: Waits::default(),
            places,
            travelling: vec![],
            scripts,
            next_call: 0,
            refused: 0,
        };
        for start in starts {
            let at = start % world.places.len();
            let outside = world.turn(at, None, 0);
            world.travelling.push((at, outside));
        }
        world
    }

    fn turn(&mut self, at: usize, caller: Option<usize>, depth: usize) -> Running {
        self.next_call += 1;
        let script = if depth < 3 {
            self.scripts[at].iter().copied().collect()
        } else {
            VecDeque::new()
        };
        Running {
            call: CallId(self.next_call),
            caller,
            script,
            waits: 0,
        }
    }

    fn begin(&mut self, at: usize) {
        if self.places[at].turn.is_none()
            && let Some(next) = self.places[at].queue.pop_front()
        {
            assert_eq!(self.waits.started(next.call), None);
            self.places[at].turn = Some(next);
        }
    }

    fn arrive(&mut self, at: usize, turn: Running) {
        let (call, caller) = (turn.call, turn.caller);
        self.places[at].queue.push_back(turn);
        self.begin(at);
        let queued = self.places[at]
            .queue
            .iter()
            .any(|waiting| waiting.call == call);
        if queued && caller.is_some() && self.waits.queued(call).is_some() {
            self.places[at].queue.retain(|waiting| waiting.call != call);
            self.refused += 1;
            self.answer(call, caller);
        }
    }

    fn answer(&mut self, call: CallId, caller: Option<usize>) {
        self.waits.ended(call);
        if let Some(turn) = caller.and_then(|caller| self.places[caller].turn.as_mut()) {
            turn.waits -= 1;
        }
    }

    /// One step of a turn: its next call, or its end.
    fn go_on(&mut self, at: usize) {
        let Some(turn) = &mut self.places[at].turn else {
            return;
        };
        let depth = 3 - turn.script.len().min(3);
        match turn.script.pop_front() {
            Some(target) => {
                turn.waits += 1;
                let caller = turn.call;
                let next = self.turn(target, Some(at), depth + 1);
                self.waits
                    .call(caller, &grain(at), next.call, &grain(target), false);
                self.travelling.push((target, next));
            }
            None => {
                let done = self.places[at].turn.take().unwrap();
                self.answer(done.call, done.caller);
                self.begin(at);
            }
        }
    }

    /// Does one thing that can be done. False: nothing can.
    fn step(&mut self, choice: usize) -> bool {
        let ready = |place: &Place| place.turn.as_ref().is_some_and(Running::may_go_on);
        let ready: Vec<_> = (0..self.places.len())
            .filter(|at| ready(&self.places[*at]))
            .collect();
        let all = ready.len() + self.travelling.len();
        if all == 0 {
            return false;
        }
        match ready.get(choice % all) {
            Some(at) => self.go_on(*at),
            None => {
                let (at, turn) = self.travelling.remove(choice % all - ready.len());
                self.arrive(at, turn);
            }
        }
        true
    }

    fn run(&mut self, choices: &[usize]) {
        for at in 0..100_000 {
            if !self.step(choices[at % choices.len()].wrapping_add(at / choices.len())) {
                break;
            }
        }
    }

    fn is_done(&self) -> bool {
        self.travelling.is_empty()
            && self
                .places
                .iter()
                .all(|place| place.turn.is_none() && place.queue.is_empty())
    }
}

fn scripts() -> impl Strategy<Value = Vec<Vec<usize>>> {
    prop::collection::vec(prop::collection::vec(0usize..6, 0..3), 6)
}

proptest! {
    #[test]
    fn nothing_is_refused_where_no_circle_can_be(
        scripts in scripts(),
        starts in prop::collection::vec(0usize..6, 1..8),
        choices in prop::collection::vec(any::<usize>(), 1..64),
    ) {
        // Every call goes from a smaller number to a larger one.
        let scripts = scripts.into_iter().enumerate();
        let scripts = scripts.map(|(at, targets)| targets.into_iter().filter(|target| at < *target).collect()).collect();
        let mut world = World::new(scripts, &starts);
        world.run(&choices);
        prop_assert_eq!(world.refused, 0);
        prop_assert!(world.is_done() && world.waits.is_empty());
    }

    #[test]
    fn nothing_stands_still_however_calls_cross(
        scripts in scripts(),
        starts in prop::collection::vec(0usize..6, 1..8),
        choices in prop::collection::vec(any::<usize>(), 1..64),
    ) {
        let mut world = World::new(scripts, &starts);
        world.run(&choices);
        prop_assert!(world.is_done(), "calls wait for each other and nobody was told");
        prop_assert!(world.waits.is_empty());
    }
}
