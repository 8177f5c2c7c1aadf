//! Components as files, named by their digest.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use granary_core::id::Digest;
use sha2::{Digest as _, Sha256};

use crate::directory;
use crate::door::StoreError;

/// The files of one data directory. Every call blocks.
#[derive(Debug, Clone)]
pub(crate) struct Artifacts {
    dir: PathBuf,
    data: PathBuf,
}

impl Artifacts {
    /// Those in `dir`, a part of `data`. What an interrupted upload left is removed.
    pub(crate) fn open(dir: PathBuf, data: &Path) -> Result<Self, StoreError> {
        let artifacts = Self {
            dir,
            data: data.to_owned(),
        };
        for (name, path) in artifacts.entries()? {
            if name.starts_with('.') {
                fs::remove_file(path)
                    .map_err(|e| artifacts.failed("removing an interrupted upload", e))?;
            }
        }
        Ok(artifacts)
    }

    /// Puts one.
    pub(crate) fn put(&self, digest: Digest, bytes: &[u8]) -> Result<(), StoreError> {
        let put = directory::write_durably(&self.dir, &digest.to_string(), bytes);
        put.map_err(|e| self.failed("writing a component", e))
    }

    /// One, checked against its digest. Errors: `Damaged`.
    pub(crate) fn get(&self, digest: Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let bytes = match fs::read(self.path(digest)) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(self.failed("reading a component", e)),
        };
        if digest_of(&bytes) != digest {
            let why = "its bytes have another digest; upload it again".to_owned();
            return Err(StoreError::Damaged {
                place: format!("component {digest}"),
                why,
            });
        }
        Ok(Some(bytes))
    }

    /// All, with their sizes.
    pub(crate) fn list(&self) -> Result<Vec<(Digest, u64)>, StoreError> {
        let mut all = Vec::new();
        for (name, path) in self.entries()? {
            // Files that others put there are none of our business.
            if let Ok(digest) = name.parse() {
                let size = fs::metadata(path)
                    .map_err(|e| self.failed("listing components", e))?
                    .len();
                all.push((digest, size));
            }
        }
        all.sort_unstable();
        Ok(all)
    }

    /// Removes one. Whether it was there.
    pub(crate) fn remove(&self, digest: Digest) -> Result<bool, StoreError> {
        match fs::remove_file(self.path(digest)) {
            Ok(()) => {
                directory::sync(&self.dir).map_err(|e| self.failed("removing a component", e))?;
                Ok(true)
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(self.failed("removing a component", e)),
        }
    }

    fn path(&self, digest: Digest) -> PathBuf {
        self.dir.join(digest.to_string())
    }

    fn entries(&self) -> Result<Vec<(String, PathBuf)>, StoreError> {
        let list = || {
            let entries = fs::read_dir(&self.dir)?;
            entries
                .map(|e| e.map(|e| (e.file_name().to_string_lossy().into_owned(), e.path())))
                .collect::<io::Result<_>>()
        };
        list().map_err(|e| self.failed("listing components", e))
    }

    fn failed(&self, place: &'static str, source: io::Error) -> StoreError {
        if directory::is_full(source.kind()) {
            return StoreError::Full {
                dir: self.data.clone(),
            };
        }
        StoreError::Failed {
            place,
            source: Box::new(source),
        }
    }
}

/// The digest of some bytes.
pub(crate) fn digest_of(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_comes_back_or_is_called_damaged() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(".half.new"), "an upload that was cut off").unwrap();
        let artifacts = Artifacts::open(dir.path().to_owned(), dir.path()).unwrap();
        let digest = digest_of(b"component");
        artifacts.put(digest, b"component").unwrap();
        assert_eq!(
            artifacts.get(digest).unwrap().as_deref(),
            Some(&b"component"[..])
        );
        assert_eq!(artifacts.list().unwrap(), [(digest, 9)]);
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            1,
            "nothing else is left"
        );
        fs::write(dir.path().join(digest.to_string()), "c0mponent").unwrap();
        assert!(matches!(
            artifacts.get(digest),
            Err(StoreError::Damaged { .. })
        ));
        assert!(artifacts.remove(digest).unwrap());
        assert!(!artifacts.remove(digest).unwrap());
        assert_eq!(artifacts.get(digest).unwrap(), None);
    }
}
