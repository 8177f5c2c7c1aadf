//! Every scenario of the folder holds, and holds the same way each time.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use granary_sim::run::{run, run_traced};
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
    let unmet = outcome.unmet.clone().unwrap();
    assert_eq!(unmet.line, Some(11));
    assert_eq!(unmet.why, "on a: a is up, not down");
    let before: Vec<&str> = outcome
        .before
        .iter()
        .map(|line| line.text.as_str())
        .collect();
    assert_eq!(before[0], "step   start a");
    // Nothing of it is written as a programmer would.
    for (starts, holds) in [
        (
            "event  member-up: member (node a:7000#",
            ", status up, up-number 1)",
        ),
        ("log    cluster-formed: cluster ", ""),
        ("log    member-changed: node a:7000#", ", to up"),
        ("called back: it is up", ""),
    ] {
        let found = before
            .iter()
            .any(|line| line.starts_with(starts) && line.ends_with(holds));
        assert!(found, "{before:?}");
    }
    // Who has had every line told has the last ones with the outcome, too.
    let traced = run_traced(&Scenario::parse(text).unwrap(), 3, |_| {});
    assert_eq!(traced, outcome);
}

/// Three nodes that are up after ten seconds, and what follows.
fn three(below: &str) -> String {
    let nodes: String = ["a", "b", "c"]
        .map(|name| format!("[[node]]\nname = \"{name}\"\n"))
        .concat();
    format!("{nodes}[[step]]\nat = \"0s\"\ndo = \"start\"\n{below}")
}

fn unmet(text: &str) -> Option<(Option<usize>, String)> {
    let outcome = run(&Scenario::parse(text).expect("a good file"), 3);
    outcome.unmet.map(|unmet| (unmet.line, unmet.why))
}

#[test]
fn a_step_that_is_refused_is_a_failure_with_its_line_unless_it_is_to_be_refused() {
    let long = "x".repeat(70_000);
    let left = "[[step]]\nat = \"30s\"\ndo = \"down\"\nnode = \"c\"\nvia = \"a\"\n";
    let leaves =
        format!("{left}[[step]]\nat = \"30s\"\ndo = \"leave\"\nnode = \"c\"\nvia = \"a\"\n");
    let set = format!(
        "[[step]]\nat = \"20s\"\ndo = \"set-state\"\nnode = \"a\"\nkey = \"k\"\nvalue = \"{long}\"\n"
    );
    for (below, line, why) in [
        (
            &set,
            11,
            "refused by a: shared-state.value-bytes is at most 65536, not 70000",
        ),
        (&leaves, 16, "refused by a: c:7000"),
    ] {
        let (at, said) = unmet(&three(below)).expect("the step is refused");
        assert_eq!(at, Some(line));
        assert!(said.starts_with(why), "{said}");
        assert_eq!(unmet(&three(&format!("{below}refused = true\n"))), None);
    }
    let fits = set.replace(&long, "x");
    assert_eq!(unmet(&three(&fits)), None);
    let (line, why) = unmet(&three(&format!("{fits}refused = true\n"))).expect("it is taken");
    assert_eq!(
        (line, why.as_str()),
        (Some(11), "was to be refused, and was not")
    );
}

#[test]
fn a_step_for_a_node_that_has_ended_is_a_failure_with_its_line() {
    let gone = "[[step]]\nat = \"20s\"\ndo = \"leave\"\nnode = \"c\"\n";
    for (step, why) in [
        ("crash", "impossible: c does not run, so it cannot crash"),
        (
            "pause",
            "impossible: c does not run, so it cannot be paused",
        ),
    ] {
        let text = format!("{gone}[[step]]\nat = \"60s\"\ndo = \"{step}\"\nnodes = [\"c\"]\n");
        assert_eq!(unmet(&three(&text)), Some((Some(15), why.to_owned())));
    }
    let again = format!(
        "{gone}[[step]]\nat = \"60s\"\ndo = \"restart\"\nnodes = [\"c\"]\n[[expect]]\nwithin = [\"60s\", \"90s\"]\nstatus = {{ c = \"up\" }}\n"
    );
    assert_eq!(unmet(&three(&again)), None);
}

#[test]
fn an_operator_declares_down_whom_the_asked_node_has_among_its_members() {
    // c is restarted unseen: a knows its first incarnation alone, and downs that one; the second one is let in afterwards.
    let text = "[[step]]\nat = \"20s\"\ndo = \"cut\"\nfrom = [\"c\"]\nto = [\"a\", \"b\"]\n\
                [[step]]\nat = \"20s\"\ndo = \"restart\"\nnodes = [\"c\"]\n\
                [[step]]\nat = \"21s\"\ndo = \"down\"\nnode = \"c\"\nvia = \"a\"\n\
                [[step]]\nat = \"40s\"\ndo = \"heal\"\n\
                [[expect]]\nwithin = [\"21s\", \"30s\"]\non = [\"a\", \"b\"]\nmembers = [\"a\", \"b\"]\n\
                [[expect]]\nwithin = [\"40s\", \"80s\"]\nstatus = { c = \"up\" }\n\
                [[expect]]\nat = \"80s\"\nterminated = []\n\
                [[step]]\nat = \"90s\"\ndo = \"crash\"\nnodes = [\"c\"]\n\
                [[step]]\nat = \"150s\"\ndo = \"down\"\nnode = \"c\"\nvia = \"a\"\n";
    let why = "impossible: c is no member in the view of the node that is asked";
    assert_eq!(unmet(&three(text)), Some((Some(42), why.to_owned())));
}

#[test]
fn an_always_is_not_held_by_a_cluster_that_is_gone() {
    let text = "[[step]]\nat = \"12s\"\ndo = \"crash\"\nnodes = [\"a\", \"b\", \"c\"]\n\
                [[expect]]\nalways = [\"11s\", \"20s\"]\nstatus = { a = \"up\" }\n";
    let why = "no node runs any more".to_owned();
    assert_eq!(unmet(&three(text)), Some((Some(15), why)));
    // Of nodes that are named each one must be there.
    let named = text.replace("[[expect]]\n", "[[expect]]\non = [\"a\"]\n");
    let why = "on a: it does not run".to_owned();
    assert_eq!(unmet(&three(&named)), Some((Some(16), why)));
}

#[test]
fn the_log_has_the_markers_of_a_decision_with_addresses() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let lease = "acquire-lease-and-down-unreachable";
    for (file, wanted) in [
        (
            "crash-is-downed.toml",
            &[
                "downing: policy keep-majority, decision down-unreachable, ".to_owned(),
                "downing-node: node ".to_owned(),
            ][..],
        ),
        (
            "lease-majority.toml",
            &[
                format!("downing: policy lease-majority, decision {lease}, "),
                format!("lease-acquired: decision {lease}"),
                "lease-denied: decision down-reachable".to_owned(),
                "lease-released".to_owned(),
            ],
        ),
    ] {
        let scenario = read(&folder.join(file));
        let lines = Rc::new(RefCell::new(Vec::new()));
        let kept = Rc::clone(&lines);
        run_traced(&scenario, scenario.seed, move |line| {
            if let Some(marker) = line.text.strip_prefix("log    ") {
                kept.borrow_mut().push(marker.to_owned());
            }
        });
        for start in wanted {
            let lines = lines.borrow();
            let mut found = lines.iter().filter(|line| line.starts_with(start));
            let first = found.next().map(String::as_str).unwrap_or_default();
            assert!(!first.is_empty(), "{file}: no {start}: {lines:#?}");
            // Who is meant is named with its address and incarnation.
            assert_eq!(
                first.contains(":7000#"),
                start.starts_with("downing"),
                "{first}"
            );
        }
    }
}
