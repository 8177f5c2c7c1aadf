//! JavaScript modules around the author's: what it exports, and what it imports, is wrapped in the SDK's `exact.js` where integers pass
//! that the runtime would change on their way. Functions without such integers are left as they are.

use std::collections::BTreeSet;
use std::path::Path;

use granary_runtime::World;
use granary_runtime::world::{ExactImport, Expected};
use serde_json::json;

/// The module that is built, in the kind's own folder.
pub(super) const ENTRY: &str = "entry.js";

/// Where the modules of the imports lie.
const IMPORTS: &str = "imports";

/// Before the name of an interface: the runtime's own module. By its plain name it is the wrapped one.
const REAL: &str = "granary-real:";

/// The modules for one world.
pub(super) struct Guard {
    entry: String,
    imports: Vec<(ExactImport, String)>,
}

impl Guard {
    pub(super) fn new(world: &World, module: &Path, sdk: &Path) -> Self {
        let exact = sdk.join("src/exact.js");
        let imports = world.exact_imports().into_iter();
        let imports: Vec<_> = imports
            .map(|import| {
                let text = import_text(&import, &exact);
                (import, text)
            })
            .collect();
        let entry = entry_text(world, imports.len(), module, &exact);
        Self { entry, imports }
    }

    /// The modules, and where they belong in the kind's own folder.
    pub(super) fn files(&self) -> Vec<(String, &str)> {
        let mut files = vec![(ENTRY.to_owned(), self.entry.as_str())];
        // An author's package that has no side effects does not speak for these.
        let package = (
            format!("{IMPORTS}/package.json"),
            "{ \"sideEffects\": true }\n",
        );
        files.extend((!self.imports.is_empty()).then_some(package));
        let imports = self.imports.iter().enumerate();
        files.extend(imports.map(|(at, (_, text))| (import_file(at), text.as_str())));
        files
    }

    /// What the bundler takes for what, given the kind's own folder.
    pub(super) fn aliases(&self, work: &Path) -> Vec<(String, String)> {
        let mut aliases = Vec::new();
        for (at, (import, _)) in self.imports.iter().enumerate() {
            let file = work.join(import_file(at)).display().to_string();
            for specifier in &import.specifiers {
                aliases.push((specifier.clone(), file.clone()));
            }
            aliases.push((format!("{REAL}{}", import.module), import.module.clone()));
        }
        aliases
    }
}

fn import_file(at: usize) -> String {
    format!("{IMPORTS}/{at}.js")
}

/// It imports what the WIT wants by name, so that the bundler refuses a module that does not export it: nobody else would look before the
/// first call. The imports come first, and all of them: resources of one interface may be had from another.
fn entry_text(world: &World, imports: usize, module: &Path, exact: &Path) -> String {
    let exports = world.exact_exports();
    let (module, exact) = (json!(module), json!(exact));
    let mut text = String::new();
    for at in 0..imports {
        text.push_str(&format!("import \"./{}\";\n", import_file(at)));
    }
    text.push_str(&format!("export * from {module};\n"));
    if !exports.is_empty() {
        text.push_str(&format!("import {{ exported }} from {exact};\n"));
    }
    let expected = world.expected();
    let names = expected.iter().map(|function| &function.place);
    // `counter` of `counter.increment`, or a function that stands alone.
    let names = names.filter_map(|place| place.split('.').next());
    let guarded = exports.keys().map(String::as_str);
    let names: BTreeSet<&str> = names
        .chain(guarded.filter(|name| !name.is_empty()))
        .collect();
    text.push_str(&held(&expected, &names));
    let alone = exports.get("");
    for (at, name) in names.iter().enumerate() {
        // Any of them may be a word of the language.
        text.push_str(&format!("import {{ {name} as own{at} }} from {module};\n"));
        let of_alone = alone.and_then(|alone| alone.get(*name));
        let guarded = match (exports.get(*name), of_alone) {
            (Some(described), _) => format!("exported(own{at}, {})", json!(described)),
            (None, Some(described)) => {
                let (name, described) = (json!(name), json!({ *name: described }));
                format!("exported({{ {name}: own{at} }}, {described})[{name}]")
            }
            (None, None) => {
                text.push_str(&format!("export {{ own{at} as {name} }};\n"));
                continue;
            }
        };
        text.push_str(&format!(
            "const exact{at} = {guarded};\nexport {{ exact{at} as {name} }};\n"
        ));
    }
    text
}

/// Lines that look for each function that the WIT wants. The module is run once while the component is made, so they fail the build.
/// `names` are those that are imported as `own0`, `own1`, ….
fn held(expected: &[Expected], names: &BTreeSet<&str>) -> String {
    let lines = expected.iter().filter_map(|function| {
        let place = &function.place;
        let (name, method) = place.split_once('.').unwrap_or((place, ""));
        let at = names.iter().position(|own| *own == name)?;
        let own = match method {
            "" => format!("own{at}"),
            method => format!("own{at}?.[{}]", json!(method)),
        };
        let why = json!(format!(
            "the WIT says {place}, but the module exports no such function"
        ));
        Some(format!(
            "if (typeof {own} !== \"function\") throw new Error({why});\n"
        ))
    });
    lines.collect()
}

/// The module of an imported interface: everything that the runtime's has, under the same names.
fn import_text(import: &ExactImport, exact: &Path) -> String {
    let module = json!(import.module);
    let real = json!(format!("{REAL}{}", import.module));
    let named = |join: fn(usize, &String) -> String| {
        let names = import.names.iter().enumerate();
        let names = names.map(|(at, name)| join(at, name));
        names.collect::<Vec<_>>().join(", ")
    };
    format!(
        "import real from {real};\nimport {{ imported }} from {};\nconst all = imported({module}, real, {});\nconst {{ {} }} = all;\nexport {{ {} }};\nexport default all;\n",
        json!(exact),
        import.described,
        named(|at, name| format!("{name}: own{at}")),
        named(|at, name| format!("own{at} as {name}")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(wit: &str) -> Guard {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.wit"), wit).unwrap();
        let world = World::open(folder.path()).unwrap();
        Guard::new(&world, Path::new("/p/grain.ts"), Path::new("/sdk"))
    }

    #[test]
    fn what_passes_no_such_integer_is_left_alone() {
        let guard = guard(
            "package a:b@0.1.0;
             interface other { get: func() -> s32; }
             interface api { get: func(key: string) -> string; }
             world grain { import other; export api; export %delete: func() -> f32; }",
        );
        let entry = "export * from \"/p/grain.ts\";
if (typeof own1 !== \"function\") throw new Error(\"the WIT says delete, but the module exports no such function\");
if (typeof own0?.[\"get\"] !== \"function\") throw new Error(\"the WIT says api.get, but the module exports no such function\");
import { api as own0 } from \"/p/grain.ts\";
export { own0 as api };
import { delete as own1 } from \"/p/grain.ts\";
export { own1 as delete };
";
        assert_eq!(guard.files(), [("entry.js".to_owned(), entry)]);
        assert_eq!(guard.aliases(Path::new("/w")), []);
    }

    #[test]
    fn exports_and_imports_are_wrapped_where_their_integers_are() {
        let guard = guard(
            "package a:b@0.1.0;
             interface plain { get: func(); }
             interface other { resource ref { get: func() -> u64; } %delete: func(); }
             interface api { add: func(by: u64) -> string; get: func(); }
             world grain { import plain; import other; export api; export look-up: func() -> u32; }",
        );
        let entry = "import \"./imports/0.js\";
export * from \"/p/grain.ts\";
import { exported } from \"/sdk/src/exact.js\";
if (typeof own1 !== \"function\") throw new Error(\"the WIT says lookUp, but the module exports no such function\");
if (typeof own0?.[\"add\"] !== \"function\") throw new Error(\"the WIT says api.add, but the module exports no such function\");
if (typeof own0?.[\"get\"] !== \"function\") throw new Error(\"the WIT says api.get, but the module exports no such function\");
import { api as own0 } from \"/p/grain.ts\";
const exact0 = exported(own0, {\"add\":{\"parameters\":[[\"by\",\"u64\"]]}});
export { exact0 as api };
import { lookUp as own1 } from \"/p/grain.ts\";
const exact1 = exported({ \"lookUp\": own1 }, {\"lookUp\":{\"parameters\":[],\"result\":[\"result\",\"u32\"]}})[\"lookUp\"];
export { exact1 as lookUp };
";
        let other = "import real from \"granary-real:a:b/other@0.1.0\";
import { imported } from \"/sdk/src/exact.js\";
const all = imported(\"a:b/other@0.1.0\", real, {\"classes\":{\"Ref\":{\"methods\":{\"get\":{\"parameters\":[],\"result\":[\"result\",\"u64\"]}}}},\"functions\":{}});
const { Ref: own0, delete: own1 } = all;
export { own0 as Ref, own1 as delete };
export default all;
";
        let files = guard.files();
        assert_eq!(files[0], ("entry.js".to_owned(), entry));
        assert_eq!(files[1].0, "imports/package.json");
        assert_eq!(files[2], ("imports/0.js".to_owned(), other));
        let aliases = guard.aliases(Path::new("/w"));
        let aliases: Vec<_> = aliases.iter().map(|(a, b)| (&**a, &**b)).collect();
        assert_eq!(
            aliases,
            [
                ("a:b/other", "/w/imports/0.js"),
                ("a:b/other@0.1.0", "/w/imports/0.js"),
                ("granary-real:a:b/other@0.1.0", "a:b/other@0.1.0"),
            ]
        );
    }
}
