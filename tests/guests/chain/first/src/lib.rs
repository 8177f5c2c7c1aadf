//! The first stop of a call that goes through four languages, each of which knows the next one's types.

use exports::test::chain_first::hop::Guest;
use granary_sdk::context;
use test::chain_second_client::hop::{Ref, StringOrCall};

wit_bindgen::generate!({
    path: ["../../../../wit", "wit"],
    world: "test:chain-first/grain",
    with: {
        "granary:grain/types@0.1.0": granary_sdk::bindings::granary::grain::types,
        "granary:grain/calls@0.1.0": granary_sdk::bindings::granary::grain::calls,
    },
    generate_all,
});

struct First;

impl Guest for First {
    fn onward(word: String) -> Result<String, String> {
        context::set_baggage("trip", "abroad").expect("a short word fits");
        Ref::new(&context::key())
            .onward(&word)
            .map_err(|failed| match failed {
                StringOrCall::App(words) => words,
                StringOrCall::Call(failed) => failed.describe(),
            })
    }
}

granary_sdk::grain!(First);
