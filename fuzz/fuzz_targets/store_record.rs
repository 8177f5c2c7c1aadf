//! Bytes from the disk are a record, or groups of changes, or damaged; they never bring the node down.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    granary_store::fuzz_decode(bytes);
    granary_store::fuzz_journal(bytes);
});
