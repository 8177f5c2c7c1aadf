//! The working tree, as git sees it: tracked files and new ones that are not ignored.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors()
        .nth(2)
        .expect("tests/house lies two folders below the root")
        .to_owned()
}

/// Every file of the tree, relative to the root, with `/` between folders.
pub(crate) fn files() -> Vec<String> {
    let arguments = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git")
        .current_dir(root())
        .args(arguments)
        .output()
        .expect("git runs");
    assert!(
        output.status.success(),
        "git ls-files: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let listing = String::from_utf8(output.stdout).expect("file names are UTF-8");
    let mut files: Vec<String> = listing.lines().map(str::to_owned).collect();
    files.retain(|file| root().join(file).is_file());
    files.sort();
    files.dedup();
    files
}

/// Those of them that end in one of `extensions`.
pub(crate) fn files_with(extensions: &[&str]) -> Vec<String> {
    let fits = |file: &String| {
        extensions
            .iter()
            .any(|end| file.ends_with(&format!(".{end}")))
    };
    files().into_iter().filter(fits).collect()
}

/// A file's text; bytes that are no UTF-8 become replacement characters.
pub(crate) fn text(file: &str) -> String {
    let bytes = std::fs::read(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A manifest or another TOML file.
pub(crate) fn toml(file: &str) -> toml::Table {
    text(file)
        .parse()
        .unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The lines of a Rust source up to its unit tests, which stand at the end of a file.
pub(crate) fn product_lines(file: &str) -> Vec<String> {
    let text = text(file);
    let lines: Vec<&str> = text.lines().collect();
    let is_cut = |at: usize| {
        lines[at].trim() == "#[cfg(test)]"
            && lines
                .get(at + 1)
                .is_some_and(|next| next.starts_with("mod tests {"))
    };
    let end = (0..lines.len())
        .find(|at| is_cut(*at))
        .unwrap_or(lines.len());
    lines[..end].iter().map(|line| (*line).to_owned()).collect()
}

/// Fails with every finding at once, so that one run shows all there is to mend.
pub(crate) fn assert_none(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}\n  {}\n", findings.join("\n  "));
}
