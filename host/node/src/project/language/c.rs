//! C: every `*.c` of the kind's `src` (or of its folder), with `grain.h` generated from its world.
//!
//! The sources may include `"grain.h"` and `"granary.h"`, the SDK; an SDK source is compiled along only where its header is used.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::project::build::BuildError;
use crate::project::carried;
use crate::project::language::Job;
use crate::project::toolchain::{self, ZIG};

/// What C and Zig are built from besides the kind's own source.
pub(super) struct Parts {
    /// Where headers are looked for.
    pub includes: Vec<PathBuf>,
    /// The generated source with its object file, and those of the SDK.
    pub sources: Vec<PathBuf>,
    /// The folder of the generated bindings.
    pub bindings: PathBuf,
    /// The folder of the SDK, if one of the sources uses it.
    pub sdk: Option<PathBuf>,
}

/// Generates the bindings, and takes the SDK where one of the sources names it.
pub(super) fn parts(job: &Job<'_>, own: &[PathBuf], mark: &str) -> Result<Parts, BuildError> {
    let world = job.needed_world()?;
    let bindings = job.bindings(world.c_bindings(), "c")?;
    let uses_sdk =
        |file: &PathBuf| std::fs::read_to_string(file).is_ok_and(|text| text.contains(mark));
    let mut parts = Parts {
        includes: vec![job.source_root(), bindings.clone()],
        sources: [
            with_extension(&bindings, "c"),
            with_extension(&bindings, "o"),
        ]
        .concat(),
        bindings,
        sdk: None,
    };
    if own.iter().any(uses_sdk) {
        let sdk = job.carry_sdk("c", carried::SDK_C)?;
        parts.includes.push(sdk.clone());
        parts.sources.extend(with_extension(&sdk, "c"));
        parts.sdk = Some(sdk);
    }
    Ok(parts)
}

/// The files of a folder with an extension, in the order of their names.
pub(super) fn with_extension(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|file| file.extension().is_some_and(|end| end == extension))
        .collect();
    files.sort();
    files
}

/// Compiles and links everything in one step.
pub(super) async fn build(job: &Job<'_>) -> Result<PathBuf, BuildError> {
    let own = with_extension(&job.source_root(), "c");
    if own.is_empty() {
        let why = format!("there is no *.c in {}", job.source_root().display());
        return Err(job.unfit(why, "put the source there, or name its folder with 'build'"));
    }
    let (what, mut command) = compiler(job).await?;
    let parts = parts(job, &own, "granary.h")?;
    command
        .args(["-mexec-model=reactor", "-std=gnu17", "-Os", "-s", "-Wall"])
        .current_dir(job.source);
    for folder in &parts.includes {
        command.arg("-I").arg(folder);
    }
    command.args(&own).args(&parts.sources);
    command.arg(format!("-Wl,-z,stack-size={}", job.stack));
    command.arg("-o").arg(job.output());
    job.run(what, &mut command).await?;
    Ok(job.output())
}

/// Zig's C compiler, or Debian's where that is what is there.
async fn compiler(job: &Job<'_>) -> Result<(&'static str, Command), BuildError> {
    match job.tool(&ZIG).await {
        Ok(zig) => {
            let mut command = Command::new(&zig.path);
            command.args(["cc", "-target", "wasm32-wasi"]);
            with_cache(&mut command, job);
            Ok(("zig cc", command))
        }
        Err(missing) => {
            let clang = toolchain::debian_clang().ok_or(missing)?;
            let mut command = Command::new(clang);
            command.args([
                "--target=wasm32-wasi",
                "-Wno-deprecated",
                "--sysroot=/usr",
                "-isystem",
                "/usr/include/wasm32-wasi",
                "-L/usr/lib/wasm32-wasi",
                // As Zig does it: a stack that overflows leaves the memory, and traps, before it reaches any data.
                "-Wl,--stack-first",
            ]);
            Ok(("clang", command))
        }
    }
}

/// libc is built once for a set of flags, and kept for all projects.
pub(super) fn with_cache(command: &mut Command, job: &Job<'_>) {
    command
        .env("ZIG_GLOBAL_CACHE_DIR", toolchain::cache("zig"))
        .env("ZIG_LOCAL_CACHE_DIR", job.work.join("zig-cache"));
}
