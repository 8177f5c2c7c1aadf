//! Bytes from another node are a message, which is read again as the same when it is written, or are refused; they never bring a node down.
#![no_main]

use granary_core::membership::wire;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(envelope) = wire::decode(bytes)
        && let Ok(again) = wire::encode(&envelope)
    {
        assert_eq!(wire::decode(&again), Ok(envelope));
    }
});
