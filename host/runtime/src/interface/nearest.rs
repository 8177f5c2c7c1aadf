//! The name that somebody may have meant.

/// Longer names are not compared: the cost grows with the square, and the name may come from anywhere.
const NAME_BYTES_MAX: usize = 128;

/// The candidate that is most like `wrong`, if any is like it: at most a third of its letters differ.
pub(crate) fn nearest<'a>(
    wrong: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if NAME_BYTES_MAX < wrong.len() {
        return None;
    }
    let folded = fold(wrong);
    let allowed = (folded.len() / 3).max(1);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= NAME_BYTES_MAX)
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&folded, &fold(candidate)),
                candidate,
            )
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `addItem`, `add_item` and `add-item` are one name in other languages' spelling.
fn fold(name: &str) -> String {
    name.chars()
        .filter(|letter| !matches!(letter, '-' | '_'))
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_or_another_spelling_is_recognised() {
        let names = ["add-item", "remove", "total"];
        assert_eq!(nearest("addItem", names), Some("add-item"));
        assert_eq!(nearest("totl", names), Some("total"));
        assert_eq!(nearest("checkout", names), None);
        assert_eq!(nearest(&"a".repeat(1_000_000), names), None);
        assert_eq!(nearest("", names), None);
    }
}
