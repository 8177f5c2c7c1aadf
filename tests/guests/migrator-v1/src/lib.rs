//! The first version: a name under one key.

use exports::test::migrator::person::Guest;
use granary_sdk::state::Value;

wit_bindgen::generate!({ path: "wit", world: "grain" });

const NAME: Value<String> = Value::at("name");

struct Person;

impl Guest for Person {
    fn set_name(name: String) {
        NAME.set(&name).expect("the state is writable");
    }

    fn name() -> String {
        NAME.get()
            .expect("the state is readable")
            .unwrap_or_default()
    }

    fn version() -> u32 {
        1
    }
}

granary_sdk::grain!(Person);
