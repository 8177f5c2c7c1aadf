use std::time::Duration;

use granary_core::membership::member::Status;

use super::*;

const TWO: &str = "[[node]]\nname = \"a\"\n[[node]]\nname = \"b\"\n";

fn slips(text: &str) -> Vec<String> {
    let error = Scenario::parse(text).expect_err("the file has slips");
    error.0.iter().map(ToString::to_string).collect()
}

fn slip(below: &str) -> String {
    slips(&format!("{TWO}{below}")).join("\n")
}

fn expects(below: &str) -> Vec<Expect> {
    let text = format!("{TWO}{below}");
    Scenario::parse(&text).expect("a good file").expects
}

#[test]
fn everything_optional_has_a_value() {
    let scenario = Scenario::parse(TWO).unwrap();
    assert_eq!((scenario.seed, scenario.link), (0, Link::default()));
    let node = &scenario.nodes[1];
    assert_eq!(node.address.to_string(), "b:7000");
    assert_eq!(node.profile.dc.as_ref(), "default");
    assert_eq!(node.seeds, [scenario.nodes[0].address.clone()]);
    assert!(scenario.steps.is_empty() && scenario.expects.is_empty());
}

#[test]
fn every_unknown_key_is_told_with_its_line() {
    let text = format!(
        "sed = 7\n[network]\nlos = 0.1\n{TWO}colour = 1\n[[step]]\nat = \"0s\"\ndo = \"start\"\nnode = \"a\"\nvia = \"b\"\n[[expect]]\nat = \"1s\"\nstatuses = {{}}\nconverged = true\n"
    );
    let slips = slips(&text);
    let starts = [
        "line 1: sed: unknown key; known here: seed, network",
        "line 3: network.los: unknown key; known here: latency, loss, duplicate",
        "line 8: node.colour: unknown key",
        "line 13: step.via: unknown key",
        "line 16: expect.statuses: unknown key",
    ];
    assert_eq!(slips.len(), starts.len(), "{slips:?}");
    for (slip, start) in slips.iter().zip(starts) {
        assert!(slip.starts_with(start), "{slip}");
    }
}

#[test]
fn settings_are_checked_where_they_stand() {
    let found = slip("[cluster]\nstable-after = \"5s\"\ndowning.strategie = \"off\"\n");
    assert!(
        found.starts_with("line 7: cluster.downing.strategie: "),
        "{found}"
    );
    let found = slip("[cluster]\ndowning.strategy = \"keep-some\"\n");
    assert!(
        found.starts_with("line 6: cluster.downing.strategy: "),
        "{found}"
    );
    let found = slip("[cluster]\nmin-members = 0\ndowning.strategy = \"static-quorum\"\n");
    assert!(found.contains("line 6: cluster.min-members: "), "{found}");
    assert!(found.contains("cluster.downing.quorum-size: "), "{found}");
    let step = "[[step]]\nat = \"0s\"\ndo = \"settings\"\nnode = \"b\"\ndowning.strategy = \"off\"\ndowning.role = \"web\"\n";
    let found = slip(step);
    assert!(found.contains("step.downing.role: "), "{found}");
    let found = slip("[[step]]\nat = \"0s\"\ndo = \"settings\"\nnode = \"b\"\nmin-member = 2\n");
    assert!(found.starts_with("line 9: step.min-member: "), "{found}");
}

#[test]
fn a_step_says_what_is_missing_or_impossible() {
    let step = |rest: &str| slip(&format!("[[step]]\nat = \"0s\"\n{rest}\n"));
    for (rest, wanted) in [
        ("nodes = [\"a\"]", "step.do: every step says what is done"),
        (
            "do = \"strat\"",
            "step.do: \"strat\" is none of: start, crash",
        ),
        (
            "do = \"start\"\nnodes = [\"c\"]",
            "step.nodes: there is no node \"c\"",
        ),
        (
            "do = \"crash\"",
            "step.nodes: is missing for this kind of step",
        ),
        (
            "do = \"crash\"\nnode = \"a\"",
            "step.do: impossible for a: it does not run",
        ),
        (
            "do = \"resume\"\nnode = \"a\"",
            "step.do: impossible for a: it is not paused",
        ),
        (
            "do = \"restart\"\nnode = \"a\"",
            "step.do: impossible for a: it was never started",
        ),
        (
            "do = \"leave\"\nnode = \"a\"",
            "step.do: impossible for a: it was never started",
        ),
    ] {
        let found = step(rest);
        assert!(found.contains(wanted), "{rest}: {found}");
        assert!(found.starts_with("line "), "{found}");
    }
}

#[test]
fn a_step_says_which_of_its_values_will_not_do() {
    let step = |rest: &str| slip(&format!("[[step]]\nat = \"0s\"\n{rest}\n"));
    for (rest, wanted) in [
        (
            "do = \"cut\"",
            "step.from: is missing for this kind of step",
        ),
        (
            "do = \"cut\"\nfrom = \"a\"\nto = \"a\"",
            "step.to: a node has no link to itself",
        ),
        (
            "do = \"heal\"\nall = true\nfrom = \"a\"",
            "one of them will do",
        ),
        (
            "do = \"loss\"\nrate = 1.5",
            "step.rate: a share from 0.0 to 1.0 is wanted",
        ),
        (
            "do = \"latency\"\nrange = [\"2s\", \"1s\"]",
            "the first span must not be above the second",
        ),
        (
            "do = \"skew\"\nnode = \"a\"\nby = \"soon\"",
            "step.by: a span of time is wanted",
        ),
        (
            "do = \"set-state\"\nnode = \"a\"\nvalue = \"x\"",
            "step.key: is missing",
        ),
        (
            "do = \"down\"\nnodes = [\"a\", \"b\"]",
            "names one node at a time",
        ),
        (
            "do = \"start\"\nnodes = [\"a\", \"a\"]",
            "step.nodes: \"a\" is there twice",
        ),
        ("do = \"start\"\nnodes = []", "step.nodes: names no node"),
        ("do = \"cut\"\nfrom = []", "step.from: names no node"),
        (
            "do = \"heal\"\nall = false",
            "step.all: only true means something",
        ),
        (
            "do = \"settings\"\nnode = \"a\"",
            "step.do: names no setting",
        ),
        (
            "do = \"set-state\"\nnode = \"a\"\nkey = 7",
            "step.key: a text is wanted, not a number",
        ),
    ] {
        let found = step(rest);
        assert!(found.contains(wanted), "{rest}: {found}");
        assert!(found.starts_with("line "), "{found}");
    }
    let found = slip("[[step]]\ndo = \"start\"\n");
    assert!(
        found.contains("step.at: every step has its moment"),
        "{found}"
    );
    let found = slip("[[step]]\nat = \"soon\"\ndo = \"start\"\n");
    assert!(found.contains("\"soon\" is no span of time"), "{found}");
}

#[test]
fn what_a_node_says_of_itself_is_checked_where_it_stands() {
    let found = slip("[[node]]\nname = \"c\"\ndc = \"\"\n");
    assert!(
        found.starts_with("line 5: node: a data centre is 1 to 128 bytes"),
        "{found}"
    );
}

#[test]
fn steps_are_in_the_order_of_time_then_of_the_file() {
    let text = format!(
        "{TWO}[[step]]\nat = \"5s\"\ndo = \"crash\"\nnode = \"a\"\n[[step]]\nat = \"0s\"\ndo = \"start\"\n[[step]]\nat = \"5s\"\ndo = \"cut\"\nfrom = \"b\"\n"
    );
    let steps = Scenario::parse(&text).unwrap().steps;
    let links = Links::Between {
        from: vec![1],
        to: vec![0],
        one_way: false,
    };
    let found: Vec<Action> = steps.into_iter().map(|step| step.action).collect();
    assert_eq!(
        found,
        [
            Action::Start(vec![0, 1]),
            Action::Crash(vec![0]),
            Action::Cut(links)
        ]
    );
}

#[test]
fn an_expectation_may_be_written_in_several_ways() {
    let second = Duration::from_secs(1);
    let found = expects(
        "[[expect]]\nwithin = [\"1s\", \"2s\"]\non = [\"b\"]\nstatus = { a = \"weakly-up\", b = [\"up\", \"leaving\"] }\n\
         state = { \"a/x/y\" = \"1\", b = { z = false } }\nleader = false\n\
         event = { name = \"member-removed\", node = \"a\", previous = \"exiting\", count = 1 }\n",
    );
    let removed = EventWant {
        name: Some("member-removed".to_owned()),
        node: Some(Some(0)),
        previous: Some(Status::Exiting),
        count: Some(1),
        ..EventWant::default()
    };
    let wants = vec![
        Want::Status(0, vec![Status::WeaklyUp]),
        Want::Status(1, vec![Status::Up, Status::Leaving]),
        Want::Leader(None),
        Want::Event(removed),
        Want::State(0, "x/y".to_owned(), Some("1".to_owned())),
        Want::State(1, "z".to_owned(), None),
    ];
    assert_eq!(
        found,
        [Expect {
            line: 6,
            when: When::Within(second, second * 2),
            on: Some(vec![1]),
            wants,
        }]
    );
}

#[test]
fn an_expectation_says_what_it_lacks() {
    for (rest, wanted) in [
        ("converged = true", "one of at, within and always says when"),
        ("at = \"1s\"", "expects nothing"),
        (
            "at = \"1s\"\nwithin = [\"1s\", \"2s\"]\nconverged = true",
            "one of them will do",
        ),
        (
            "within = \"1s\"\nconverged = true",
            "expect.within: a list is wanted",
        ),
        (
            "at = \"1s\"\nstatus = { a = \"upp\" }",
            "expect.status.a: \"upp\" is none of: joining",
        ),
        (
            "at = \"1s\"\nstatus = { c = \"up\" }",
            "there is no node \"c\"",
        ),
        (
            "at = \"1s\"\nevent = { name = \"member-upp\" }",
            "\"member-upp\" is none of: ",
        ),
        ("at = \"1s\"\nevent = {}", "expect.event: names no event"),
        (
            "always = [\"1s\", \"2s\"]\nevent = { name = \"member-up\" }",
            "an event is a moment",
        ),
        (
            "at = \"1s\"\nstate = { colour = \"red\" }",
            "a node and a key are wanted",
        ),
        (
            "at = \"1s\"\non = []\nconverged = true",
            "expect.on: names no node",
        ),
        (
            "at = \"1s\"\noldest = [\"a\"]",
            "expect.oldest: a text is wanted, not a list",
        ),
        (
            "at = \"1s\"\nevent = { name = \"leader-changed\", dc = \"x\" }",
            "expect.event.dc: leader-changed has none; unreachable-data-center and reachable-data-center may",
        ),
    ] {
        let found = slip(&format!("[[expect]]\n{rest}\n"));
        assert!(found.contains(wanted), "{rest}: {found}");
    }
}

#[test]
fn a_file_that_is_no_toml_is_told_with_its_line() {
    let found = slips("seed = 1\n[[node]\nname = 1\n").join("\n");
    assert!(found.starts_with("line 2: "), "{found}");
    assert!(slips("").join("\n").contains("at least one [[node]]"));
}

#[test]
fn only_what_a_node_is_asked_for_can_be_refused() {
    let step = |text: &str| {
        format!("{TWO}[[step]]\nat = \"0s\"\ndo = \"start\"\n[[step]]\nat = \"1s\"\n{text}")
    };
    let text = step("do = \"leave\"\nnode = \"a\"\nrefused = true\n");
    let steps = Scenario::parse(&text).unwrap().steps;
    assert_eq!((steps[0].refused, steps[1].refused), (false, true));
    let found = slips(&step("do = \"crash\"\nnode = \"a\"\nrefused = true\n"));
    assert!(
        found[0].starts_with("line 12: step.refused: unknown key"),
        "{found:?}"
    );
}

#[test]
fn a_status_that_is_none_of_any_is_a_slip() {
    let found = slip("[[expect]]\nat = \"1s\"\nstatus = { a = [] }\n");
    assert_eq!(found, "line 7: expect.status.a: names no status");
}
