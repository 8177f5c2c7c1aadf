//! Grants, checked against this node: directories are opened, rules are parsed.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use granary_core::kind::{DirectoryGrant, Grants};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder};

use super::LinkError;
use crate::Interface;
use crate::guest::output::{Output, Pipe, Printer};
use crate::http::rules::Rules;

/// What the instances of a kind may reach.
pub(crate) struct Granted {
    directories: Vec<Directory>,
    environment: Vec<(String, String)>,
    /// A kind's settings, by name.
    pub(crate) config: BTreeMap<String, String>,
    pub(crate) http: Arc<Rules>,
}

/// An open directory. It stays the one that it was when the kind was linked, whatever its path comes to name.
struct Directory {
    path: PathBuf,
    /// Held open only where the system can open it again by its handle.
    handle: Option<File>,
    guest: String,
    perms: FsPerms,
}

impl Granted {
    /// Checks every grant. `root`: where relative directories start and within which all of them lie.
    pub(crate) fn new(grants: &Grants, root: &Path) -> Result<Self, LinkError> {
        let directories = grants
            .directories
            .iter()
            .map(|grant| Directory::open(grant, root))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            directories,
            environment: grants
                .environment
                .iter()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            config: grants.config.clone().unwrap_or_default(),
            http: Arc::new(Rules::parse(&grants.http)?),
        })
    }

    /// A guest's view of the world outside.
    pub(crate) fn wasi(&self, output: &Arc<Output>) -> wasmtime::Result<WasiCtx> {
        let mut wasi = WasiCtxBuilder::new();
        wasi.stdout(Printer {
            output: output.clone(),
            pipe: Pipe::Stdout,
        });
        wasi.stderr(Printer {
            output: output.clone(),
            pipe: Pipe::Stderr,
        });
        wasi.allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false);
        wasi.envs(&self.environment);
        for directory in &self.directories {
            wasi.preopened_dir(directory.open_path(), &directory.guest, directory.perms)
                .map_err(|error| {
                    error.context(format!(
                        "the granted directory {} cannot be opened",
                        directory.path.display()
                    ))
                })?;
        }
        Ok(wasi.build())
    }
}

impl Directory {
    fn open(grant: &DirectoryGrant, root: &Path) -> Result<Self, LinkError> {
        let refused = |why: String| LinkError::Directory {
            path: grant.host.clone(),
            why,
        };
        if !grant.guest.starts_with('/') {
            return Err(refused(format!(
                "'{}' is no absolute path inside the guest",
                grant.guest
            )));
        }
        let root = root.canonicalize().map_err(|error| {
            refused(format!(
                "the node's grants-root {}: {error}",
                root.display()
            ))
        })?;
        let path = root
            .join(&grant.host)
            .canonicalize()
            .map_err(|error| refused(error.to_string()))?;
        if !path.starts_with(&root) {
            return Err(refused(format!(
                "it lies outside of the node's grants-root {}",
                root.display()
            )));
        }
        let handle = File::open(&path).map_err(|error| refused(error.to_string()))?;
        if !handle
            .metadata()
            .map_err(|error| refused(error.to_string()))?
            .is_dir()
        {
            return Err(refused("it is not a directory".to_owned()));
        }
        let perms = if grant.writable {
            FsPerms::ReadWrite
        } else {
            FsPerms::ReadOnly
        };
        let handle = cfg!(target_os = "linux").then_some(handle);
        Ok(Self {
            path,
            handle,
            guest: grant.guest.clone(),
            perms,
        })
    }

    /// A path that opens this very directory.
    #[cfg(target_os = "linux")]
    fn open_path(&self) -> PathBuf {
        use std::os::fd::AsRawFd;
        match &self.handle {
            // A guest with a grant above this one could have put a link in the path's place.
            Some(handle) => PathBuf::from(format!("/proc/self/fd/{}", handle.as_raw_fd())),
            None => self.path.clone(),
        }
    }

    /// A path that opens this directory.
    #[cfg(not(target_os = "linux"))]
    fn open_path(&self) -> PathBuf {
        self.path.clone()
    }
}

/// The manifest lines that would grant an import.
pub(crate) fn missing(interface: &Interface, grants: &Grants) -> Option<LinkError> {
    let config = interface
        .imports
        .iter()
        .find(|import| import.needs_grant == Some("config"))?;
    if grants.config.is_some() {
        return None;
    }
    Some(LinkError::Ungranted {
        import: config.name.clone(),
        grant: "[kinds.NAME.grants]\nconfig = { some-key = \"some value\" }".to_owned(),
    })
}
