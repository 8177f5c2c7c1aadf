//! What pictures of many members cost: merging, agreeing, telling what changed, sending. Prints the best of many runs, in microseconds.
//!
//! Promised: merging and convergence of 1,000 members together within a millisecond.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a benchmark looks at the clock and prints"
)]

use std::collections::BTreeSet;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use granary_core::membership::address::{Address, UniqueAddress};
use granary_core::membership::event::{Interest, diff};
use granary_core::membership::gossip::Gossip;
use granary_core::membership::member::{Member, Profile};
use granary_core::membership::reachability::Reach;
use granary_core::membership::state::ClusterState;
use granary_core::membership::view::View;

const RUNS: u32 = 200;

fn node(number: usize) -> UniqueAddress {
    let host = format!("node-{number:04}.cluster.example");
    UniqueAddress::new(Address::new(&host, 7000).unwrap(), number as u64 * 0x9e37)
}

/// So many members that are up; all have seen it but the last. Every tenth has once said something of another.
fn picture(members: usize) -> Gossip {
    let mut gossip = Gossip::default();
    let first = node(0);
    let roles = |number: usize| ["web", "db", "cache"].iter().take(number % 4);
    let mut change = gossip.change(&first);
    for number in 0..members {
        let profile = Profile {
            roles: roles(number).map(|role| (*role).into()).collect(),
            ..Profile::plain()
        };
        change
            .join(Member::joining(node(number), Arc::new(profile)))
            .unwrap();
        change
            .promote(&node(number), u32::try_from(number).unwrap() + 1)
            .unwrap();
    }
    drop(change);
    for number in (0..members).step_by(10) {
        let observer = node(number);
        gossip
            .change(&observer)
            .observe(&node((number + 1) % members), Reach::Unreachable);
        gossip
            .change(&observer)
            .observe(&node((number + 1) % members), Reach::Reachable);
    }
    (0..members.saturating_sub(1)).for_each(|number| gossip.see(&node(number)));
    gossip
}

fn best(mut run: impl FnMut()) -> f64 {
    let mut least = Duration::MAX;
    for _ in 0..RUNS {
        let begin = Instant::now();
        run();
        least = least.min(begin.elapsed());
    }
    least.as_secs_f64() * 1e6
}

fn main() {
    println!("members  merge  converged  view+state  events  encode  decode     bytes");
    for members in [10, 100, 1000] {
        let base = picture(members);
        // As it comes from another node: nothing is shared.
        let sent = postcard::to_allocvec(&base).unwrap();
        let mut remote: Gossip = postcard::from_bytes(&sent).unwrap();
        let (me, other) = (node(0), node(1));
        remote
            .change(&other)
            .observe(&node(members - 1), Reach::Unreachable);
        let mut local = base.clone();
        local
            .change(&me)
            .observe(&node(members - 2), Reach::Unreachable);
        let merged = local.merge(&remote);
        let none = BTreeSet::new();
        let merge = best(|| drop(black_box(local.merge(&remote))));
        let converged = best(|| {
            let view = View::new(&base, &me, Profile::DEFAULT_DC);
            black_box(view.is_converged(&none));
        });
        let state = |gossip: &Gossip, before: &ClusterState| {
            let view = View::new(gossip, &me, Profile::DEFAULT_DC);
            before.next(&view, &none).unwrap()
        };
        let before = state(&base, &ClusterState::default());
        let states = best(|| drop(black_box(state(&merged, &before))));
        let after = state(&merged, &before);
        let events = best(|| drop(black_box(diff(&before, &after, &Interest::all()))));
        let encode = best(|| drop(black_box(postcard::to_allocvec(&merged).unwrap())));
        let decode = best(|| drop(black_box(postcard::from_bytes::<Gossip>(&sent).unwrap())));
        println!(
            "{members:7} {merge:6.1} {converged:10.1} {states:11.1} {events:7.1} {encode:7.1} {decode:7.1} {bytes:9}",
            bytes = sent.len()
        );
    }
}
