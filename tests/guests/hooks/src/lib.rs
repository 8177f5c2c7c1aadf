//! Keeps a diary of its own life. The key chooses what goes wrong in it:
//!
//! | key starts with | then |
//! |---|---|
//! | `refuse` | `activate` answers an error |
//! | `trap-activate`, `loop-activate` | `activate` traps, or never ends |
//! | `trap-deactivate`, `loop-deactivate` | `deactivate` does |

use exports::test::hooks::diary::Guest;
use granary_sdk::hooks::{ActivateReason, DeactivateReason, Lifecycle};
use granary_sdk::{context, state};

wit_bindgen::generate!({ path: "wit", world: "grain" });

struct Diary;

impl Guest for Diary {
    fn read() -> Vec<String> {
        state::scan_of("day/")
            .map(|entry| entry.expect("the state is readable").1)
            .collect()
    }

    fn note(text: String) {
        note(&text);
    }

    fn trap() {
        panic!("as told");
    }
}

impl Lifecycle for Diary {
    fn activate(reason: ActivateReason) -> Result<(), String> {
        println!("activate: {reason:?}");
        note(&format!("activate {}", name_of(reason)));
        match context::key().as_str() {
            key if key.starts_with("refuse") => Err(format!("{key} does not want to")),
            key if key.starts_with("trap-activate") => panic!("as told"),
            key if key.starts_with("loop-activate") => forever(),
            _ => Ok(()),
        }
    }

    fn deactivate(reason: DeactivateReason) {
        println!("deactivate: {reason:?}");
        note(&format!("deactivate {}", name_of_end(reason)));
        match context::key().as_str() {
            key if key.starts_with("trap-deactivate") => panic!("as told"),
            key if key.starts_with("loop-deactivate") => forever(),
            _ => {}
        }
    }
}

fn name_of(reason: ActivateReason) -> &'static str {
    match reason {
        ActivateReason::Message => "message",
        ActivateReason::Recovery => "recovery",
        ActivateReason::Upgrade => "upgrade",
    }
}

fn name_of_end(reason: DeactivateReason) -> &'static str {
    match reason {
        DeactivateReason::Idle => "idle",
        DeactivateReason::Pressure => "pressure",
        DeactivateReason::Upgrade => "upgrade",
        DeactivateReason::Shutdown => "shutdown",
        DeactivateReason::Requested => "requested",
    }
}

fn note(text: &str) {
    let day = state::scan("day/").count();
    state::set(&format!("day/{day:08}"), text).expect("the state is writable");
}

fn forever() -> ! {
    loop {
        std::hint::black_box(());
    }
}

granary_sdk::grain!(Diary, lifecycle);
