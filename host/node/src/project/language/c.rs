//! C: every `*.c` of the kind's `src` (or of its folder), with `grain.h` generated from its world.
//!
//! The sources, and what they include, may include `"grain.h"` and `"granary.h"`, the SDK. It is always compiled along: the linker leaves out
//! what nothing calls.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tokio::process::Command;

use crate::project::build::BuildError;
use crate::project::carried;
use crate::project::language::{Job, dependencies};
use crate::project::toolchain::{self, ZIG};

/// What C and Zig are built from besides the kind's own source.
pub(super) struct Parts {
    /// Where headers are looked for.
    pub includes: Vec<PathBuf>,
    /// The generated source with its object file, and those of the SDK.
    pub sources: Vec<PathBuf>,
    /// The folder of the generated bindings.
    pub bindings: PathBuf,
    /// The folder of the SDK; none where the world is not called `grain`, whose header it includes.
    pub sdk: Option<PathBuf>,
}

/// What keeps `assert`: Zig leaves it out of optimised C, but a turn that went on behind a failed one would be committed.
pub(super) const ASSERTIONS: &str = "-UNDEBUG";

/// Generates the bindings, and writes the SDK beside them.
pub(super) fn parts(job: &Job<'_>) -> Result<Parts, BuildError> {
    let world = job.needed_world()?;
    let bindings = job.bindings(world.c_bindings(), "c")?;
    let mut parts = Parts {
        includes: vec![job.source_root(), bindings.clone()],
        sources: [
            with_extension(&bindings, "c"),
            with_extension(&bindings, "o"),
        ]
        .concat(),
        sdk: None,
        bindings,
    };
    if parts.bindings.join("grain.h").is_file() {
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
    let parts = parts(job)?;
    let (what, mut command) = compiler(job, &parts).await?;
    command
        // The names of functions come with the debug sections, which the component is rid of later.
        .args(["-mexec-model=reactor", "-Os", "-g", "-Wall"])
        .args(&own)
        .args(&parts.sources)
        .arg(format!("-Wl,-z,stack-size={}", job.stack))
        .arg("-o")
        .arg(job.output());
    if what == ZIG_CC {
        // Leaves a list beside each object in the cache.
        command.arg("-MMD");
    }
    job.run(what, &mut command).await?;
    if what != ZIG_CC {
        list_inputs(job, &parts, &own).await?;
    }
    Ok(job.output())
}

const ZIG_CC: &str = "zig cc";
/// What the sources include, as another compiler than Zig's says it, in the kind's working folder.
const INPUTS: &str = "inputs.d";

/// Asks the compiler which files the kind's own sources include: for several at a time it says so only in a step of its own.
async fn list_inputs(job: &Job<'_>, parts: &Parts, own: &[PathBuf]) -> Result<(), BuildError> {
    let (what, mut command) = compiler(job, parts).await?;
    command.arg("-MM").args(own);
    let path = job.work.join(INPUTS);
    let file =
        std::fs::File::create(&path).map_err(|error| job.file_error((path.clone(), error)))?;
    job.run_into(what, &mut command, file).await
}

/// What the sources include from wherever it lies, as the compiler has said it.
pub(super) fn inputs_elsewhere(job: &Job<'_>) -> BTreeSet<PathBuf> {
    let lists = with_extension(&job.work.join("zig-cache/tmp"), "d");
    let lists = lists.into_iter().chain([job.work.join(INPUTS)]);
    // Those of older builds lie there, too: of each source the newest counts.
    let mut newest: BTreeMap<PathBuf, (SystemTime, Vec<PathBuf>)> = BTreeMap::new();
    for list in lists {
        let written = std::fs::metadata(&list).and_then(|file| file.modified());
        let written = written.unwrap_or(SystemTime::UNIX_EPOCH);
        for files in dependencies(&std::fs::read_to_string(&list).unwrap_or_default()) {
            let Some(source) = files.first().cloned() else {
                continue;
            };
            match newest.get(&source) {
                Some((time, _)) if written <= *time => {}
                Some(_) | None => drop(newest.insert(source, (written, files))),
            }
        }
    }
    newest
        .into_values()
        .flat_map(|(_, files)| files)
        .map(|file| job.source.join(file))
        .collect()
}

/// Zig's C compiler, or Debian's where that is what is there, with what both are told of the sources.
async fn compiler(job: &Job<'_>, parts: &Parts) -> Result<(&'static str, Command), BuildError> {
    let (what, mut command) = bare_compiler(job).await?;
    command
        .args(["-std=gnu17", ASSERTIONS])
        .current_dir(job.source);
    for folder in &parts.includes {
        command.arg("-I").arg(folder);
    }
    Ok((what, command))
}

async fn bare_compiler(job: &Job<'_>) -> Result<(&'static str, Command), BuildError> {
    match job.tool(&ZIG).await {
        Ok(zig) => {
            let mut command = Command::new(&zig.path);
            command.args(["cc", "-target", "wasm32-wasi"]);
            with_cache(&mut command, job);
            Ok((ZIG_CC, command))
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
