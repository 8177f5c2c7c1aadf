//! Compiled components on disk: `<dir>/<engine>/<digest>.cwasm`, each beside its `.mac` and its `.world`: what the runtime needs to know of the
//! component itself.
//!
//! Mapping compiled code trusts its content fully, so nothing is mapped whose BLAKE3 hash keyed with the node's key is not right. What is missing,
//! damaged or made for another engine is compiled again. Not HMAC with SHA-256: where the processor has no instructions for it, that takes
//! 10 times as long as reading the 39 MB of a Python kind.

mod bound;
pub(crate) mod compile;

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use granary_core::id::Digest;
use wasmtime::component::Component;

use crate::engine::{EngineKind, GuestEngine};

/// What a hash is of, so that one sort of file cannot be passed off as the other.
const CODE: &[u8] = b"code";
const WORLD: &[u8] = b"world";

/// Where compiled components are kept, and how.
#[derive(Clone)]
pub struct CacheConfig {
    /// The directory; it is made where there is none.
    pub dir: PathBuf,
    /// The secret of the node or its user: nothing is mapped whose hash keyed with this is not right. Whoever knows it and may write to the
    /// directory decides what code is run.
    pub key: [u8; 32],
    /// How many bytes it may hold: what was not used for longest goes first. Several processes may then use one directory. None: as many as
    /// there are, and what other versions of the engine have left is removed.
    pub bytes_max: Option<u64>,
}

impl fmt::Debug for CacheConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheConfig")
            .field("dir", &self.dir)
            .field("bytes_max", &self.bytes_max)
            .finish_non_exhaustive()
    }
}

/// An open cache.
pub(crate) struct Cache {
    dir: PathBuf,
    key: [u8; 32],
    bytes_max: Option<u64>,
}

/// What the cache knows of a component besides its code.
pub(crate) struct Known {
    /// The engine that it was compiled for, of this version or an older one.
    pub(crate) engine: EngineKind,
    /// Its size before compilation.
    pub(crate) bytes_len: u64,
    /// What the runtime needs to know of the component itself.
    pub(crate) world: Vec<u8>,
}

impl Cache {
    /// Opens it, making the directory where there is none.
    pub(crate) fn open(config: CacheConfig) -> io::Result<Self> {
        let CacheConfig {
            dir,
            key,
            bytes_max,
        } = config;
        fs::create_dir_all(&dir)?;
        Ok(Self {
            dir,
            key,
            bytes_max,
        })
    }

    /// Maps a compiled component, if there is a sound one for this engine.
    pub(crate) fn load(&self, engine: &GuestEngine, digest: Digest) -> Option<Component> {
        let path = self.path(engine, digest, "cwasm");
        let mac = fs::read(self.path(engine, digest, "mac")).unwrap_or_default();
        let mut hasher = self.hasher(CODE, &engine.compat, digest);
        // Read, not mapped: a disk that fails is then an error, after which it is compiled again, and not the end of the process. Several threads
        // that share pieces of it are no faster than one that reads into the nearest cache.
        hasher.update_reader(fs::File::open(&path).ok()?).ok()?;
        if !is_mac(&mac, &hasher) {
            tracing::warn!(path = %path.display(), "a compiled component does not match its hash; it is compiled again");
            return None;
        }
        match map(engine, &path) {
            Ok(component) => {
                if self.bytes_max.is_some() {
                    bound::note_use(&path);
                }
                Some(component)
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a compiled component cannot be mapped; it is compiled again");
                None
            }
        }
    }

    /// What is known of a component that was here before.
    pub(crate) fn world(&self, digest: Digest) -> Option<Known> {
        let mut engines = fs::read_dir(&self.dir).ok()?.flatten();
        engines.find_map(|folder| {
            let path = folder.path().join(format!("{digest}.world"));
            let whole = fs::read(&path).ok()?;
            let compat = folder.file_name();
            let compat = compat.to_str()?;
            let engine = EngineKind::ALL
                .into_iter()
                .find(|engine| is_compat_of(*engine, compat))?;
            let (mac, rest) = whole.split_at_checked(blake3::OUT_LEN)?;
            let mut hasher = self.hasher(WORLD, compat, digest);
            if !is_mac(mac, hasher.update(rest)) {
                tracing::warn!(path = %path.display(), "a file of the cache does not match its hash; it is made again");
                return None;
            }
            let (bytes_len, world) = rest.split_first_chunk()?;
            Some(Known {
                engine,
                bytes_len: u64::from_le_bytes(*bytes_len),
                world: world.to_vec(),
            })
        })
    }

    /// Keeps a compiled component. Each file appears whole or not at all; a pair that was torn apart by a crash fails its hash.
    pub(crate) fn store(
        &self,
        engine: &GuestEngine,
        digest: Digest,
        code: &[u8],
    ) -> io::Result<()> {
        fs::create_dir_all(self.dir.join(&engine.compat))?;
        let mut hasher = self.hasher(CODE, &engine.compat, digest);
        let mac = hasher.update(code).finalize();
        write_whole(&self.path(engine, digest, "cwasm"), &[code])?;
        write_whole(&self.path(engine, digest, "mac"), &[mac.as_bytes()])?;
        self.bytes_max.map_or(Ok(()), |bytes_max| {
            bound::keep_within(&self.dir, bytes_max, digest)
        })
    }

    /// Keeps what [`Self::world`] answers.
    pub(crate) fn store_world(
        &self,
        engine: &GuestEngine,
        digest: Digest,
        bytes_len: u64,
        world: &[u8],
    ) -> io::Result<()> {
        fs::create_dir_all(self.dir.join(&engine.compat))?;
        let bytes_len = bytes_len.to_le_bytes();
        let mut hasher = self.hasher(WORLD, &engine.compat, digest);
        let mac = hasher.update(&bytes_len).update(world).finalize();
        let parts = [mac.as_bytes(), &bytes_len[..], world];
        write_whole(&self.path(engine, digest, "world"), &parts)
    }

    /// Removes all that is kept of a component, for whichever engine. What maps it goes on.
    pub(crate) fn remove(&self, digest: Digest) -> io::Result<()> {
        for engine in fs::read_dir(&self.dir)?.flatten() {
            remove_files(&engine.path().join(digest.to_string()))?;
        }
        Ok(())
    }

    /// Removes what other versions of an engine have left. Only directories that carry its kind of name are touched, and none of a cache that
    /// processes of other versions may use.
    pub(crate) fn remove_others(&self, engine: &GuestEngine) {
        if self.bytes_max.is_some() {
            return;
        }
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
    fn hasher(&self, of: &[u8], compat: &str, digest: Digest) -> blake3::Hasher {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        for part in [of, compat.as_bytes(), &digest.0] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hasher
    }
}

/// Compared in constant time.
fn is_mac(mac: &[u8], hasher: &blake3::Hasher) -> bool {
    <[u8; blake3::OUT_LEN]>::try_from(mac).is_ok_and(|mac| hasher.finalize() == mac)
}

fn is_compat_of(kind: EngineKind, name: &str) -> bool {
    let hash = name
        .strip_prefix(kind.word())
        .and_then(|rest| rest.strip_prefix('-'));
    hash.is_some_and(|hash| hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Removes the files of one component; what is not there, or not a directory of an engine, is as good as removed.
fn remove_files(stem: &Path) -> io::Result<()> {
    for extension in ["cwasm", "mac", "world"] {
        match fs::remove_file(stem.with_extension(extension)) {
            Ok(()) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn write_whole(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    // Unique within the process, and a second process holds another data directory.
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let mut file = fs::File::create(&temporary)?;
    for part in parts {
        file.write_all(part)?;
    }
    drop(file);
    fs::rename(&temporary, path)
}

#[expect(
    unsafe_code,
    reason = "the one place where compiled code is mapped; its hash was checked by the caller"
)]
fn map(engine: &GuestEngine, path: &Path) -> wasmtime::Result<Component> {
    // SAFETY: the file was written by `Cache::store` of this node from the output of this very engine: its keyed hash
    // says so. The directory is the node's own, so nobody changes the file between that check and this call.
    unsafe { Component::deserialize_file(&engine.engine, path) }
}
