//! The WIT world that a project is written against: read and checked, made into bindings, put into core modules.
//!
//! Rust and the script languages have generators of their own that run inside their tool chains. For C (and Zig, which reads C
//! headers) and Go the bindings are made here, so that no generator has to be installed; for TypeScript the types are.

mod exact;
mod typescript;
mod wide;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use wit_bindgen_core::{Files, WorldGenerator};
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::{
    Function, PackageId, ParseError, Resolve, ResolveError, ResolveErrorKind, WorldId, WorldItem,
};

pub use exact::ExactImport;
pub use typescript::Expected;
pub use wide::Wide;

/// The world that is taken when a package has several.
const USUAL_WORLD: &str = "grain";

/// A world with everything that it names.
#[derive(Debug, Clone)]
pub struct World {
    resolve: Resolve,
    package: PackageId,
    world: WorldId,
    name: String,
}

/// Why a folder of WIT is no world.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorldError {
    /// The WIT does not parse, or names something that is not there. The text shows file, line and column where they are known.
    #[error("{0}")]
    Wit(String),
    /// It names a package that is not beside it. The text shows file, line and column.
    #[error("{text}")]
    NoPackage {
        /// The package, `wasi:keyvalue@0.2.0`.
        package: String,
        /// Where it is named.
        text: String,
    },
    /// It parses, but says nothing of a component.
    #[error("{0}")]
    NoWorld(String),
}

/// A function that gives way while it waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AsyncFunction {
    /// The function with its interface: `api.wait`.
    pub name: String,
    /// Whether the component offers it; else it uses it.
    pub is_exported: bool,
}

/// A file of generated bindings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// Where it belongs, relative to the folder of the bindings.
    pub path: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

impl World {
    /// Reads the package in a folder, with those in its `deps`. Of several worlds `grain` is taken.
    pub fn open(folder: &Path) -> Result<Self, WorldError> {
        Self::without(folder, None)
    }

    /// Reads a package in which one world extends the project's own: bindings keep the name of that.
    pub fn extended(folder: &Path, extension: &str) -> Result<Self, WorldError> {
        let own = Self::without(folder, Some(extension))?;
        let worlds = &own.resolve.packages[own.package].worlds;
        let world = worlds.get(extension).copied().unwrap_or(own.world);
        Ok(Self { world, ..own })
    }

    fn without(folder: &Path, extension: Option<&str>) -> Result<Self, WorldError> {
        let mut resolve = Resolve::default();
        let (package, _) = resolve
            .push_path(folder)
            .map_err(|error| wrong(&resolve, &error))?;
        let worlds = &resolve.packages[package].worlds;
        let own = || {
            worlds
                .iter()
                .filter(|(name, _)| Some(name.as_str()) != extension)
        };
        let usual = own().find(|(name, _)| *name == USUAL_WORLD);
        let chosen = usual.or_else(|| own().next().filter(|_| own().count() == 1));
        let Some((name, world)) = chosen else {
            let package = &resolve.packages[package].name;
            return Err(WorldError::NoWorld(match own().count() {
                0 => format!(
                    "the package {package} has no world; say what the component exports in `world {USUAL_WORLD} {{ … }}`"
                ),
                _ => format!(
                    "the package {package} has several worlds and none of them is called `{USUAL_WORLD}`"
                ),
            }));
        };
        let (name, world) = (name.clone(), *world);
        Ok(Self {
            resolve,
            package,
            world,
            name,
        })
    }

    /// The name of the project's own world.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of the world that tools build for: that of the extension, if there is one.
    pub fn built_name(&self) -> &str {
        &self.resolve.worlds[self.world].name
    }

    /// The namespaces of all packages that it reaches: `granary`, `wasi`, the project's own.
    pub fn namespaces(&self) -> BTreeSet<&str> {
        let packages = self.resolve.packages.iter();
        packages
            .map(|(_, package)| package.name.namespace.as_str())
            .collect()
    }

    /// Whether one of its functions, imported or exported, is an `async func`.
    pub fn is_async(&self) -> bool {
        !self.async_functions().is_empty()
    }

    /// Its functions that are an `async func`: the exported ones, then the imported ones.
    pub fn async_functions(&self) -> Vec<AsyncFunction> {
        let world = &self.resolve.worlds[self.world];
        let exports = world.exports.values().map(|item| (item, true));
        let items = exports.chain(world.imports.values().map(|item| (item, false)));
        let mut found = Vec::new();
        for (item, is_exported) in items {
            let mut add = |name: String, function: &Function| {
                if function.kind.is_async() {
                    found.push(AsyncFunction { name, is_exported });
                }
            };
            match item {
                WorldItem::Function(function) => add(function.name.clone(), function),
                WorldItem::Interface { id, .. } => {
                    let interface = &self.resolve.interfaces[*id];
                    let of = interface.name.as_deref().unwrap_or_default();
                    for function in interface.functions.values() {
                        add(format!("{of}.{}", function.item_name()), function);
                    }
                }
                WorldItem::Type { .. } => {}
            }
        }
        found
    }

    /// Header and source for C, `NAME.h` and `NAME.c` after the world's name, and an object file that carries the world.
    pub fn c_bindings(&self) -> Result<Vec<Generated>, String> {
        let options = wit_bindgen_c::Opts {
            rename_world: Some(self.name.clone()),
            ..wit_bindgen_c::Opts::default()
        };
        self.generate(options.build())
    }

    /// A Go module `wit_component`: a package for each interface, and a `main` that expects `export_…` packages beside it.
    pub fn go_bindings(&self) -> Result<Vec<Generated>, String> {
        let options = wit_bindgen_go::Opts {
            // `gofmt` would be whatever lies on the path.
            format: wit_bindgen_go::Format::False,
            ..wit_bindgen_go::Opts::default()
        };
        self.generate(options.build())
    }

    fn generate(&self, mut generator: Box<dyn WorldGenerator>) -> Result<Vec<Generated>, String> {
        let mut resolve = self.resolve.clone();
        let mut files = Files::default();
        // The generators end in a panic where they meet a type that they cannot do yet.
        let run = catch_unwind(AssertUnwindSafe(|| {
            generator.generate(&mut resolve, self.world, &mut files)
        }));
        match run {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(format!("{error:#}")),
            Err(panic) => {
                let words = panic.downcast_ref::<String>().map(String::as_str);
                let words = words.or_else(|| panic.downcast_ref::<&str>().copied());
                return Err(words.unwrap_or("the generator gave up").to_owned());
            }
        }
        let file = |(path, bytes): (&str, &[u8])| Generated {
            path: path.to_owned(),
            bytes: bytes.to_vec(),
        };
        Ok(files.iter().map(file).collect())
    }

    /// Puts the world into a core module that does not carry one, for [`crate::componentize`].
    pub fn embed(&self, core: &[u8]) -> Result<Vec<u8>, String> {
        let mut bytes = core.to_vec();
        embed_component_metadata(&mut bytes, &self.resolve, self.world, StringEncoding::UTF8)
            .map_err(|error| format!("{error:#}"))?;
        Ok(bytes)
    }
}

/// An error of the parser, and which package is missing if that is all.
fn wrong(resolve: &Resolve, error: &anyhow::Error) -> WorldError {
    let text = heart(resolve, error);
    let meaning = error.chain().last();
    let meaning = meaning.and_then(|cause| cause.downcast_ref::<ResolveError>());
    match meaning.map(ResolveError::kind) {
        Some(ResolveErrorKind::PackageNotFound { requested, .. }) => WorldError::NoPackage {
            package: requested.to_string(),
            text,
        },
        Some(_) | None => WorldError::Wit(text),
    }
}

/// The last cause of an error with its file, line and column; how the parser came there is no help.
fn heart(resolve: &Resolve, error: &anyhow::Error) -> String {
    let last = error.chain().last();
    let parse = last.and_then(|cause| cause.downcast_ref::<ParseError>());
    let meaning = last.and_then(|cause| cause.downcast_ref::<ResolveError>());
    let shown = parse.map(|cause| cause.render(&resolve.source_map));
    shown
        .or_else(|| meaning.map(|cause| cause.render(&resolve.source_map)))
        .unwrap_or_else(|| format!("{error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a package of one file.
    pub(super) fn open(wit: &str) -> Result<World, WorldError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.wit"), wit).unwrap();
        World::open(folder.path())
    }

    const API: &str = "package a:b@0.1.0;\ninterface api { get: func() -> u32; }\n";

    #[test]
    fn what_is_wrong_is_shown_with_its_place() {
        let cases = [
            (
                "package a:b;\ninterface api {\n  get: func() -> u33;\n}\n",
                "a.wit:3:",
            ),
            (
                "package a:b;\ninterface api {\n  get func();\n}\n",
                "a.wit:3:",
            ),
            (
                "package a:b;\nworld grain {\n  import c:d/e@1.0.0;\n}\n",
                "a.wit:3:",
            ),
        ];
        for (wit, place) in cases {
            let error = open(wit).unwrap_err().to_string();
            assert!(
                error.contains(place) && !error.contains("failed to"),
                "{error}"
            );
        }
        let missing = open("package a:b;\nworld grain {\n  import c:d/e@1.0.0;\n}\n");
        assert!(
            matches!(&missing, Err(WorldError::NoPackage { package, .. }) if package == "c:d@1.0.0"),
            "{missing:?}"
        );
        let several = format!("{API}world one {{ export api; }}\nworld two {{ export api; }}\n");
        assert!(open(API).unwrap_err().to_string().contains("has no world"));
        assert!(
            open(&several)
                .unwrap_err()
                .to_string()
                .contains("several worlds")
        );
    }

    #[test]
    fn bindings_are_named_after_the_projects_own_world() {
        let world = open(&format!("{API}world grain {{ export api; }}\n")).unwrap();
        let names = |files: Vec<Generated>| -> Vec<String> {
            files.into_iter().map(|file| file.path).collect()
        };
        let c = names(world.c_bindings().unwrap());
        assert!(
            c.contains(&"grain.h".to_owned()) && c.contains(&"grain.c".to_owned()),
            "{c:?}"
        );
        let go = names(world.go_bindings().unwrap());
        assert!(
            go.contains(&"go.mod".to_owned()) && go.contains(&"wit_exports.go".to_owned()),
            "{go:?}"
        );
        assert!(!world.is_async() && world.namespaces().contains("a"));
    }

    #[test]
    fn async_functions_are_named_with_their_side() {
        let wit = "package a:b@0.1.0;
            interface api { get: func() -> u32; wait: async func(ms: u32) -> u32; }
            interface other { pause: async func(); }
            world grain { import other; export api; export later: async func(); }";
        let world = open(wit).unwrap();
        let names: Vec<(String, bool)> = world
            .async_functions()
            .into_iter()
            .map(|function| (function.name, function.is_exported))
            .collect();
        let expected = [("later", true), ("api.wait", true), ("other.pause", false)];
        assert_eq!(names, expected.map(|(name, side)| (name.to_owned(), side)));
        assert!(world.is_async());
    }

    #[test]
    fn a_module_that_does_not_say_its_world_is_told_it() {
        let world = open(&format!("{API}world grain {{ export api; }}\n")).unwrap();
        let core = wat::parse_str(
            "(module (func (export \"a:b/api@0.1.0#get\") (result i32) i32.const 7))",
        )
        .unwrap();
        assert!(!crate::carries_world(&core));
        let told = world.embed(&core).unwrap();
        assert!(crate::carries_world(&told));
        let component = crate::componentize(&told).unwrap();
        assert!(
            crate::Interface::inspect(&component)
                .unwrap()
                .method("get")
                .is_some()
        );
    }
}
