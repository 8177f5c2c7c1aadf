//! Installs what languages need, at pinned versions, into the one folder of the tool chains.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::manifest::sections::Language;
use crate::project::toolchain::{
    self, Missing, NODE, Registry, Say, Tool, home, node_home, python_home,
};

/// A wheel of a hundred megabytes over a slow line.
const STEP_TIME_MAX: Duration = Duration::from_secs(30 * 60);
/// The oldest Python that the wheels are for.
const PYTHON: &str = "Python 3.9 or later with its modules venv and pip";

/// Why nothing, or not everything, was installed. What was there before is still there.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// Something that the installation itself needs is not there.
    #[error("{0}")]
    Missing(Missing),
    /// The registry could not be reached.
    #[error("{registry} could not be reached: {words}")]
    NoNetwork {
        /// Which one.
        registry: &'static str,
        /// What the package manager said.
        words: String,
    },
    /// The package manager refused.
    #[error("{what} failed: {words}")]
    Failed {
        /// The command.
        what: String,
        /// The heart of what it said.
        words: String,
    },
    /// The folder cannot be used.
    #[error("{} cannot be written", path.display())]
    Folder {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl InstallError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Missing(missing) => missing.run.clone(),
            Self::NoNetwork { registry: "PyPI", .. } => {
                "look at the network; a mirror is named with PIP_INDEX_URL, a proxy with HTTPS_PROXY; then repeat".to_owned()
            }
            Self::NoNetwork { .. } => {
                "look at the network; a mirror is named with npm_config_registry, a proxy with HTTPS_PROXY; then repeat".to_owned()
            }
            Self::Failed { .. } => "granary toolchain doctor".to_owned(),
            Self::Folder { .. } => format!("another folder with {}", toolchain::HOME_VARIABLE),
        }
    }
}

/// Installs what a language needs, and gives what was done. Packages that are there at their pinned version are left alone.
pub async fn install(language: Language, say: Say<'_>) -> Result<Vec<String>, InstallError> {
    if language == Language::Rust {
        return rust(say).await;
    }
    let folder = home();
    let failed = |source| InstallError::Folder {
        path: folder.clone(),
        source,
    };
    std::fs::create_dir_all(&folder).map_err(failed)?;
    // Two installations at a time would write over each other. The lock goes with the file.
    let _lock = lock(&folder.join(".lock")).await.map_err(failed)?;
    let mut done = Vec::new();
    for registry in [Registry::Pypi, Registry::Npm] {
        let needed = toolchain::tools(language).iter().copied();
        let missing: Vec<&Tool> = needed
            .filter(|tool| tool.registry == registry)
            .filter(|tool| !tool.is_installed())
            .collect();
        if missing.is_empty() {
            continue;
        }
        match registry {
            Registry::Pypi => wheels(&missing, say).await?,
            Registry::Npm => packages(&missing, say).await?,
        }
        if let Some(tool) = missing.iter().find(|tool| !tool.is_installed()) {
            return Err(InstallError::Failed {
                what: format!("the installation of {} {}", tool.package, tool.version),
                words: format!("it left no {}", tool.name),
            });
        }
        done.extend(
            missing
                .iter()
                .map(|tool| format!("{} {}", tool.package, tool.version)),
        );
    }
    Ok(done)
}

/// Bytes of what is installed, and of what is on its way.
pub fn size() -> u64 {
    let folders = std::fs::read_dir(home()).into_iter().flatten().flatten();
    let folders = folders.filter(|folder| folder.file_name() != toolchain::CACHE);
    folders.map(|folder| size_of(&folder.path())).sum()
}

fn size_of(path: &Path) -> u64 {
    let Ok(found) = std::fs::symlink_metadata(path) else {
        // A download that is finished is moved away.
        return 0;
    };
    if !found.is_dir() {
        return found.len();
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| size_of(&entry.path())).sum()
}

/// Rust lives in the user's own toolchain: the target is added there.
async fn rust(say: Say<'_>) -> Result<Vec<String>, InstallError> {
    let here = Path::new(".");
    let before = toolchain::rust::look(here).await.is_ok();
    toolchain::rust::find(here, say)
        .await
        .map_err(InstallError::Missing)?;
    Ok(if before {
        Vec::new()
    } else {
        vec![toolchain::rust::TARGET.to_owned()]
    })
}

async fn lock(path: &Path) -> Result<File, std::io::Error> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    let waiting = tokio::task::spawn_blocking(move || file.lock().map(|()| file));
    waiting.await.map_err(std::io::Error::other)?
}

async fn wheels(tools: &[&Tool], say: Say<'_>) -> Result<(), InstallError> {
    let environment = python_home();
    let python = environment.join("bin/python");
    if !python.is_file() {
        let system = ["python3", "python"]
            .into_iter()
            .find_map(toolchain::on_path);
        let system =
            system.ok_or_else(|| needs(PYTHON, "apt-get install -y python3 python3-venv"))?;
        say(&format!(
            "making a virtual environment in {}",
            environment.display()
        ));
        let mut command = Command::new(&system);
        command.args(["-m", "venv", "--clear"]).arg(&environment);
        let made = run("python3 -m venv", &mut command, Registry::Pypi).await;
        if let Err(InstallError::Failed { words, .. }) = made {
            return Err(needs(
                &format!("{PYTHON} ({words})"),
                "apt-get install -y python3 python3-venv",
            ));
        }
        made?;
    }
    let mut command = Command::new(&python);
    command.args([
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-input",
        "--only-binary=:all:",
    ]);
    // One answer that does not come is an answer, too.
    command.args(["--retries", "2", "--timeout", "30", "--quiet"]);
    for tool in tools {
        say(&format!(
            "installing {} {} from PyPI",
            tool.package, tool.version
        ));
        command.arg(format!("{}=={}", tool.package, tool.version));
    }
    run("pip install", &mut command, Registry::Pypi).await
}

async fn packages(tools: &[&Tool], say: Say<'_>) -> Result<(), InstallError> {
    const RUN: &str = "apt-get install -y nodejs npm, or https://nodejs.org";
    if let Err(why) = toolchain::node().await {
        let run = RUN.to_owned();
        return Err(InstallError::Missing(Missing { why, run }));
    }
    let npm = toolchain::on_path("npm");
    let npm = npm.ok_or_else(|| needs(&format!("{NODE} with npm"), RUN))?;
    let mut command = Command::new(npm);
    command
        .args([
            "install",
            "--no-audit",
            "--no-fund",
            "--no-update-notifier",
            "--save-exact",
            "--ignore-scripts",
        ])
        .args([
            // After one second, then two: with npm's own factor it would be ten.
            "--fetch-retry-mintimeout",
            "1000",
            "--fetch-retry-factor",
            "2",
            "--fetch-retries",
            "2",
            "--loglevel",
            "error",
            "--prefix",
        ])
        .arg(node_home());
    for tool in tools {
        say(&format!(
            "installing {} {} from npm",
            tool.package, tool.version
        ));
        command.arg(format!("{}@{}", tool.package, tool.version));
    }
    let folder = node_home();
    std::fs::create_dir_all(&folder).map_err(|source| InstallError::Folder {
        path: folder,
        source,
    })?;
    run("npm install", &mut command, Registry::Npm).await
}

fn needs(what: &str, run: &str) -> InstallError {
    InstallError::Missing(Missing {
        why: format!("{what} is needed to install it"),
        run: run.to_owned(),
    })
}

/// Runs a step of an installation; its words are told only if it fails.
async fn run(what: &str, command: &mut Command, registry: Registry) -> Result<(), InstallError> {
    // What is downloaded lies in the folder, too: whoever looks at its size sees how far it is.
    let downloads = tempfile::Builder::new()
        .prefix(".download")
        .tempdir_in(home())
        .map_err(|source| InstallError::Folder {
            path: home(),
            source,
        })?;
    command
        .env("TMPDIR", downloads.path())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let failed = |words: String| InstallError::Failed {
        what: what.to_owned(),
        words,
    };
    let output = match tokio::time::timeout(STEP_TIME_MAX, command.output()).await {
        Err(_) => return Err(failed("it took longer than half an hour".to_owned())),
        Ok(output) => output.map_err(|error| failed(error.to_string()))?,
    };
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    if let Some(words) = network(&text) {
        let registry = match registry {
            Registry::Pypi => "PyPI",
            Registry::Npm => "the npm registry",
        };
        return Err(InstallError::NoNetwork { registry, words });
    }
    Err(failed(heart(&text)))
}

/// The line in which a package manager says why nobody answers; none if the network was not the trouble.
fn network(text: &str) -> Option<String> {
    let signs = [
        "Temporary failure in name resolution",
        "Connection refused",
        "Network is unreachable",
        "Connection aborted",
        "ConnectTimeoutError",
        "ReadTimeoutError",
        "Failed to establish a new connection",
        "NewConnectionError",
        "Max retries exceeded",
        "reason: ",
        "ECONNREFUSED",
        "ECONNRESET",
        "ENOTFOUND",
        "EAI_AGAIN",
        "ETIMEDOUT",
        "network",
    ];
    // The plainest words first: the same trouble is told in several lines.
    let mut lines = signs
        .iter()
        .filter_map(|sign| text.lines().find(|line| line.contains(sign)));
    let line = lines.next()?.trim();
    // pip tells its attempts before the cause, npm says in each line who it is.
    let cause = line.split_once("after connection broken by ");
    let line = cause.map_or(line, |(_, cause)| cause);
    Some(line.trim_start_matches("npm error ").to_owned())
}

/// The last line that says something is wrong.
fn heart(text: &str) -> String {
    let lines = || {
        text.lines()
            .rev()
            .map(str::trim)
            .filter(|line| !line.is_empty())
    };
    let wrong = lines().find(|line| line.starts_with("ERROR") || line.contains("error"));
    wrong
        .or_else(|| lines().next())
        .unwrap_or("it said nothing")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_told_where_the_network_is_the_trouble() {
        let pip = "WARNING: Retrying (Retry(total=1, connect=None)) after connection broken by 'NewConnectionError('<pip>: Failed to establish a new \
                   connection: [Errno -3] Temporary failure in name resolution')': /simple/componentize-py/\nERROR: Could not find a version\n\
                   ERROR: No matching distribution found for componentize-py==0.25.1\n";
        let npm = "npm error code EAI_AGAIN\nnpm error syscall getaddrinfo\nnpm error errno EAI_AGAIN\n\
                   npm error request to https://packages.example/esbuild failed, reason: getaddrinfo EAI_AGAIN packages.example\n\
                   npm error A complete log of this run can be found in: /logs/x.log\n";
        assert!(
            network(pip).is_some_and(|words| words.starts_with("'NewConnectionError")
                && words.contains("Temporary failure in name resolution")),
            "{:?}",
            network(pip)
        );
        assert_eq!(
            network(npm).as_deref(),
            Some(
                "request to https://packages.example/esbuild failed, reason: getaddrinfo EAI_AGAIN packages.example"
            )
        );
        assert_eq!(network("ERROR: no space left on device"), None);
    }
}
