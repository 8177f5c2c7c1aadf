//! Typed calls: another kind's methods as methods of a `Ref`, with its types and no encoding.
//!
//! `granary build` writes the client package into `wit/deps/counter-client.wit`, from the WIT of the kind `counter` that lies beside this
//! one. `granary wit client counter` shows it.

use demo::counter_client::counter::Ref;
use exports::demo::tally::tally::Guest;

wit_bindgen::generate!({ path: ["../../wit", "wit"], world: "demo:tally/grain", generate_all });

struct Tally;

impl Guest for Tally {
    fn count(counters: Vec<String>, by: u64) -> Result<u64, String> {
        let mut sum: u64 = 0;
        for name in counters {
            // Whatever keeps the call from being answered is an error like another: no such kind, a full mailbox, a circle, a trap.
            let count = Ref::new(&name).increment(by);
            sum = sum.saturating_add(count.map_err(|error| format!("{name}: {error:?}"))?);
        }
        Ok(sum)
    }
}

export!(Tally);
