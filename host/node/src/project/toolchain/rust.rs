//! What builds Rust guests: found, installed where one step does it, or named.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use crate::project::toolchain::{Missing, Say, on_path};

/// The target that gives components.
pub const TARGET: &str = "wasm32-wasip2";
/// The target of the Debian route: it gives core modules.
const CORE_TARGET: &str = "wasm32-wasip1";
/// Says which route to take: `rustup` or `debian`; the first that works unless set.
pub const VARIABLE: &str = "GRANARY_GUEST_TOOLCHAIN";
/// What the Debian route needs.
const DEBIAN_PACKAGES: &str = "rustc-web cargo-web rust-web-src lld-22 wasi-libc gcc libc6-dev";
/// Where Debian's `wasi-libc` puts its libraries.
const DEBIAN_LIBC: &str = "/usr/lib/wasm32-wasi";

/// A way to build Rust guests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Toolchain {
    /// The toolchain's own standard library for [`TARGET`].
    Wasip2,
    /// Debian's packages: the standard library is built along.
    Debian {
        /// The linker.
        linker: PathBuf,
    },
}

/// Which way is wished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Any,
    Rustup,
    Debian,
}

impl Wish {
    fn parse(value: &str) -> Result<Self, Missing> {
        match value {
            "" => Ok(Self::Any),
            "rustup" => Ok(Self::Rustup),
            "debian" => Ok(Self::Debian),
            other => Err(Missing {
                why: format!("{VARIABLE} is '{other}', and no way to build Rust"),
                run: format!("unset {VARIABLE}, or set it to rustup or debian"),
            }),
        }
    }

    fn read() -> Result<Self, Missing> {
        Self::parse(&std::env::var(VARIABLE).unwrap_or_default())
    }
}

/// Finds a way to build guests in `folder` (its `rust-toolchain.toml` counts). A missing target is added with rustup.
pub async fn find(folder: &Path, say: Say<'_>) -> Result<Toolchain, Missing> {
    let wish = Wish::read()?;
    let wasip2 = match wish {
        Wish::Any | Wish::Rustup => wasip2(folder, say).await,
        Wish::Debian => Err(String::new()),
    };
    choose(wish, wasip2)
}

/// Looks for a toolchain without changing anything: what `doctor` does.
pub async fn look(folder: &Path) -> Result<Toolchain, Missing> {
    let wish = Wish::read()?;
    let wasip2 = match wish {
        Wish::Any | Wish::Rustup if has_target(folder).await => Ok(()),
        Wish::Any | Wish::Rustup => Err(format!("the Rust target {TARGET} is not installed")),
        Wish::Debian => Err(String::new()),
    };
    choose(wish, wasip2)
}

/// The way that is wished, of those that are there.
fn choose(wish: Wish, wasip2: Result<(), String>) -> Result<Toolchain, Missing> {
    let add = format!("rustup target add {TARGET}");
    let install = format!("apt-get install -y --no-install-recommends {DEBIAN_PACKAGES}");
    let why = match wasip2 {
        Ok(()) => return Ok(Toolchain::Wasip2),
        Err(why) if wish == Wish::Rustup => return Err(Missing { why, run: add }),
        Err(why) => why,
    };
    let missing = match debian() {
        Ok(linker) => return Ok(Toolchain::Debian { linker }),
        Err(missing) => missing,
    };
    Err(match wish {
        Wish::Any | Wish::Rustup => Missing {
            why,
            run: format!("{add}\n     or, on Debian without rustup: {install}"),
        },
        Wish::Debian => Missing {
            why: format!("of Debian's Rust {missing} is missing"),
            run: install,
        },
    })
}

async fn wasip2(folder: &Path, say: Say<'_>) -> Result<(), String> {
    if has_target(folder).await {
        return Ok(());
    }
    if !runs(folder, "rustc").await {
        return Err("there is no Rust compiler: `rustc` does not run".to_owned());
    }
    say(&format!(
        "the Rust target {TARGET} is missing: rustup target add {TARGET}"
    ));
    let mut command = clean(Command::new("rustup"), folder).await;
    command.args(["target", "add", TARGET]).kill_on_drop(true);
    match tokio::time::timeout(Duration::from_secs(120), command.output()).await {
        Err(_) => Err(format!(
            "`rustup target add {TARGET}` took longer than two minutes"
        )),
        Ok(Err(_)) => Err(format!(
            "the Rust target {TARGET} is not installed, and there is no rustup to add it"
        )),
        Ok(Ok(output)) if !output.status.success() => {
            let text = String::from_utf8_lossy(&output.stderr);
            let last = text
                .lines()
                .rev()
                .find(|line| !line.trim().is_empty())
                .unwrap_or_default();
            Err(format!(
                "`rustup target add {TARGET}` failed: {}",
                last.trim()
            ))
        }
        // rustup may say "up to date" for another toolchain: only the file tells.
        Ok(Ok(_)) if has_target(folder).await => Ok(()),
        Ok(Ok(_)) => Err(format!(
            "rustup has added {TARGET}, but to another toolchain than the one that `rustc` runs here"
        )),
    }
}

/// The compiler that runs in `folder`, and the route that is wished.
pub async fn version(folder: &Path) -> String {
    let mut command = clean(Command::new("rustc"), folder).await;
    let output = command.arg("-vV").output().await;
    let text = output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).into_owned(),
    );
    format!("{} {text}", std::env::var(VARIABLE).unwrap_or_default())
}

/// Whether the standard library for components is there: the file, not what a list says.
async fn has_target(folder: &Path) -> bool {
    let mut command = clean(Command::new("rustc"), folder).await;
    let Ok(output) = command
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .await
    else {
        return false;
    };
    let libdir = String::from_utf8_lossy(&output.stdout);
    output.status.success()
        && Path::new(libdir.trim())
            .join("self-contained/libc.a")
            .is_file()
}

async fn runs(folder: &Path, program: &str) -> bool {
    let mut command = clean(Command::new(program), folder).await;
    command
        .arg("--version")
        .output()
        .await
        .is_ok_and(|output| output.status.success())
}

/// The linker of the Debian route, or the first thing that is missing.
fn debian() -> Result<PathBuf, String> {
    let needed = [
        "/usr/bin/rustc".to_owned(),
        "/usr/bin/cargo".to_owned(),
        "/usr/lib/rustlib/src/rust/library/std/Cargo.toml".to_owned(),
        format!("{DEBIAN_LIBC}/libc.a"),
        format!("{DEBIAN_LIBC}/crt1-reactor.o"),
    ];
    if let Some(missing) = needed.into_iter().find(|path| !Path::new(path).exists()) {
        return Err(missing);
    }
    // Macros and build scripts run on this machine, and are linked for it.
    if on_path("cc").is_none() {
        return Err("the C compiler `cc`".to_owned());
    }
    let entries = std::fs::read_dir("/usr/bin")
        .into_iter()
        .flatten()
        .flatten();
    let linkers = entries.filter_map(|entry| {
        let version: u32 = entry
            .file_name()
            .to_str()?
            .strip_prefix("wasm-ld-")?
            .parse()
            .ok()?;
        Some((version, entry.path()))
    });
    linkers
        .max()
        .map(|(_, path)| path)
        .ok_or_else(|| "/usr/bin/wasm-ld-22".to_owned())
}

impl std::fmt::Display for Toolchain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Wasip2 => write!(f, "rustc with the target {TARGET}"),
            Self::Debian { linker } => {
                write!(f, "rustc of Debian, linked with {}", linker.display())
            }
        }
    }
}

impl Toolchain {
    /// The cargo call that builds the release of the package in `folder`.
    pub async fn cargo(&self, folder: &Path) -> Command {
        match self {
            Self::Wasip2 => {
                let mut command = clean(Command::new("cargo"), folder).await;
                command.args(["build", "--release", "--target", TARGET]);
                command
            }
            Self::Debian { linker } => {
                let mut command = clean(Command::new("/usr/bin/cargo"), folder).await;
                let flags = format!(
                    "-Clink-self-contained=no -Lnative={DEBIAN_LIBC} -Clink-arg={DEBIAN_LIBC}/crt1-reactor.o"
                );
                command
                    .args([
                        "build",
                        "-Zbuild-std=std,panic_abort",
                        "--release",
                        "--target",
                        CORE_TARGET,
                    ])
                    .env_remove("RUSTUP_TOOLCHAIN")
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("RUSTC", "/usr/bin/rustc")
                    .env("CARGO_TARGET_WASM32_WASIP1_LINKER", linker)
                    .env("CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS", flags);
                command
            }
        }
    }
}

/// Runs in `folder` without what an outer `cargo run` has set for its own package, and without flags meant for the host.
async fn clean(mut command: Command, folder: &Path) -> Command {
    command.current_dir(folder);
    for (name, _) in std::env::vars_os().filter(|(name, _)| disturbs(name)) {
        command.env_remove(name);
    }
    // Inside `cargo run` rustup pins the outer project's toolchain. The guest's own choice counts, if there is one.
    if std::env::var_os("CARGO").is_some() && has_default_toolchain(folder).await {
        command.env_remove("RUSTUP_TOOLCHAIN");
    }
    command
}

async fn has_default_toolchain(folder: &Path) -> bool {
    let mut command = Command::new("rustc");
    command
        .arg("--version")
        .current_dir(folder)
        .env_remove("RUSTUP_TOOLCHAIN");
    command
        .output()
        .await
        .is_ok_and(|output| output.status.success())
}

fn disturbs(name: &OsString) -> bool {
    let Some(name) = name.to_str() else {
        return false;
    };
    const NAMES: [&str; 7] = [
        "CARGO",
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "CARGO_BUILD_RUSTFLAGS",
        "RUSTC",
        "RUSTDOC",
    ];
    name.starts_with("CARGO_PKG_")
        || name.starts_with("CARGO_MANIFEST_")
        || name.starts_with("CARGO_BIN_")
        || name.starts_with("CARGO_PROFILE_RELEASE_")
        || name == "CARGO_CRATE_NAME"
        || name == "CARGO_PRIMARY_PACKAGE"
        || NAMES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_that_is_wished_is_taken_or_its_lack_is_told() {
        assert_eq!(Wish::parse(""), Ok(Wish::Any));
        assert_eq!(Wish::parse("rustup"), Ok(Wish::Rustup));
        assert_eq!(Wish::parse("debian"), Ok(Wish::Debian));
        let unknown = Wish::parse("nix").unwrap_err();
        assert!(unknown.why.contains("'nix'") && unknown.run.contains("rustup or debian"));
        for wish in [Wish::Any, Wish::Rustup] {
            assert_eq!(choose(wish, Ok(())), Ok(Toolchain::Wasip2));
        }
        // Whatever of Debian is there.
        let refused = choose(Wish::Rustup, Err("no target".to_owned())).unwrap_err();
        assert_eq!(refused.why, "no target");
        assert_eq!(refused.run, format!("rustup target add {TARGET}"));
    }
}
