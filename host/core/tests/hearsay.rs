//! Whatever others say, a member goes on and its picture stays one. Messages are those of the golden files, some of their bytes changed: what
//! is still a message gets past the wire's own checks.
#![expect(clippy::unwrap_used, reason = "tests may fail")]

use std::path::Path;
use std::time::Duration;

use granary_core::membership::wire;
use proptest::prelude::*;

#[path = "hearsay/member.rs"]
mod member;

use member::Member;

/// Every message that there is.
fn messages() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/wire-1");
    let files = std::fs::read_dir(folder).unwrap();
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    let text = paths
        .iter()
        .map(|path| std::fs::read_to_string(path).unwrap());
    let bytes = text.map(|text| {
        let digits = text.split_whitespace();
        digits
            .map(|digits| u8::from_str_radix(digits, 16).unwrap())
            .collect()
    });
    bytes.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_word_makes_a_member_fail_or_spoils_its_picture(
        words in prop::collection::vec(
            (any::<prop::sample::Index>(), prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4), 0u64..3000),
            1..20,
        ),
    ) {
        let messages = messages();
        let mut member = Member::alone();
        for (message, changes, pause) in words {
            let mut bytes = message.get(&messages).clone();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Ok(envelope) = wire::decode(&bytes) {
                member.hear(envelope);
            }
            member.pass(Duration::from_millis(pause));
            member.check();
        }
    }
}
