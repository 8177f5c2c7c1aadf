//! Zig: `grain.zig`, which exports the functions that the generated C header declares.
//!
//! The header is translated to a module `bindings`; the SDK is the module `granary`, for every file of the kind's own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::project::build::BuildError;
use crate::project::language::{Job, c};
use crate::project::toolchain::ZIG;

/// Translates the header, then compiles everything into one core module.
pub(super) async fn build(job: &Job<'_>) -> Result<PathBuf, BuildError> {
    let entry = job.entry("grain.zig")?;
    let zig = job.tool(&ZIG).await?;
    let parts = c::parts(job)?;
    let bindings = translate(job, &zig.path, &parts).await?;
    let mut command = Command::new(&zig.path);
    command
        .args(["build-exe", "-target", "wasm32-wasi", "-O", "ReleaseSafe"])
        .args(["-fno-entry", "-rdynamic", "-mexec-model=reactor"])
        // The names of functions come with the debug sections, which the component is rid of later.
        .arg("-fno-strip")
        .args(["--stack", &job.stack.to_string()])
        .current_dir(job.source);
    includes(&mut command, &parts);
    command
        .args(["-cflags", c::ASSERTIONS, "--"])
        .args(&parts.sources)
        .args(["-lc", "--dep", "bindings"]);
    if parts.sdk.is_some() {
        command.args(["--dep", "granary"]);
    }
    command.arg(joined("-Mroot=", &entry));
    if let Some(sdk) = &parts.sdk {
        command
            .args(["-lc", "--dep", "bindings"])
            .arg(joined("-Mgranary=", &sdk.join("granary.zig")));
    }
    command.arg("-lc").arg(joined("-Mbindings=", &bindings));
    command.arg(joined("-femit-bin=", &job.output()));
    c::with_cache(&mut command, job);
    job.run("zig build-exe", &mut command).await?;
    Ok(job.output())
}

/// Makes Zig of the header: the SDK's, which includes the generated one, or that alone.
async fn translate(job: &Job<'_>, zig: &Path, parts: &c::Parts) -> Result<PathBuf, BuildError> {
    let header = match &parts.sdk {
        Some(sdk) => sdk.join("granary.h"),
        None => c::with_extension(&parts.bindings, "h")
            .into_iter()
            .next()
            .unwrap_or_default(),
    };
    let module = parts.bindings.join("bindings.zig");
    let file =
        std::fs::File::create(&module).map_err(|error| job.file_error((module.clone(), error)))?;
    let mut command = Command::new(zig);
    command
        .args(["translate-c", "-target", "wasm32-wasi", "-lc"])
        .current_dir(job.source);
    includes(&mut command, parts);
    command.arg(header);
    c::with_cache(&mut command, job);
    // Zig compiles its own translator when it is first needed: in ten seconds this way, which an optimised one takes more than a minute for.
    command.env("ZIG_DEBUG_CMD", "1");
    job.run_into("zig translate-c", &mut command, file).await?;
    Ok(module)
}

fn includes(command: &mut Command, parts: &c::Parts) {
    for folder in &parts.includes {
        command.arg("-I").arg(folder);
    }
}

fn joined(option: &str, path: &Path) -> OsString {
    let mut argument = OsString::from(option);
    argument.push(path);
    argument
}
