//! The worked cases of the table, S4, by their numbers.

use alloc::vec;
use alloc::vec::Vec;

use super::Reach::{Reachable, Terminated, Unreachable};
use super::*;

fn node(name: &str) -> UniqueAddress {
    alloc::format!("{name}:7000#0000000000000001")
        .parse()
        .unwrap()
}

/// `B→A` is unreachable, `B✓A` reachable, `BTA` terminated.
fn apply(table: &mut Reachability, operations: &str) {
    for operation in operations.split_whitespace() {
        let marks = [('→', Unreachable), ('✓', Reachable), ('T', Terminated)];
        let (observer, subject, reach) = marks
            .into_iter()
            .find_map(|(mark, reach)| {
                let (observer, subject) = operation.split_once(mark)?;
                Some((observer, subject, reach))
            })
            .expect("an operation");
        table.set(&node(observer), &node(subject), reach);
    }
}

fn table(operations: &str) -> Reachability {
    let mut table = Reachability::default();
    apply(&mut table, operations);
    table
}

fn with(table: &Reachability, operations: &str) -> Reachability {
    let mut table = table.clone();
    apply(&mut table, operations);
    table
}

fn nodes<'a>(nodes: impl IntoIterator<Item = &'a UniqueAddress>) -> Vec<&'a str> {
    nodes.into_iter().map(|node| node.address.host()).collect()
}

fn unreachable(table: &Reachability) -> Vec<&str> {
    nodes(table.all_unreachable())
}

fn rows(table: &Reachability) -> Vec<(&str, &str, Reach, u64)> {
    let short = |row: (&UniqueAddress, &UniqueAddress, Reach, u64)| (row.2, row.3);
    table
        .rows()
        .map(|row| (row.0.address.host(), row.1.address.host(), short(row)))
        .map(|(observer, subject, (reach, version))| (observer, subject, reach, version))
        .collect()
}

fn versions(table: &Reachability) -> Vec<(&str, u64)> {
    let versions = table.versions();
    versions
        .map(|(node, version)| (node.address.host(), version))
        .collect()
}

fn all(_: &UniqueAddress) -> bool {
    true
}

#[test]
fn s4_1_to_3_what_one_observer_says() {
    let none = table("");
    assert!(none.is_reachable(&node("A")));
    assert_eq!(unreachable(&none), Vec::<&str>::new());
    let one = table("B→A");
    assert!(!one.is_reachable(&node("A")));
    assert_eq!(unreachable(&one), ["A"]);
    let gone = table("BTA");
    assert!(!gone.is_reachable(&node("A")));
    assert_eq!(unreachable(&gone), Vec::<&str>::new());
    assert_eq!(nodes(gone.all_unreachable_or_terminated()), ["A"]);
}

#[test]
fn s4_4_and_5_what_changes_nothing() {
    let gone = table("BTA");
    for operation in ["B✓A", "B→A", "BTA", "C✓A"] {
        assert_eq!(with(&gone, operation), gone, "{operation}");
    }
    let one = table("B→A");
    assert_eq!(with(&one, "B→A"), one);
    let mut again = one.clone();
    assert!(!again.set(&node("B"), &node("A"), Unreachable));
    assert!(again.set(&node("B"), &node("A"), Reachable));
}

#[test]
fn s4_6_to_8_what_comes_of_several() {
    assert!(!table("B→A C→A D✓A").is_reachable(&node("A")));
    assert!(table("B→A C→A B✓A C✓A B→C C→B").is_reachable(&node("A")));
    let table = table("C→A C✓A C→B B→A B→C");
    assert_eq!(unreachable(&table), ["A", "B", "C"]);
    let judged = table.judged(|observer| *observer != node("B"));
    assert_eq!(nodes(judged.into_keys()), ["B"]);
}

#[test]
fn s4_9_and_10_rows_that_are_all_reachable_are_pruned() {
    let table = table("B→A B→C D→C B✓A B✓C");
    assert!(table.is_reachable(&node("A")) && !table.is_reachable(&node("C")));
    assert_eq!(rows(&table), [("D", "C", Unreachable, 1)]);
    let more = with(&table, "B→D B→E");
    assert_eq!(
        rows(&more),
        [
            ("B", "D", Unreachable, 5),
            ("B", "E", Unreachable, 6),
            ("D", "C", Unreachable, 1)
        ]
    );
}

#[test]
fn s4_11_the_worst_opinion_wins() {
    let rows = [
        ("A", "B", Reachable, 2),
        ("C", "B", Unreachable, 2),
        ("A", "D", Unreachable, 3),
        ("D", "B", Terminated, 4),
    ];
    let records = rows.map(|(observer, subject, reach, version)| Record {
        observer: node(observer),
        subject: node(subject),
        reach,
        version,
    });
    let table: Reachability = records.into_iter().collect();
    assert_eq!(table.records().count(), 4);
    assert_eq!(table.aggregate(&node("A")), Reachable);
    assert_eq!(table.aggregate(&node("B")), Terminated);
    assert_eq!(table.aggregate(&node("D")), Unreachable);
}

#[test]
fn s4_12_the_views_of_a_full_table() {
    let table = table("B→A C→A D→A C→B C✓B D→B D→C D✓C E✓D A→E BTE");
    assert_eq!(unreachable(&table), ["A", "B"]);
    for (observer, subjects) in [
        ("A", vec!["E"]),
        ("B", vec!["A"]),
        ("C", vec!["A"]),
        ("D", vec!["A", "B"]),
        ("E", vec![]),
    ] {
        assert_eq!(nodes(table.all_unreachable_from(&node(observer))), subjects);
    }
    assert!(table.is_reachable(&node("C")) && table.is_reachable(&node("D")));
    assert!(!table.is_reachable(&node("E")));
    assert!(table.is_reachable_from(&node("D"), &node("C")));
    assert!(!table.is_reachable_from(&node("D"), &node("B")));
    let grouped: Vec<_> = table
        .observers_by_unreachable()
        .into_iter()
        .map(|(subject, observers)| (subject.address.host(), nodes(observers)))
        .collect();
    assert_eq!(
        grouped,
        [
            ("A", vec!["B", "C", "D"]),
            ("B", vec!["D"]),
            ("E", vec!["A"])
        ]
    );
}

#[test]
fn s4_13_the_newer_rows_of_each_observer_win() {
    let first = table("B→A C→D");
    let second = with(&first, "B✓A D→E C→A");
    let merged = first.merge(&second, all);
    assert_eq!(merged.by(&node("B"), &node("A")), None);
    assert_eq!(merged.by(&node("C"), &node("A")), Some(Unreachable));
    assert_eq!(merged.by(&node("C"), &node("D")), Some(Unreachable));
    assert_eq!(merged.by(&node("D"), &node("E")), Some(Unreachable));
    assert_eq!(unreachable(&merged), ["A", "D", "E"]);
    assert_eq!(merged, second.merge(&first, all));
}

#[test]
fn s4_14_who_is_not_allowed_is_left_out() {
    let first = table("B→A C→D");
    let second = with(&first, "B✓A D→E C→A");
    let allowed = |who: &UniqueAddress| *who != node("D");
    let merged = first.merge(&second, allowed);
    assert_eq!(rows(&merged), [("C", "A", Unreachable, 2)]);
    assert_eq!(unreachable(&merged), ["A"]);
    assert_eq!(versions(&merged), [("B", 2), ("C", 2)]);
    assert_eq!(merged, second.merge(&first, allowed));
}

#[test]
fn s4_15_rows_that_one_side_has_pruned_stay_away() {
    let first = table("B→A C→D");
    let second = with(&first, "A→E");
    let third = with(&first, "B✓A");
    let merged = second.merge(&third, all);
    assert_eq!(
        rows(&merged),
        [("A", "E", Unreachable, 1), ("C", "D", Unreachable, 1)]
    );
    assert_eq!(merged, third.merge(&second, all));
}

#[test]
fn s4_16_the_higher_version_of_each_observer_stays() {
    let of = |versions: &[(&str, u64)]| {
        let said = versions.iter().map(|(name, version)| {
            let version = *version;
            (
                node(name),
                Observer {
                    version,
                    rows: BTreeMap::new(),
                },
            )
        });
        Reachability {
            observers: said.collect(),
        }
    };
    let merged =
        of(&[("A", 3), ("B", 5), ("C", 7)]).merge(&of(&[("A", 6), ("B", 2), ("D", 1)]), all);
    assert_eq!(versions(&merged), [("A", 6), ("B", 5), ("C", 7), ("D", 1)]);
}

#[test]
fn s4_17_and_18_who_is_removed_leaves_no_row_and_no_version() {
    let mut table = with(&Reachability::default(), "B→A C→D B→C B→E");
    table.remove(|who| *who == node("A") || *who == node("B"));
    assert_eq!(rows(&table), [("C", "D", Unreachable, 1)]);
    let mut table = with(&Reachability::default(), "B→A B→C D→C B✓A B✓C");
    table.remove(|who| *who == node("B"));
    assert_eq!(nodes(table.observers()), ["D"]);
    assert_eq!(versions(&table), [("D", 1)]);
}

#[test]
fn s4_19_the_rows_of_some_observers() {
    let table = table("C→B B→A B→C");
    let judged = table.judged(|observer| *observer != node("C"));
    assert_eq!(nodes(judged.into_keys()), ["A", "C"]);
}
