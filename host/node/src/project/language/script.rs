//! JavaScript and TypeScript: `grain.js` or `grain.ts`, an ES module that exports the interfaces as objects. Types are checked, the module is
//! bundled with everything that it imports, then put together with a QuickJS engine. Interfaces of the host are imported by their WIT names; the SDK is the
//! package of its `package.json`.

use std::path::{Path, PathBuf};

use granary_runtime::World;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::manifest::sections::Language;
use crate::project::build::BuildError;
use crate::project::carried;
use crate::project::language::Job;
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
    if job.language == Language::Ts {
        check_types(job, world, &entry, &sdk).await?;
    }
    let bundle = job.work.join("grain.mjs");
    let mut command = Command::new(&esbuild.path);
    command
        .arg(&entry)
        .args([
            "--bundle",
            "--format=esm",
            "--platform=neutral",
            "--target=es2022",
        ])
        .args([
            "--main-fields=module,main",
            "--log-level=warning",
            "--color=false",
        ])
        .arg(format!("--outfile={}", bundle.display()))
        .current_dir(job.source);
    for namespace in world.namespaces() {
        command.arg(format!("--external:{namespace}:*"));
    }
    if let Some(name) = member(&sdk, "name") {
        command.arg(format!("--alias:{name}={}", sdk.display()));
    }
    job.run("esbuild", &mut command).await?;

    let mut command = Command::new(&componentize.path);
    command
        .arg("--wit")
        .arg(job.wit())
        .args([
            "--world",
            world.built_name(),
            "--opt-size",
            "--minify",
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

/// Checks the types of a module and of what it imports, as the project's `tsconfig.json` says, else strictly.
async fn check_types(
    job: &Job<'_>,
    world: &World,
    entry: &Path,
    sdk: &Path,
) -> Result<(), BuildError> {
    let tool = job.tool(&TYPESCRIPT).await?;
    // What the host offers has no types but those of the SDK.
    let modules = world
        .namespaces()
        .into_iter()
        .map(|namespace| format!("declare module \"{namespace}:*\";\n"));
    let host = job.work.join("host.d.ts");
    job.write(&host, modules.collect::<String>().as_bytes())?;
    let mut options = json!({ "noEmit": true, "skipLibCheck": true });
    if let Some((name, types)) = member(sdk, "name").zip(member(sdk, "types")) {
        options["paths"] = json!({ name: [sdk.join(types)] });
    }
    let own = job.source.join("tsconfig.json");
    let mut config = json!({ "files": [entry, host], "include": [] });
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
    job.run("tsc", &mut command).await
}

/// A text of a package's `package.json`.
fn member(folder: &Path, name: &str) -> Option<String> {
    let text = std::fs::read(folder.join("package.json")).ok()?;
    let json: Value = serde_json::from_slice(&text).ok()?;
    Some(json[name].as_str()?.to_owned())
}
