//! Gathers the files that the program carries along: templates, the SDKs, the contract, and the runtime
//! package of Go's bindings. Each group becomes a list of paths and contents, so that a new file needs no line of code.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Name of the list, and its folder relative to this package.
const GROUPS: [(&str, &str); 8] = [
    ("CONTRACT", "../../wit"),
    ("TEMPLATES", "src/project/template"),
    ("SDK_C", "../../guest-sdk/c"),
    ("SDK_GO", "../../guest-sdk/go"),
    ("SDK_RUST", "../../guest-sdk/rust"),
    ("SDK_PYTHON", "../../guest-sdk/python"),
    ("SDK_TS", "../../guest-sdk/ts"),
    ("GO_PACKAGE", "third-party/go-pkg"),
];

/// What tools and tests leave behind, or need for themselves only.
const NOT_CARRIED: [&str; 10] = [
    "target",
    "node_modules",
    "__pycache__",
    "dist",
    "build",
    "test",
    "tests",
    "package-lock.json",
    "LICENSE-APACHE",
    "LICENSE-MIT",
];

fn main() -> io::Result<()> {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or(io::ErrorKind::NotFound)?);
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    let mut code = String::new();
    for (name, folder) in GROUPS {
        let root = here.join(folder);
        println!("cargo::rerun-if-changed={folder}");
        let mut files = Vec::new();
        // Of templates everything is carried, of packages what builds a grain.
        gather(&root, name == "TEMPLATES", &mut files)?;
        files.sort();
        let lines = files.iter().map(|file| {
            let path = file.strip_prefix(&root).unwrap_or(file);
            format!("    ({path:?}, include_bytes!({file:?})),\n")
        });
        let list: String = lines.collect();
        write!(
            code,
            "pub(crate) static {name}: &[(&str, &[u8])] = &[\n{list}];\n"
        )
        .map_err(io::Error::other)?;
    }
    println!("cargo::rerun-if-changed=build.rs");
    fs::write(out.join("carried.rs"), code)
}

fn gather(folder: &Path, everything: bool, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let left_out = name.starts_with('.')
            || NOT_CARRIED.contains(&name.as_str())
            || name.ends_with(".egg-info");
        if left_out && !everything {
            continue;
        }
        if path.is_dir() {
            gather(&path, everything, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
