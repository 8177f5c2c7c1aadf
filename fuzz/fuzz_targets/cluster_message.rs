//! Bytes from another node are a message, which is read again as the same when it is written, or are refused; and a member that hears it goes on,
//! and its picture stays one. The golden files of `host/core/tests` are a corpus to begin with.
#![no_main]

use std::time::Duration;

use granary_core::membership::wire;
use libfuzzer_sys::fuzz_target;

#[path = "../../host/core/tests/hearsay/member.rs"]
mod member;

fuzz_target!(|bytes: &[u8]| {
    let Ok(envelope) = wire::decode(bytes) else {
        return;
    };
    if let Ok(again) = wire::encode(&envelope) {
        assert_eq!(wire::decode(&again).as_ref(), Ok(&envelope));
    }
    let mut member = member::Member::alone();
    member.hear(envelope);
    member.pass(Duration::from_secs(10));
    member.check();
});
