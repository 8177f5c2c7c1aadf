//! Python: `app.py`, a module whose classes implement the exported interfaces. Bindings are `wit_world`, which `componentize-py` generates;
//! the SDK is the package `granary`. (A module must not be called like the world.)

use std::path::PathBuf;

use tokio::process::Command;

use crate::project::build::BuildError;
use crate::project::carried;
use crate::project::language::Job;
use crate::project::toolchain::COMPONENTIZE_PY;

/// Has the component made, with the interpreter and everything that `app` imports in it.
pub(super) async fn build(job: &Job<'_>) -> Result<PathBuf, BuildError> {
    job.entry("app.py")?;
    let tool = job.tool(&COMPONENTIZE_PY).await?;
    let world = job.needed_world()?;
    let sdk = job.carry_sdk("python", carried::SDK_PYTHON)?;
    let mut command = Command::new(&tool.path);
    command
        .arg("-q")
        .arg("-d")
        .arg(job.wit())
        .args(["-w", world.built_name(), "componentize", "app", "-o"])
        .arg(job.output())
        .arg("-p")
        .arg(job.source_root());
    for folder in [sdk.join("src"), sdk] {
        if folder.is_dir() {
            command.arg("-p").arg(folder);
        }
    }
    command
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(&job.work);
    job.run("componentize-py", &mut command).await?;
    Ok(job.output())
}
