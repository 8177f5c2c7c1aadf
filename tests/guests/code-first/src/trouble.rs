//! Ways to fail.

use granary_sdk::{interface, state};

struct Trouble;

/// Ways to fail, and limits to run into.
#[interface(package = "test:torture@0.1.0")]
impl Trouble {
    fn fail(words: String) -> Result<u32, String> {
        state::set("failed", &true).expect("the state takes a word");
        Err(words)
    }

    fn throw(words: String) {
        state::set("thrown", &true).expect("the state takes a word");
        panic!("{words}");
    }

    fn exit(status: u8) {
        std::process::exit(status.into());
    }

    fn spin() {
        loop {
            std::hint::black_box(());
        }
    }

    fn hoard() {
        let mut all = Vec::new();
        loop {
            all.push(std::hint::black_box(vec![1_u8; 1 << 20]));
        }
    }

    fn speak(line: String) {
        println!("{line}");
        eprintln!("{line}");
    }

    fn has(key: String) -> bool {
        let found = state::get_bytes(&key).expect("the state is readable");
        found.is_some()
    }
}

granary_sdk::grain!(Trouble);
