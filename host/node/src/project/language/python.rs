//! Python: `app.py`, a module whose classes implement the exported interfaces. Bindings are `wit_world`, which `componentize-py` generates;
//! the SDK is the package `granary`. (A module must not be called like the world.)

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use granary_runtime::World;
use tokio::process::Command;

use crate::project::build::BuildError;
use crate::project::carried;
use crate::project::language::Job;
use crate::project::toolchain::{self, COMPONENTIZE_PY};

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
    bindings(job, &tool.path, world).await?;
    list_inputs(job).await?;
    Ok(job.output())
}

/// What was imported, in the kind's working folder.
const INPUTS: &str = "inputs.txt";
/// Follows the imports of `app` as the component's maker does: in the kind's folder, then in the packages of the `python3` on the path. Says
/// each file that was found.
const FOLLOW: &str = "
import modulefinder, os, subprocess, sys
try:
    said = subprocess.run(['python3', '-c', 'import site; print(site.getusersitepackages(), *site.getsitepackages(), sep=chr(10))'],
                          capture_output=True, text=True, check=True).stdout
except (OSError, subprocess.CalledProcessError):
    said = ''
folder = sys.argv[1]
finder = modulefinder.ModuleFinder(path=[folder, *said.splitlines()])
try:
    finder.run_script(os.path.join(folder, 'app.py'))
except SyntaxError:
    pass  # This Python is older than the component's.
for module in finder.modules.values():
    if module.__file__:
        print(os.path.abspath(module.__file__))
";

/// Keeps a list of the modules that were imported. The component's maker gives none.
async fn list_inputs(job: &Job<'_>) -> Result<(), BuildError> {
    let path = job.work.join(INPUTS);
    let file =
        std::fs::File::create(&path).map_err(|error| job.file_error((path.clone(), error)))?;
    let own = toolchain::python_home().join("bin/python");
    let python = Some(own).filter(|own| own.is_file());
    let Some(python) = python.or_else(|| toolchain::on_path("python3")) else {
        // Without Python there are no packages of it either.
        return Ok(());
    };
    let mut command = Command::new(python);
    command
        .args(["-I", "-c", FOLLOW])
        .arg(job.source_root())
        .current_dir(&job.work);
    // The component is made: without the list it is only less known when to make it anew.
    drop(job.run_into("python", &mut command, file).await);
    Ok(())
}

/// The modules that were imported from outside the kind's folder, which an installation may change.
pub(super) fn inputs_elsewhere(job: &Job<'_>) -> BTreeSet<PathBuf> {
    let list = std::fs::read_to_string(job.work.join(INPUTS)).unwrap_or_default();
    let files = list.lines().map(Path::new);
    files
        .filter(|file| !file.starts_with(job.source))
        .map(Path::to_path_buf)
        .collect()
}

/// Leaves what the component was built with for editors and for the author's own tests; `granary.testing` looks there.
async fn bindings(job: &Job<'_>, tool: &Path, world: &World) -> Result<(), BuildError> {
    let folder = job.work.join("python");
    // It writes into none that is there.
    drop(std::fs::remove_dir_all(&folder));
    let mut command = Command::new(tool);
    command
        .arg("-q")
        .arg("-d")
        .arg(job.wit())
        .args(["-w", world.built_name(), "bindings"])
        .arg(&folder)
        .current_dir(&job.work);
    job.run("componentize-py", &mut command).await?;
    // Of several kinds, whose bindings these are.
    let source = job.source.as_os_str().as_encoded_bytes();
    job.write(&folder.join("source"), source)
}
