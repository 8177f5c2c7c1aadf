//! Compiled components on disk: `<dir>/<engine>/<digest>.cwasm`, each beside its `.mac`.
//!
//! Mapping compiled code trusts its content fully, so nothing is mapped whose HMAC under the node's key is not right. What is missing, damaged
//! or made for another engine is compiled again.

pub(crate) mod compile;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use granary_core::id::Digest;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use wasmtime::component::Component;

use crate::engine::{EngineKind, GuestEngine};

type HmacSha256 = Hmac<Sha256>;

/// The cache of one node.
pub(crate) struct Cache {
    dir: PathBuf,
    key: [u8; 32],
}

impl Cache {
    /// Opens it, making the directory where there is none.
    pub(crate) fn open(dir: &Path, key: [u8; 32]) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        Ok(Self {
            dir: dir.to_owned(),
            key,
        })
    }

    /// Maps a compiled component, if there is a sound one for this engine.
    pub(crate) fn load(&self, engine: &GuestEngine, digest: Digest) -> Option<Component> {
        let path = self.path(engine, digest, "cwasm");
        let code = fs::read(&path).ok()?;
        let mac = fs::read(self.path(engine, digest, "mac")).unwrap_or_default();
        if self.mac(engine, digest, &code).verify_slice(&mac).is_err() {
            tracing::warn!(path = %path.display(), "a compiled component does not match its HMAC; it is compiled again");
            return None;
        }
        match map(engine, &path) {
            Ok(component) => Some(component),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a compiled component cannot be mapped; it is compiled again");
                None
            }
        }
    }

    /// Keeps a compiled component. Each file appears whole or not at all; a pair that was torn apart by a crash fails its HMAC.
    pub(crate) fn store(
        &self,
        engine: &GuestEngine,
        digest: Digest,
        code: &[u8],
    ) -> io::Result<()> {
        fs::create_dir_all(self.dir.join(&engine.compat))?;
        let mac = self.mac(engine, digest, code).finalize().into_bytes();
        write_whole(&self.path(engine, digest, "cwasm"), code)?;
        write_whole(&self.path(engine, digest, "mac"), &mac)
    }

    /// Removes what other versions of an engine have left. Only directories that carry its kind of name are touched.
    pub(crate) fn remove_others(&self, engine: &GuestEngine) {
        let Ok(entries) = fs::read_dir(&self.dir) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if name == engine.compat || !is_compat_of(engine.kind, name) {
                continue;
            }
            match fs::remove_dir_all(entry.path()) {
                Ok(()) => {
                    tracing::info!(dir = %entry.path().display(), "removed components that an older engine compiled")
                }
                Err(error) => {
                    tracing::warn!(dir = %entry.path().display(), %error, "old compiled components cannot be removed")
                }
            }
        }
    }

    fn path(&self, engine: &GuestEngine, digest: Digest, extension: &str) -> PathBuf {
        self.dir
            .join(&engine.compat)
            .join(format!("{digest}.{extension}"))
    }

    /// Engine and digest are in it, so that one component's code cannot be passed off as another's.
    fn mac(&self, engine: &GuestEngine, digest: Digest, code: &[u8]) -> HmacSha256 {
        let mut mac = HmacSha256::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(engine.compat.as_bytes());
        mac.update(&digest.0);
        mac.update(code);
        mac
    }
}

fn is_compat_of(kind: EngineKind, name: &str) -> bool {
    let hash = name
        .strip_prefix(kind.word())
        .and_then(|rest| rest.strip_prefix('-'));
    hash.is_some_and(|hash| hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Unique within the process, and a second process holds another data directory.
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let mut file = fs::File::create(&temporary)?;
    file.write_all(bytes)?;
    drop(file);
    fs::rename(&temporary, path)
}

#[expect(
    unsafe_code,
    reason = "the one place where compiled code is mapped; its HMAC was checked by the caller"
)]
fn map(engine: &GuestEngine, path: &Path) -> wasmtime::Result<Component> {
    // SAFETY: the file was written by `Cache::store` of this node from the output of this very engine: the HMAC over its content under
    // the node's key says so. The directory is the node's own, so nobody changes the file between that check and this call.
    unsafe { Component::deserialize_file(&engine.engine, path) }
}
