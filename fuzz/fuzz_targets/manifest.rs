//! A `granary.toml` is read, or its mistakes are named with a place; it is never half-read.
#![no_main]

use std::path::Path;

use granary_node::config::document::Document;
use granary_node::manifest::Manifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: String| {
    let document = Document::new("granary.toml".to_owned(), text);
    match Manifest::read(&document, Path::new("granary.toml")) {
        Ok(manifest) => assert!(!manifest.kinds.is_empty()),
        Err(problems) => assert!(!problems.to_string().is_empty()),
    }
});
