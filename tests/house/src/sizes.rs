//! How long and how deep. A function's length is clippy's business (`too-many-lines-threshold`).

use crate::tree::{assert_none, files, files_with, product_lines};

/// The ceiling of a source file in lines, its unit tests cut.
const LINES_MAX: usize = 600;

/// Files over the ceiling, each with the reason. The list only shrinks: a file that fits again must leave it.
const LONG: &[(&str, &str)] = &[];

/// The deepest path below `src`.
const DEPTH_MAX: usize = 3;

#[test]
fn files_stay_under_the_ceiling() {
    let mut findings = Vec::new();
    for file in files_with(&["rs"]) {
        let lines = product_lines(&file).len();
        let listed = LONG.iter().any(|(name, _)| *name == file);
        if LINES_MAX < lines && !listed {
            findings.push(format!(
                "{file}: {lines} lines; split it by what a reader looks for"
            ));
        }
        if lines <= LINES_MAX && listed {
            findings.push(format!("{file}: {lines} lines fit; take it off the list"));
        }
    }
    let gone = LONG
        .iter()
        .filter(|(name, _)| !files().iter().any(|file| file == name));
    findings.extend(gone.map(|(name, _)| format!("{name} is gone; take it off the list")));
    assert_none(&format!("at most {LINES_MAX} lines a file:"), &findings);
}

#[test]
fn paths_are_shallow_and_no_module_hides_in_mod_rs() {
    let mut findings = Vec::new();
    for file in files_with(&["rs"]) {
        if file.ends_with("/mod.rs") && !file.starts_with("tests/e2e/") {
            findings.push(format!("{file}: use a file beside the folder"));
        }
        let Some((_, below)) = file.split_once("/src/") else {
            continue;
        };
        if DEPTH_MAX < below.split('/').count() {
            findings.push(format!(
                "{file}: {} levels below src",
                below.split('/').count()
            ));
        }
    }
    assert_none(
        &format!("at most {DEPTH_MAX} levels below src, and no mod.rs:"),
        &findings,
    );
}

#[test]
fn every_source_file_says_what_it_is() {
    let is_product = |file: &&String| {
        file.starts_with("host/") || file.starts_with("bench/") || file.starts_with("tests/")
    };
    let starts_with_doc = |file: &String| {
        product_lines(file)
            .first()
            .is_some_and(|line| line.starts_with("//!"))
    };
    let sources = files_with(&["rs"]);
    let findings: Vec<String> = sources
        .iter()
        .filter(is_product)
        .filter(|file| !file.ends_with("tests.rs") && !starts_with_doc(file))
        .cloned()
        .collect();
    assert_none("a file starts with a sentence on its job (//!):", &findings);
}
