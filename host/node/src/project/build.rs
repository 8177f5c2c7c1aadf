//! From a kind's source to a component that a node takes: built, wrapped, documented and looked at as the node will look at it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use granary_core::id::{Digest, KindName};
use granary_core::limits::COMPONENT_BYTES_MAX;
use granary_runtime::{Interface, World, WorldError};
use sha2::{Digest as _, Sha256};
use tokio::process::Command;

use crate::cli::client::Client;
use crate::manifest::sections::Language;
use crate::manifest::{KindManifest, Source};
use crate::project::clients::{self, ClientsError, Sources};
use crate::project::language::{self, Job};
use crate::project::stamp::{self, Stamp};
use crate::project::toolchain::{self, Missing, Say};
use crate::project::wit::{self, WitError};
use crate::project::{Project, carried};

/// A component, ready to be deployed.
#[derive(Debug, Clone)]
pub struct Built {
    /// The kind with its settings.
    pub kind: KindManifest,
    /// Where the component lies.
    pub path: PathBuf,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Their SHA-256.
    pub digest: Digest,
    /// What it says of itself.
    pub interface: Interface,
    /// Where it came from this time.
    pub freshness: Freshness,
}

/// Whether a component was made just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Built from source.
    Built,
    /// Nothing that goes into it has changed: the last one is taken.
    Unchanged,
    /// Somebody else has built it.
    Found,
}

/// Why a kind was not built. What was built before is untouched.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Nothing builds the kind's language here.
    #[error("{kind}: {missing}")]
    NoToolchain {
        /// The kind.
        kind: KindName,
        /// What is missing.
        missing: Missing,
    },
    /// The compiler or the command has said why.
    #[error("{kind}: {what} failed{}{output}", if output.is_empty() { "" } else { "\n" })]
    Failed {
        /// The kind.
        kind: KindName,
        /// Which command.
        what: String,
        /// What it said, unless people have seen that already.
        output: String,
    },
    /// The WIT does not parse, or is not there.
    #[error("{kind}: {error}")]
    Wit {
        /// The kind.
        kind: KindName,
        /// What is wrong.
        error: WitError,
    },
    /// A program does not run.
    #[error("{kind}: {what} does not run")]
    NoProgram {
        /// The kind.
        kind: KindName,
        /// Which program.
        what: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file cannot be read or written.
    #[error("{kind}: {} cannot be {done}", path.display())]
    File {
        /// The kind.
        kind: KindName,
        /// Which file.
        path: PathBuf,
        /// `read` or `written`.
        done: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A client package that its WIT names cannot be made.
    #[error("{kind}: no client package")]
    Clients {
        /// The kind.
        kind: KindName,
        /// Why.
        #[source]
        source: Box<ClientsError>,
    },
    /// Something was built, but a node would not take it.
    #[error("{kind}: {why}")]
    Unfit {
        /// The kind.
        kind: KindName,
        /// Why not.
        why: String,
        /// What to do.
        hint: String,
    },
}

impl BuildError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoToolchain { missing, .. } => Some(missing.run.clone()),
            Self::Failed { .. } => Some("look at the messages above".to_owned()),
            Self::Wit { error, .. } => Some(error.hint()),
            Self::NoProgram { .. } => Some("granary doctor".to_owned()),
            Self::File { .. } => None,
            Self::Clients { source, .. } => Some(source.hint()),
            Self::Unfit { hint, .. } => Some(hint.clone()),
        }
    }
}

/// Builds the kinds of projects, one after the other: compilers use every processor by themselves.
#[derive(Debug)]
pub struct Builder {
    quiet: bool,
    force: bool,
    /// Languages that cannot be built here: looked for once, not for each kind.
    missing: BTreeMap<Language, Missing>,
    node: Option<Client>,
}

impl Builder {
    /// A builder that says nothing but errors, or lets the tools speak. What did not change is built again only by force.
    pub fn new(quiet: bool, force: bool) -> Self {
        Self {
            quiet,
            force,
            missing: BTreeMap::new(),
            node: None,
        }
    }

    /// The same with a node to ask for the clients of kinds that no project here has.
    pub fn asking(self, node: Client) -> Self {
        Self {
            node: Some(node),
            ..self
        }
    }

    /// Builds one kind of a project.
    pub async fn build(
        &mut self,
        project: &Project,
        kind: &KindManifest,
        say: Say<'_>,
    ) -> Result<Built, BuildError> {
        let name = &kind.spec.name;
        if let Source::Language { folder, .. } | Source::Command { folder, .. } = &kind.source {
            let sources = Sources {
                project,
                node: self.node.as_ref(),
            };
            let provided = clients::provide(sources, kind, &folder.join("wit")).await;
            match (provided, &kind.source) {
                // WIT that cannot be read is refused a step later, with file and line.
                (Ok(_), _) | (Err(ClientsError::Wit(_)), Source::Language { .. }) => {}
                (Err(source), _) => {
                    return Err(BuildError::Clients {
                        kind: name.clone(),
                        source: Box::new(source),
                    });
                }
            }
        }
        match &kind.source {
            Source::Prebuilt(path) => {
                let bytes = read(name, path)?;
                inspect(kind, path.clone(), bytes, Freshness::Found)
            }
            Source::Command {
                folder,
                command,
                component,
            } => {
                run_command(name, folder, command, self.quiet).await?;
                let raw = read(name, component)?;
                let wit = Some(folder.join("wit")).filter(|wit| wit.is_dir());
                let bytes = finish(name, raw, wit.as_deref(), None, say)?;
                self.leave(project, kind, bytes)
            }
            Source::Language {
                language,
                folder,
                stack,
            } => {
                if let Some(missing) = self.missing.get(language) {
                    return Err(BuildError::NoToolchain {
                        kind: name.clone(),
                        missing: missing.clone(),
                    });
                }
                let built = self
                    .source(project, kind, (*language, folder, *stack), say)
                    .await;
                if let Err(BuildError::NoToolchain { missing, .. }) = &built {
                    self.missing.insert(*language, missing.clone());
                }
                built
            }
        }
    }

    async fn source(
        &self,
        project: &Project,
        kind: &KindManifest,
        (language, folder, stack): (Language, &Path, u64),
        say: Say<'_>,
    ) -> Result<Built, BuildError> {
        let name = &kind.spec.name;
        let made = made(project);
        let mut job = Job {
            kind: name,
            language,
            source: &absolute(folder),
            work: made.join(name.as_str()),
            sdk: made.join("sdk"),
            stack,
            world: None,
            quiet: self.quiet,
            say,
        };
        let settings = self.settings(&job).await;
        if !self.force
            && let Some(built) = unchanged(project, kind, &job, &settings)
        {
            return Ok(built);
        }
        Stamp::forget(&job.work);
        // Without the dot of `build = "."`, for people who read the path.
        let wit: PathBuf = folder.join("wit").components().collect();
        let merged = wit::merge(&wit, &job.wit(), language);
        let world = match merged {
            Ok(world) => Some(world),
            // A Rust kind may derive its WIT from code, and then have a folder with clients of other kinds and nothing of its own.
            Err(WitError::NoFolder(_) | WitError::World(WorldError::NoWorld(_)))
                if language == Language::Rust =>
            {
                None
            }
            Err(_) if language == Language::Rust && !wit::says_something(&wit) => None,
            Err(why) if language == Language::Rust && why.is_package_elsewhere() => {
                say(&format!("{name}: its doc comments are left out: {why}"));
                None
            }
            Err(error) => {
                let kind = name.clone();
                return Err(BuildError::Wit { kind, error });
            }
        };
        job.world = world.as_ref();
        let mut raw = read(name, &language::build(&job).await?)?;
        if granary_runtime::is_core_module(&raw) {
            raw = granary_runtime::without_debug(&raw);
        }
        let merged = world.as_ref().map(|_| job.wit());
        let bytes = finish(name, raw, merged.as_deref(), world.as_ref(), say)?;
        let built = self.leave(project, kind, bytes)?;
        let elsewhere = language::inputs_elsewhere(&job);
        Stamp::new(
            stamp::Sources::from(&job),
            &settings,
            elsewhere,
            built.digest,
        )
        .keep(&job.work);
        Ok(built)
    }

    /// What decides on a component besides its sources.
    async fn settings(&self, job: &Job<'_>) -> Vec<String> {
        let mut settings = vec![
            format!("granary {}", env!("CARGO_PKG_VERSION")),
            job.language.name().to_owned(),
            format!("stack {}", job.stack),
        ];
        settings.push(carried::fingerprint());
        settings.extend(toolchain::versions(job.language, job.source).await);
        settings
    }

    /// Leaves a component where people find it.
    fn leave(
        &self,
        project: &Project,
        kind: &KindManifest,
        bytes: Vec<u8>,
    ) -> Result<Built, BuildError> {
        let path = component_path(project, kind);
        write(&kind.spec.name, &path, &bytes)?;
        inspect(kind, path, bytes, Freshness::Built)
    }
}

/// Where everything lies that is made of a project's kinds.
fn made(project: &Project) -> PathBuf {
    absolute(&project.folder.join("target/granary"))
}

/// The files outside a kind's folder that its last build has read, but for those that a build makes. None if that is not known, as after a
/// build that failed.
pub fn read_elsewhere(project: &Project, kind: &KindName) -> Option<BTreeSet<PathBuf>> {
    let made = made(project);
    let mut files = Stamp::read(&made.join(kind.as_str()))?.into_elsewhere();
    files.retain(|file| !file.starts_with(&made));
    Some(files)
}

/// Where a kind's component is left.
fn component_path(project: &Project, kind: &KindManifest) -> PathBuf {
    let name = format!("{}.wasm", kind.spec.name);
    project.folder.join("target/granary").join(name)
}

/// The component of the last build, if the same would come out.
fn unchanged(
    project: &Project,
    kind: &KindManifest,
    job: &Job<'_>,
    settings: &[String],
) -> Option<Built> {
    let kept = Stamp::read(&job.work)?;
    let path = component_path(project, kind);
    let bytes = std::fs::read(&path).ok()?;
    let digest = Digest(Sha256::digest(&bytes).into());
    if !kept.holds(stamp::Sources::from(job), settings, digest) {
        return None;
    }
    // The manifest's methods may have changed: they are held against the component again.
    inspect(kind, path, bytes, Freshness::Unchanged).ok()
}

async fn run_command(
    kind: &KindName,
    folder: &Path,
    line: &str,
    quiet: bool,
) -> Result<(), BuildError> {
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(line)
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    // Whatever the command prints is for people: standard output belongs to our own results.
    command.stdout(if quiet {
        Stdio::null()
    } else {
        std::io::stderr().into()
    });
    let status = command.status().await;
    let status = status.map_err(|source| BuildError::NoProgram {
        kind: kind.clone(),
        what: "sh".to_owned(),
        source,
    })?;
    if status.success() {
        Ok(())
    } else {
        Err(BuildError::Failed {
            kind: kind.clone(),
            what: format!("`{line}`"),
            output: String::new(),
        })
    }
}

/// Wraps a core module, and adds the doc comments of the WIT that it was built from.
fn finish(
    kind: &KindName,
    raw: Vec<u8>,
    wit: Option<&Path>,
    world: Option<&World>,
    say: Say<'_>,
) -> Result<Vec<u8>, BuildError> {
    let component = if granary_runtime::is_core_module(&raw) {
        wrap(&raw, world).map_err(|why| BuildError::Unfit {
            kind: kind.clone(),
            why: format!("the core module cannot be wrapped as a component: {why}"),
            hint: "let the exported functions fit the world in the kind's WIT; a module of another tool chain needs its WIT world embedded: \
                   wasm-tools component embed"
                .to_owned(),
        })?
    } else {
        raw
    };
    let Some(wit) = wit else {
        return Ok(component);
    };
    granary_runtime::interface::embed_docs(component.clone(), &[&wit]).or_else(|why| {
        say(&format!(
            "{kind}: the doc comments of {} are left out: {why}",
            wit.display()
        ));
        Ok(component)
    })
}

fn wrap(core: &[u8], world: Option<&World>) -> Result<Vec<u8>, String> {
    match world {
        Some(world) if !granary_runtime::carries_world(core) => {
            granary_runtime::componentize(&world.embed(core)?)
        }
        Some(_) | None => granary_runtime::componentize(core),
    }
}

fn inspect(
    kind: &KindManifest,
    path: PathBuf,
    bytes: Vec<u8>,
    freshness: Freshness,
) -> Result<Built, BuildError> {
    let unfit = |why: String, hint: &str| BuildError::Unfit {
        kind: kind.spec.name.clone(),
        why,
        hint: hint.to_owned(),
    };
    if COMPONENT_BYTES_MAX < bytes.len() as u64 {
        let why = format!(
            "{} is {} bytes long; at most {COMPONENT_BYTES_MAX} are taken",
            path.display(),
            bytes.len()
        );
        return Err(unfit(why, "strip its debug sections, or split the kind"));
    }
    let interface = Interface::inspect(&bytes).map_err(|e| {
        unfit(
            format!("{}: {e}", path.display()),
            "granary build after correcting it",
        )
    })?;
    let mut named = kind.spec.methods.keys();
    if let Some(method) = named.find(|name| interface.method(name).is_none()) {
        let nearest = interface
            .nearest(method)
            .map(|name| format!("; did you mean '{name}'?"))
            .unwrap_or_default();
        let why = format!(
            "the manifest names the method '{method}', which the component does not export{nearest}"
        );
        return Err(unfit(why, "correct the name under [kinds.….methods]"));
    }
    let digest = Digest(Sha256::digest(&bytes).into());
    Ok(Built {
        kind: kind.clone(),
        path,
        bytes,
        digest,
        interface,
        freshness,
    })
}

fn read(kind: &KindName, path: &Path) -> Result<Vec<u8>, BuildError> {
    let failed = |source| BuildError::File {
        kind: kind.clone(),
        path: path.to_path_buf(),
        done: "read",
        source,
    };
    std::fs::read(path).map_err(failed)
}

/// Writes beside and renames: whoever watches never sees half a file.
fn write(kind: &KindName, path: &Path, bytes: &[u8]) -> Result<(), BuildError> {
    let failed = |source| BuildError::File {
        kind: kind.clone(),
        path: path.to_path_buf(),
        done: "written",
        source,
    };
    let folder = path
        .parent()
        .expect("the path was joined from a folder and a name");
    std::fs::create_dir_all(folder).map_err(failed)?;
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    std::io::Write::write_all(&mut file, bytes).map_err(failed)?;
    file.persist(path).map(drop).map_err(|e| failed(e.error))
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}
