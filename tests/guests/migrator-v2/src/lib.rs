//! The second version: a name in two parts. It takes over what the first one wrote, unless the key says otherwise:
//!
//! | key starts with | `migrate` |
//! |---|---|
//! | `bad` | answers an error, after it has written |
//! | `trap` | traps, after it has written |
//! | `loop` | never ends |

use exports::test::migrator::person::Guest;
use granary_sdk::context;
use granary_sdk::hooks::Migration;
use granary_sdk::state::Value;

wit_bindgen::generate!({ path: "wit", world: "grain" });

/// What the first version wrote.
const NAME: Value<String> = Value::at("name");
const PARTS: Value<(String, String)> = Value::at("parts");

struct Person;

impl Guest for Person {
    fn set_name(name: String) {
        PARTS.set(&split(&name)).expect("the state is writable");
    }

    fn name() -> String {
        let (given, family) = parts();
        if given.is_empty() {
            family
        } else {
            format!("{given} {family}")
        }
    }

    fn version() -> u32 {
        2
    }

    fn family_name() -> String {
        parts().1
    }
}

impl Migration for Person {
    fn migrate(from_revision: u64) -> Result<(), String> {
        println!("migrate from revision {from_revision}");
        if let Some(name) = NAME.get().map_err(|e| e.to_string())? {
            PARTS.set(&split(&name)).map_err(|e| e.to_string())?;
            NAME.delete().map_err(|e| e.to_string())?;
        }
        match context::key().as_str() {
            key if key.starts_with("bad") => Err(format!("{key} stays as it is")),
            key if key.starts_with("trap") => panic!("as told"),
            key if key.starts_with("loop") => loop {
                std::hint::black_box(());
            },
            _ => Ok(()),
        }
    }
}

fn parts() -> (String, String) {
    PARTS
        .get()
        .expect("the state is readable")
        .unwrap_or_default()
}

fn split(name: &str) -> (String, String) {
    let (given, family) = name.rsplit_once(' ').unwrap_or(("", name));
    (given.to_owned(), family.to_owned())
}

granary_sdk::grain!(Person, migration);
