//! JavaScript and TypeScript: `grain.js` or `grain.ts`, an ES module that exports the interfaces as objects. Types are checked, against the WIT
//! too, the module is bundled with everything that it imports, then put together with a QuickJS engine. Interfaces of the host are imported
//! by their WIT names; the SDK is the package of its `package.json`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use granary_runtime::World;
use granary_runtime::world::Expected;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::manifest::sections::Language;
use crate::project::build::BuildError;
use crate::project::carried;
use crate::project::language::Job;
use crate::project::language::script_guard::{self, Guard};
use crate::project::toolchain::{COMPONENTIZE_QJS, ESBUILD, TYPESCRIPT};

/// Bundles, then has the component made.
pub(super) async fn build(job: &Job<'_>) -> Result<PathBuf, BuildError> {
    let entry = job.entry(match job.language {
        Language::Ts => "grain.ts",
        Language::Js
        | Language::Rust
        | Language::C
        | Language::Zig
        | Language::Go
        | Language::Python => "grain.js",
    })?;
    let esbuild = job.tool(&ESBUILD).await?;
    let componentize = job.tool(&COMPONENTIZE_QJS).await?;
    let world = job.needed_world()?;
    let sdk = job.carry_sdk("ts", carried::SDK_TS)?;
    let types = describe(job, world)?;
    if job.language == Language::Ts {
        check_types(job, world, (&entry, &types), &sdk).await?;
    }
    tell_wide(job, world);
    let bundle = bundle(job, &esbuild.path, &entry, &sdk).await?;

    let mut command = Command::new(&componentize.path);
    command
        .arg("--wit")
        .arg(job.wit())
        .args([
            "--world",
            world.built_name(),
            "--opt-size",
            // Not minified: that would move the places which the map knows, for a few KB of a component of 1 MB.
            "--js",
        ])
        .arg(&bundle)
        .arg("--output")
        .arg(job.output())
        .current_dir(&job.work);
    if !world.is_async() {
        command.arg("--sync");
    }
    job.run("componentize-qjs", &mut command).await?;
    Ok(job.output())
}

/// Bundles the author's module with what it imports and what guards it.
async fn bundle(
    job: &Job<'_>,
    esbuild: &Path,
    entry: &Path,
    sdk: &Path,
) -> Result<PathBuf, BuildError> {
    let world = job.needed_world()?;
    let guard = Guard::new(world, entry, sdk);
    for (name, text) in guard.files() {
        job.write(&job.work.join(name), text.as_bytes())?;
    }
    let bundle = job.work.join("grain.mjs");
    let mut command = Command::new(esbuild);
    command
        .arg(job.work.join(script_guard::ENTRY))
        .args([
            "--bundle",
            "--format=esm",
            "--platform=neutral",
            "--target=es2022",
            "--sourcemap=external",
            "--sources-content=false",
        ])
        .args([
            "--main-fields=module,main",
            "--log-level=warning",
            "--color=false",
        ])
        .arg(format!("--outfile={}", bundle.display()))
        .arg(format!("--metafile={}", job.work.join(INPUTS).display()))
        .current_dir(job.source);
    for namespace in world.namespaces() {
        command.arg(format!("--external:{namespace}:*"));
    }
    if let Some(name) = member(sdk, "name") {
        command.arg(format!("--alias:{name}={}", sdk.display()));
    }
    for (name, file) in guard.aliases(&job.work) {
        command.arg(format!("--alias:{name}={file}"));
    }
    job.run("esbuild", &mut command).await?;
    append_map(job, &bundle, sdk)?;
    Ok(bundle)
}

/// What the bundler says that it read, in the kind's working folder.
const INPUTS: &str = "inputs.json";

/// Modules that were bundled in, from `node_modules` and wherever else they lie, and the files that choose among those of a package.
pub(super) fn inputs_elsewhere(job: &Job<'_>) -> BTreeSet<PathBuf> {
    let text = std::fs::read(job.work.join(INPUTS)).unwrap_or_default();
    let json: Value = serde_json::from_slice(&text).unwrap_or_default();
    let inputs = json["inputs"].as_object().into_iter().flatten();
    let mut files = BTreeSet::new();
    for (input, _) in inputs {
        // Relative to where the bundler ran.
        let file = job.source.join(input);
        let is_made = file.starts_with(&job.work) || file.starts_with(&job.sdk);
        if is_made || !file.is_file() {
            continue;
        }
        let folders = file.ancestors().skip(1);
        let within = folders.take_while(|folder| !folder.ends_with("node_modules"));
        let packages = within.map(|folder| folder.join("package.json"));
        files.extend(packages.filter(|package| package.is_file()));
        files.insert(file);
    }
    files
}

/// Puts the bundler's source map behind the bundle, where the SDK looks for it when it tells of an error: so the stack is that of the
/// author's files.
fn append_map(job: &Job<'_>, bundle: &Path, sdk: &Path) -> Result<(), BuildError> {
    let file = bundle.with_extension("mjs.map");
    let read = |path: &Path| {
        std::fs::read_to_string(path).map_err(|source| BuildError::File {
            kind: job.kind.clone(),
            path: path.to_path_buf(),
            done: "read",
            source,
        })
    };
    let (text, map) = (read(bundle)?, read(&file)?);
    let map: Value = serde_json::from_str(&map).unwrap_or_default();
    let sources = map["sources"].as_array().into_iter().flatten();
    let sources: Vec<String> = sources
        .filter_map(Value::as_str)
        .map(|source| shown_source(&job.work.join(source), job.source, sdk))
        .collect();
    let map =
        json!({ "bundle": member_name(bundle), "sources": sources, "mappings": map["mappings"] });
    let text = format!("{text}\nglobalThis[Symbol.for(\"granary.source-map\")] = {map};\n");
    job.write(bundle, text.as_bytes())
}

fn member_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// A source as its author calls it: from the kind's folder, or from the SDK.
fn shown_source(source: &Path, folder: &Path, sdk: &Path) -> String {
    let full = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let source = full(source);
    if let Ok(inside) = source.strip_prefix(full(sdk)) {
        let name = member(sdk, "name").unwrap_or_default();
        return format!("{name}/{}", inside.display());
    }
    let inside = source.strip_prefix(full(folder));
    inside.unwrap_or(&source).display().to_string()
}

/// The interfaces that the SDK's own declarations describe: `declare module "NAME" {`.
const DECLARED: (&str, &str) = ("src/bindings.d.ts", "declare module \"");

/// Writes what the WIT says as types, for the check and for editors.
fn describe(job: &Job<'_>, world: &World) -> Result<PathBuf, BuildError> {
    let (file, mark) = DECLARED;
    let own = carried::SDK_TS.iter().find(|(path, _)| *path == file);
    let text = own.and_then(|(_, text)| str::from_utf8(text).ok());
    let lines = text.unwrap_or_default().lines();
    let declared: BTreeSet<&str> = lines
        .filter_map(|line| line.strip_prefix(mark)?.split('"').next())
        .collect();
    let text = format!(
        "/// <reference path=\"../sdk/ts/{file}\" />\n{}",
        world.typescript(&declared)
    );
    let types = job.work.join("wit.d.ts");
    job.write(&types, text.as_bytes())?;
    Ok(types)
}

/// How many functions one line names.
const WIDE_SHOWN_MAX: usize = 8;

/// Says where the WIT has integers that JavaScript's numbers may not hold.
fn tell_wide(job: &Job<'_>, world: &World) {
    let wide = world.wide();
    if wide.is_empty() {
        return;
    }
    let shown = wide.iter().take(WIDE_SHOWN_MAX);
    let mut shown: Vec<String> = shown
        .map(|wide| format!("{} ({})", wide.function, wide.places.join(", ")))
        .collect();
    if WIDE_SHOWN_MAX < wide.len() {
        shown.push(format!("{} more", wide.len() - WIDE_SHOWN_MAX));
    }
    (job.say)(&format!(
        "{}: JavaScript's numbers hold 64-bit integers exactly up to 2^53; a larger one is refused, but for a bigint in a list that goes out: {}",
        job.kind,
        shown.join("; ")
    ));
}

/// The module whose lines say what the author's has to export.
const EXPORTS: &str = "exports.ts";

/// Checks the types of a module and of what it imports, as the project's `tsconfig.json` says, else strictly; and that it exports what the
/// WIT says.
async fn check_types(
    job: &Job<'_>,
    world: &World,
    (entry, types): (&Path, &Path),
    sdk: &Path,
) -> Result<(), BuildError> {
    let tool = job.tool(&TYPESCRIPT).await?;
    let expected = world.expected();
    let module = json!(entry.with_extension(""));
    let lines = expected
        .iter()
        .map(|function| format!("grain.{} satisfies {};\n", function.place, function.wanted));
    let text = format!(
        "import * as grain from {module};\n{}",
        lines.collect::<String>()
    );
    let exports = job.work.join(EXPORTS);
    job.write(&exports, text.as_bytes())?;
    // A `rootDir` of the project's own is not above what is made.
    let mut options = json!({ "noEmit": true, "skipLibCheck": true, "rootDir": null });
    if let Some((name, types)) = member(sdk, "name").zip(member(sdk, "types")) {
        options["paths"] = json!({ name: [sdk.join(types)] });
    }
    let own = job.source.join("tsconfig.json");
    let mut config = json!({ "files": [entry, types, exports], "include": [] });
    if own.is_file() {
        config["extends"] = json!(own);
    } else {
        let usual = json!({
            "target": "ES2022", "module": "ESNext", "moduleResolution": "Bundler", "lib": ["ES2023"], "types": [], "strict": true,
        });
        options
            .as_object_mut()
            .into_iter()
            .for_each(|options| options.extend(usual.as_object().cloned().unwrap_or_default()));
    }
    config["compilerOptions"] = options;
    let file = job.work.join("tsconfig.json");
    job.write(&file, config.to_string().as_bytes())?;
    let mut command = Command::new(&tool.path);
    command
        .args(["--pretty", "false", "--project"])
        .arg(&file)
        .current_dir(job.source);
    job.run_translated("tsc", &mut command, &|text| explained(&text, &expected))
        .await
}

/// The words of the compiler, where those about [`EXPORTS`] name the function and not a line that nobody has written.
fn explained(text: &str, expected: &[Expected]) -> String {
    let place = |line: &str| {
        let (_, rest) = line.split_once(&format!("{EXPORTS}("))?;
        let (at, why) = rest.split_once("): ")?;
        // The first line imports the module.
        let at: usize = at.split(',').next()?.parse().ok()?;
        let function = expected.get(at.checked_sub(2)?)?;
        Some(format!("{} is not as the WIT says: {why}", function.place))
    };
    let lines = text.lines();
    let lines: Vec<String> = lines
        .map(|line| place(line).unwrap_or_else(|| line.to_owned()))
        .collect();
    lines.join("\n")
}

/// A text of a package's `package.json`.
fn member(folder: &Path, name: &str) -> Option<String> {
    let text = std::fs::read(folder.join("package.json")).ok()?;
    let json: Value = serde_json::from_slice(&text).ok()?;
    Some(json[name].as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_compiler_says_of_an_export_names_the_function() {
        let expected = [Expected {
            place: "api.add".to_owned(),
            wanted: String::new(),
        }];
        let said = "src/grain.ts(1,2): error TS1: a\n../target/granary/x/exports.ts(2,15): error TS1360: b\n  c";
        assert_eq!(
            explained(said, &expected),
            "src/grain.ts(1,2): error TS1: a\napi.add is not as the WIT says: error TS1360: b\n  c"
        );
    }
}
