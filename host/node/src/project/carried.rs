//! Files that the program carries along, as `build.rs` found them: path within their folder, and content.

use std::path::Path;

use granary_core::id::Digest;
use sha2::{Digest as _, Sha256};

/// Files of one folder.
pub(crate) type Files = &'static [(&'static str, &'static [u8])];

include!(concat!(env!("OUT_DIR"), "/carried.rs"));

/// Writes files below a folder, and touches none that is there already as it should be: tools go by the time of a file.
pub(crate) fn write_all<'a>(
    folder: &Path,
    files: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Result<(), (std::path::PathBuf, std::io::Error)> {
    for (path, bytes) in files {
        let path = folder.join(path);
        if std::fs::read(&path).is_ok_and(|old| old == bytes) {
            continue;
        }
        let parent = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::write(&path, bytes))
            .map_err(|error| (path.clone(), error))?;
    }
    Ok(())
}

/// The SDKs and the contract in one word: what is built with others is built anew.
pub(crate) fn fingerprint() -> String {
    let mut hasher = Sha256::new();
    for files in [
        CONTRACT, SDK_C, SDK_GO, SDK_PYTHON, SDK_RUST, SDK_TS, GO_PACKAGE,
    ] {
        for (path, bytes) in files {
            hasher.update(path);
            hasher.update(bytes.len().to_le_bytes());
            hasher.update(bytes);
        }
    }
    Digest(hasher.finalize().into()).to_string()
}
