//! JavaScript and TypeScript: `grain.js` or `grain.ts`, an ES module that exports the interfaces as objects. It is bundled with everything
//! that it imports, then put together with a QuickJS engine. Interfaces of the host are imported by their WIT names; the SDK is the
//! package of its `package.json`.

use std::path::PathBuf;

use tokio::process::Command;

use crate::manifest::sections::Language;
use crate::project::build::BuildError;
use crate::project::carried;
use crate::project::language::Job;
use crate::project::toolchain::{COMPONENTIZE_QJS, ESBUILD};

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
    if let Some(name) = package_name(&sdk) {
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

/// The name that a package is imported by.
fn package_name(folder: &std::path::Path) -> Option<String> {
    let text = std::fs::read(folder.join("package.json")).ok()?;
    let json: serde_json::Value = serde_json::from_slice(&text).ok()?;
    Some(json["name"].as_str()?.to_owned())
}
