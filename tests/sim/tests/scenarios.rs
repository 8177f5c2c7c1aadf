//! Every scenario of the folder holds, and holds the same way each time.

use std::path::{Path, PathBuf};

use granary_sim::run::run;
use granary_sim::scenario::Scenario;

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let entries = std::fs::read_dir(&folder).expect("the scenarios lie beside the tests");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a folder that is there can be read").path())
        .collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "toml"));
    files.sort();
    files
}

fn read(file: &Path) -> Scenario {
    let text = std::fs::read_to_string(file).expect("it was listed a moment ago");
    Scenario::parse(&text)
        .map_err(|error| format!("{}: {error}", file.display()))
        .expect("the scenario is as the format says")
}

#[test]
fn every_scenario_holds() {
    let mut broken = Vec::new();
    for file in files() {
        let scenario = read(&file);
        let outcome = run(&scenario, scenario.seed);
        let Some(unmet) = outcome.unmet else { continue };
        let before: Vec<String> = outcome.before.iter().map(ToString::to_string).collect();
        broken.push(format!(
            "{}\n{}, line {:?}, after {:?}: {}",
            before.join("\n"),
            file.display(),
            unmet.line,
            unmet.at,
            unmet.why
        ));
    }
    assert!(!files().is_empty());
    assert!(broken.is_empty(), "{}", broken.join("\n\n"));
}

#[test]
fn every_scenario_holds_with_other_seeds() {
    for file in files() {
        let scenario = read(&file);
        for seed in 100..110 {
            let outcome = run(&scenario, seed);
            let before: Vec<String> = outcome.before.iter().map(ToString::to_string).collect();
            let before = before.join("\n");
            assert_eq!(
                outcome.unmet,
                None,
                "{before}\n{}, seed {seed}",
                file.display()
            );
        }
    }
}

#[test]
fn a_seed_comes_to_the_same_end_bit_for_bit() {
    for file in files() {
        let scenario = read(&file);
        let (first, again) = (run(&scenario, 5), run(&scenario, 5));
        assert_eq!(first, again, "{}", file.display());
        assert_ne!(first.digest, run(&scenario, 6).digest, "{}", file.display());
    }
}

#[test]
fn a_broken_expectation_is_told_with_its_line_and_what_was_before() {
    let text = "seed = 3\n[[node]]\nname = \"a\"\n[[step]]\nat = \"0s\"\ndo = \"start\"\n\
                [[expect]]\nwithin = [\"0s\", \"30s\"]\nstatus = { a = \"up\" }\n\
                [[expect]]\nalways = [\"10s\", \"60s\"]\nstatus = { a = \"down\" }\n";
    let outcome = run(&Scenario::parse(text).unwrap(), 3);
    let unmet = outcome.unmet.unwrap();
    assert_eq!(unmet.line, Some(11));
    assert_eq!(unmet.why, "on a: a is up, not down");
    assert!(
        outcome
            .before
            .iter()
            .any(|line| line.text.contains("start a"))
    );
}
