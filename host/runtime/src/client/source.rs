//! The WIT that clients are made from, and the WIT that wants them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use wit_parser::{PackageName, Resolve, UnresolvedPackageGroup, WorldId};

use super::ClientError;
use crate::Method;
use crate::interface::{SUFFIX, methods_of};

/// The contract, which every kind's WIT may name.
pub(super) const GRAIN: &[(&str, &str)] = &[
    ("world.wit", include_str!("../../../../wit/world.wit")),
    ("types.wit", include_str!("../../../../wit/types.wit")),
    ("context.wit", include_str!("../../../../wit/context.wit")),
    ("state.wit", include_str!("../../../../wit/state.wit")),
    (
        "async-state.wit",
        include_str!("../../../../wit/async-state.wit"),
    ),
    ("calls.wit", include_str!("../../../../wit/calls.wit")),
    (
        "async-calls.wit",
        include_str!("../../../../wit/async-calls.wit"),
    ),
    (
        "lifecycle.wit",
        include_str!("../../../../wit/lifecycle.wit"),
    ),
    (
        "migration.wit",
        include_str!("../../../../wit/migration.wit"),
    ),
];

/// Puts `granary:grain` into a resolve.
pub(super) fn push_grain(resolve: &mut Resolve) -> anyhow::Result<()> {
    resolve.push_group(grain()?)?;
    Ok(())
}

fn grain() -> anyhow::Result<UnresolvedPackageGroup> {
    let mut map = wit_parser::SourceMap::default();
    for (name, text) in GRAIN {
        map.push(Path::new(name), *text);
    }
    map.parse()
        .map_err(|(map, error)| anyhow::anyhow!(error.render(&map)))
}

/// A client package that a project's WIT names and does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Its name with the version, as in `demo:counter-client@0.1.0`.
    pub package: String,
    /// The same without the version.
    pub name: String,
    /// The kind that it is named after.
    pub kind: String,
    /// Whether its methods are to be `async func`: so they are where every function that the world exports is one. Any other could not wait
    /// for them.
    pub is_async: bool,
}

/// The WIT of a folder: its own package, and those in `deps`.
struct Folder {
    main: UnresolvedPackageGroup,
    deps: Vec<UnresolvedPackageGroup>,
}

impl Folder {
    /// `passed_over`: a file of `deps` that is not looked at.
    fn read(path: &Path, passed_over: impl Fn(&Path) -> bool) -> Result<Self, ClientError> {
        let wrong = |why: anyhow::Error| ClientError::Wit {
            folder: path.display().to_string(),
            why: format!("{why:#}"),
        };
        let main = UnresolvedPackageGroup::parse_dir(path).map_err(wrong)?;
        let mut deps = Vec::new();
        let mut entries: Vec<_> = std::fs::read_dir(path.join("deps"))
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| !passed_over(path))
            .collect();
        entries.sort();
        for entry in entries {
            if entry.is_dir() {
                deps.push(UnresolvedPackageGroup::parse_dir(&entry).map_err(wrong)?);
            } else if entry.extension().is_some_and(|ext| ext == "wit") {
                let text = std::fs::read_to_string(&entry).map_err(|error| wrong(error.into()))?;
                let group = UnresolvedPackageGroup::parse(&entry, &text);
                let group =
                    group.map_err(|(map, error)| wrong(anyhow::anyhow!(error.render(&map))))?;
                deps.push(group);
            }
        }
        Ok(Self { main, deps })
    }

    fn groups(&self) -> impl Iterator<Item = &UnresolvedPackageGroup> {
        std::iter::once(&self.main).chain(&self.deps)
    }

    /// The packages that are named and not held, with what is named of each.
    fn named(&self) -> BTreeMap<PackageName, Vec<String>> {
        let packages = || {
            self.groups()
                .flat_map(|group| std::iter::once(&group.main).chain(&group.nested))
        };
        let mut named: BTreeMap<PackageName, Vec<String>> = BTreeMap::new();
        for (name, items) in packages().flat_map(|package| &package.foreign_deps) {
            if packages().all(|held| held.name != *name) {
                let known = named.entry(name.clone()).or_default();
                known.extend(items.keys().cloned());
            }
        }
        named
    }
}

fn is_client(name: &PackageName) -> bool {
    name.name.ends_with(SUFFIX) && !matches!(&*name.namespace, "wasi" | "granary")
}

/// The client packages that a folder of WIT names and does not hold. `passed_over`: files of its `deps` that do not count, since they were
/// made before and may be old.
pub fn missing(
    folder: &Path,
    passed_over: impl Fn(&Path) -> bool,
) -> Result<Vec<Missing>, ClientError> {
    let named = Folder::read(folder, passed_over)?.named();
    if !named.keys().any(is_client) {
        return Ok(Vec::new());
    }
    let own = methods_of_wit(folder).unwrap_or_default();
    let is_async = !own.is_empty() && own.iter().all(|method| method.is_async);
    let clients = named.into_keys().filter(is_client);
    let missing = clients.map(|name| Missing {
        package: name.to_string(),
        name: format!("{}:{}", name.namespace, name.name),
        kind: name.name.trim_end_matches(SUFFIX).to_owned(),
        is_async,
    });
    Ok(missing.collect())
}

/// The methods that a kind has whose WIT lies in a folder. Clients of other kinds need not be there: nothing of them is in its own interface.
pub fn methods_of_wit(folder: &Path) -> Result<Vec<Arc<Method>>, ClientError> {
    let shown = || folder.display().to_string();
    let wrong = |why: String| ClientError::Wit {
        folder: shown(),
        why,
    };
    let mut read = Folder::read(folder, |_| false)?;
    for (name, interfaces) in read.named() {
        let added = if name.namespace == "granary" && name.name == "grain" {
            grain().map_err(|error| wrong(format!("{error:#}")))?
        } else if is_client(&name) {
            stand_in(&name, &interfaces).map_err(|error| wrong(format!("{error:#}")))?
        } else {
            continue;
        };
        read.deps.push(added);
    }
    let mut resolve = Resolve::default();
    let package = resolve
        .push_groups(read.main, read.deps)
        .map_err(|error| wrong(resolve.render_error(&error.into())))?;
    let worlds = &resolve.packages[package].worlds;
    let world: Option<WorldId> = worlds.get("grain").copied().or_else(|| {
        let mut all = worlds.values();
        all.next().copied().filter(|_| all.next().is_none())
    });
    let world = world.ok_or_else(|| ClientError::NoWorld { folder: shown() })?;
    methods_of(&resolve, world).map_err(|error| wrong(error.to_string()))
}

/// A client package in which nothing is, so that a world that imports it can be read.
fn stand_in(name: &PackageName, interfaces: &[String]) -> anyhow::Result<UnresolvedPackageGroup> {
    let mut text = format!("package {name};\n");
    for interface in interfaces {
        text.push_str(&format!("interface %{interface} {{}}\n"));
    }
    UnresolvedPackageGroup::parse("client.wit", &text)
        .map_err(|(map, error)| anyhow::anyhow!(error.render(&map)))
}
