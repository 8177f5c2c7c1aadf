//! The third version: its interface breaks with the two before; it keeps the second one's state.

use exports::test::migrator::person::{FullName, Guest};
use granary_sdk::state::Value;

wit_bindgen::generate!({ path: "wit", world: "grain" });

const PARTS: Value<(String, String)> = Value::at("parts");

struct Person;

impl Guest for Person {
    fn set_name(name: FullName) {
        PARTS
            .set(&(name.given, name.family))
            .expect("the state is writable");
    }

    fn name() -> FullName {
        let (given, family) = PARTS
            .get()
            .expect("the state is readable")
            .unwrap_or_default();
        FullName { given, family }
    }
}

granary_sdk::grain!(Person);
