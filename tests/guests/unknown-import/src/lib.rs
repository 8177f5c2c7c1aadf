//! Imports what no host has.

use exports::test::unknown_import::lost::Guest;
use granary::grian::state;

wit_bindgen::generate!({ path: "wit", world: "grain", generate_all });

struct Lost;

impl Guest for Lost {
    fn get() -> Option<Vec<u8>> {
        state::get("anything")
    }
}

export!(Lost);
