//! What `test` has compiled, kept from run to run: its node's data is gone after each, and a Python kind takes many seconds to compile.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use granary_runtime::CacheConfig;

use crate::node::new_key;
use crate::project::toolchain;

/// A Python kind takes 39 MB, one in Rust 1 MB.
const BYTES_MAX: u64 = 1 << 30;
/// The file of the key in the folder of the cache.
const KEY: &str = "key";

/// The user's cache; none if there cannot be one: then everything is compiled each time.
pub(super) fn cache() -> Option<CacheConfig> {
    let dir = toolchain::cache("compiled");
    match key(&dir) {
        Ok(key) => Some(CacheConfig {
            dir,
            key,
            bytes_max: Some(BYTES_MAX),
        }),
        Err(error) => {
            tracing::warn!(dir = %dir.display(), %error, "what is compiled for tests is not kept");
            None
        }
    }
}

/// The key that is there, or a new one. One that is not whole is replaced, and with it all that was hashed with it.
fn key(dir: &Path) -> io::Result<[u8; 32]> {
    let path = dir.join(KEY);
    if let Some(key) = read(&path)? {
        return Ok(key);
    }
    fs::create_dir_all(dir)?;
    let key = new_key().ok_or_else(|| io::Error::other("the system gives no random numbers"))?;
    let temporary = path.with_extension(std::process::id().to_string());
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(&key)?;
    drop(file);
    fs::rename(&temporary, &path)?;
    // Of two processes that make one, the last one's counts.
    Ok(read(&path)?.unwrap_or(key))
}

fn read(path: &Path) -> io::Result<Option<[u8; 32]>> {
    match fs::read(path) {
        Ok(bytes) => Ok(bytes.try_into().ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_is_the_users_alone() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("cache").join("compiled");
        let first = key(&dir).unwrap();
        assert_eq!(key(&dir).unwrap(), first);
        let file = dir.join(KEY);
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(&file, &first[..5]).unwrap();
        assert!(key(&dir).unwrap() != first, "one cut short is of no use");
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
        let blocked = folder.path().join("file");
        fs::write(&blocked, "").unwrap();
        assert!(key(&blocked).is_err());
    }
}
