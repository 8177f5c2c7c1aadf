//! Client packages that a project's WIT names: made from the kinds of the same project, of the projects beside it, or of a running node.
//!
//! Each is written as `wit/deps/KIND-client.wit`, beside the packages that a person put there, because that is where the tools of every
//! language look. The files are made anew at each build, and are not for version control. A package that `wit/deps` holds in another file
//! is left alone.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use granary_core::id::KindName;
use granary_runtime::client::{self, ClientError, Look, Missing};
use granary_runtime::{Interface, Method};

use crate::cli::client::Client;
use crate::cli::exit::{Error, Exit};
use crate::manifest::{FILE_NAME, KindManifest, Manifest, Source};
use crate::project::Project;

/// The end of the names of the files that are made here.
const FILE_END: &str = "-client.wit";

/// Why a client package could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientsError {
    /// No kind for it was found.
    #[error("the WIT names {package}, but there is no kind '{kind}' {}", looked.join(", nor "))]
    NoKind {
        /// The package.
        package: String,
        /// The kind.
        kind: KindName,
        /// Where it was looked for.
        looked: Vec<String>,
    },
    /// The name behind a package cannot be a kind's.
    #[error("the WIT names {package}: {why}")]
    Name {
        /// The package.
        package: String,
        /// Which rule is broken.
        why: String,
    },
    /// The kind has no WIT to read and no component yet.
    #[error("kind '{kind}' of {} has no WIT in {} and is not built yet", manifest.display(), folder.display())]
    NotBuilt {
        /// The kind.
        kind: KindName,
        /// Its project file.
        manifest: PathBuf,
        /// Its folder.
        folder: PathBuf,
    },
    /// The kind's component or WIT cannot be used.
    #[error("no client can be made of kind '{kind}': {why}")]
    Unfit {
        /// The kind.
        kind: KindName,
        /// Why.
        why: String,
    },
    /// The project's own WIT cannot be read.
    #[error(transparent)]
    Wit(#[from] ClientError),
    /// A file cannot be written.
    #[error("{} cannot be written", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl ClientsError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::NoKind { package, kind, .. } => {
                let package = package.split('@').next().unwrap_or(package);
                format!(
                    "name the kind in the manifest: [kinds.….clients] \"{package}\" = \"KIND\"; or start the node that runs it, with --url; or granary wit client {kind} --into wit/deps"
                )
            }
            Self::Name { .. } => "call the package NAMESPACE:KIND-client".to_owned(),
            Self::NotBuilt { kind, manifest, .. } => {
                format!("build '{kind}' of {} first", manifest.display())
            }
            Self::Unfit { .. } => "granary build its project".to_owned(),
            Self::Wit(_) => "correct the WIT and build again".to_owned(),
            Self::Write { .. } => "a folder that you may write to".to_owned(),
        }
    }
}

/// Where client packages come from, in the order in which it is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// The project that is built; the projects beside it are looked at, too.
    pub project: &'a Project,
    /// A node that may be running.
    pub node: Option<&'a Client>,
}

/// Writes the client packages that a kind's WIT names into its `deps`. The files that are there now, newly written or not.
pub async fn provide(
    sources: Sources<'_>,
    kind: &KindManifest,
    wit: &Path,
) -> Result<Vec<PathBuf>, ClientsError> {
    if !wit.is_dir() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for missing in client::missing(wit, is_ours)? {
        let file = wit.join("deps").join(file_name(&missing.package));
        match package(sources, kind, &missing).await {
            Ok(text) => write(&file, &text)?,
            // What was made before is better than nothing: the node may be down.
            Err(ClientsError::NoKind { .. }) if file.is_file() => {}
            Err(error) => return Err(error),
        }
        files.push(file);
    }
    Ok(files)
}

/// The file of a package, `counter-client.wit` for `demo:counter-client@0.1.0`.
pub fn file_name(package: &str) -> String {
    let name = package.split('@').next().unwrap_or(package);
    let name = name.rsplit(':').next().unwrap_or(name);
    format!("{name}.wit")
}

/// Whether a file is one of those that are made here, by its name.
pub fn is_ours(path: &Path) -> bool {
    path.is_file() && path.to_string_lossy().ends_with(FILE_END)
}

/// The text of one package.
async fn package(
    sources: Sources<'_>,
    kind: &KindManifest,
    missing: &Missing,
) -> Result<String, ClientsError> {
    let named = kind.spec.clients.get(&missing.name);
    let called = match named {
        Some(called) => called.clone(),
        None => KindName::parse(&missing.kind).map_err(|error| ClientsError::Name {
            package: missing.package.clone(),
            why: error.to_string(),
        })?,
    };
    let mut looked = vec![format!(
        "in {} and the folders beside it",
        sources.project.folder.display()
    )];
    if let Some(methods) = of_project(sources.project, &called)? {
        let look = Look {
            package: missing.package.clone(),
            is_async: missing.is_async,
        };
        return Ok(client::wit(&methods, &look)?);
    }
    if let Some(node) = sources.node {
        match of_node(node, &called, missing).await {
            Ok(text) => return Ok(text),
            Err(error) if error.exit == Exit::NotFound => {
                looked.push(format!("on the node {}", node.base()));
            }
            Err(error) => looked.push(format!("at {} ({})", node.base(), error.message)),
        }
    }
    Err(ClientsError::NoKind {
        package: missing.package.clone(),
        kind: called,
        looked,
    })
}

/// The methods of a kind of a project, or of a project beside it; none if there is no such kind.
pub fn of_project(
    project: &Project,
    kind: &KindName,
) -> Result<Option<Vec<Arc<Method>>>, ClientsError> {
    let is_it = |found: &&KindManifest| found.spec.name == *kind;
    for manifest in &project.manifests {
        if let Some(found) = manifest.kinds.iter().find(is_it) {
            return of_manifest(&project.folder, manifest, found).map(Some);
        }
    }
    for manifest in beside(project) {
        if let Some(found) = manifest.kinds.iter().find(is_it) {
            return of_manifest(&manifest.folder(), &manifest, found).map(Some);
        }
    }
    Ok(None)
}

/// The project files of the folders beside a project; those that cannot be read are somebody else's.
fn beside(project: &Project) -> Vec<Manifest> {
    let folder = std::path::absolute(&project.folder).unwrap_or_else(|_| project.folder.clone());
    let entries = folder.parent().map(std::fs::read_dir);
    let mut files: Vec<_> = entries
        .into_iter()
        .flatten()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| *path != folder)
        .map(|path| path.join(FILE_NAME))
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files
        .iter()
        .filter_map(|file| Manifest::open(file).ok())
        .collect()
}

fn of_manifest(
    built_in: &Path,
    manifest: &Manifest,
    kind: &KindManifest,
) -> Result<Vec<Arc<Method>>, ClientsError> {
    let name = &kind.spec.name;
    let (folder, component) = match &kind.source {
        Source::Prebuilt(path) => (None, path.clone()),
        Source::Language { folder, .. } | Source::Command { folder, .. } => {
            let component = built_in.join("target/granary").join(format!("{name}.wasm"));
            (Some(folder.join("wit")), component)
        }
    };
    // Its WIT is looked at first: two kinds that call each other can then be built in any order.
    if let Some(wit) = folder.as_ref().filter(|wit| wit.is_dir()) {
        return client::methods_of_wit(wit).map_err(|error| ClientsError::Unfit {
            kind: name.clone(),
            why: error.to_string(),
        });
    }
    let bytes = std::fs::read(&component).map_err(|_| ClientsError::NotBuilt {
        kind: name.clone(),
        manifest: manifest.path.clone(),
        folder: folder.unwrap_or_else(|| component.clone()),
    })?;
    of_component(name, &bytes)
}

/// The methods of a component.
pub fn of_component(kind: &KindName, bytes: &[u8]) -> Result<Vec<Arc<Method>>, ClientsError> {
    let interface = Interface::inspect(bytes).map_err(|error| ClientsError::Unfit {
        kind: kind.clone(),
        why: error.to_string(),
    })?;
    Ok(interface.methods)
}

/// The package as a node makes it of a kind that it runs.
async fn of_node(node: &Client, kind: &KindName, missing: &Missing) -> Result<String, Error> {
    let Missing {
        package, is_async, ..
    } = missing;
    let path =
        format!("/v1/kinds/{kind}/revisions/current/client.wit?package={package}&async={is_async}");
    let text = node
        .bytes(node.request(reqwest::Method::GET, &path))
        .await?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Only what changed is written: tools build anew when a file is newer.
fn write(path: &Path, text: &str) -> Result<(), ClientsError> {
    let failed = |source| ClientsError::Write {
        path: path.to_path_buf(),
        source,
    };
    if std::fs::read_to_string(path).is_ok_and(|held| held == text) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    std::fs::write(path, text).map_err(failed)
}
