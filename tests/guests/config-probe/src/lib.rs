//! Reads its configuration.

use exports::test::config_probe::probe::Guest;
use wasi::config::store;

wit_bindgen::generate!({ path: "wit", world: "grain", generate_all });

struct Probe;

impl Guest for Probe {
    fn get(key: String) -> Result<Option<String>, String> {
        store::get(&key).map_err(|e| format!("{e:?}"))
    }

    fn all() -> Result<Vec<(String, String)>, String> {
        store::get_all().map_err(|e| format!("{e:?}"))
    }
}

export!(Probe);
