//! What follows `/g/` names a grain, or why it does not.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|path: String| granary_node::http::fuzz_path(&path));
