//! Zig: `grain.zig`, which reads the generated C header with `@cImport(@cInclude("grain.h"))` and exports the functions that it declares.

use std::path::PathBuf;

use tokio::process::Command;

use crate::project::build::BuildError;
use crate::project::language::{Job, c};
use crate::project::toolchain::ZIG;

/// Compiles the module and the C bindings into one core module.
pub(super) async fn build(job: &Job<'_>) -> Result<PathBuf, BuildError> {
    let entry = job.entry("grain.zig")?;
    let zig = job.tool(&ZIG).await?;
    let own = c::with_extension(&job.source_root(), "zig");
    let parts = c::parts(job, &own)?;
    let mut command = Command::new(&zig.path);
    command
        .args(["build-exe", "-target", "wasm32-wasi", "-O", "ReleaseSmall"])
        .args(["-fno-entry", "-rdynamic", "-mexec-model=reactor", "-fstrip", "-lc"])
        .current_dir(job.source);
    for folder in &parts.includes {
        command.arg("-I").arg(folder);
    }
    command.arg(&entry).args(&parts.sources);
    let mut output = std::ffi::OsString::from("-femit-bin=");
    output.push(job.output());
    command.arg(output);
    c::with_cache(&mut command, job);
    job.run("zig build-exe", &mut command).await?;
    Ok(job.output())
}
