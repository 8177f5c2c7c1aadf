//! The languages: what each one's source looks like, and how it becomes a component or a core module.
//!
//! All of them take the same steps, which `project::build` leads through: the project's WIT is merged with the contract's, bindings are
//! generated where the language's own tools do not do that, the tools run, and a core module is given its world and wrapped. A module
//! here knows the middle part of one language. In its working folder `target/granary/KIND` it finds `wit` and leaves what it makes.

pub mod c;
pub mod go;
mod go_modules;
pub mod python;
pub mod rust;
pub mod script;
mod script_guard;
pub mod zig;

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{Output, Stdio};
use std::time::Duration;

use granary_core::id::KindName;
use granary_runtime::World;
use granary_runtime::world::{AsyncFunction, Generated};
use tokio::process::Command;
use tokio::time::timeout;

use crate::manifest::sections::Language;
use crate::project::build::BuildError;
use crate::project::carried::{self, Files};
use crate::project::toolchain::{Found, Say, Tool};

/// One kind to be built from source.
pub struct Job<'a> {
    /// The kind.
    pub kind: &'a KindName,
    /// The language.
    pub language: Language,
    /// The folder of the source.
    pub source: &'a Path,
    /// The project's own folder for what is made of this kind: `target/granary/KIND`.
    pub work: PathBuf,
    /// Where the sources of SDKs are put: `target/granary/sdk`.
    pub sdk: PathBuf,
    /// Bytes of its stack, where the language has one that is chosen when it is linked.
    pub stack: u64,
    /// The world that it is built for. None only for Rust, whose macros read WIT by themselves.
    pub world: Option<&'a World>,
    /// Whether only errors are shown.
    pub quiet: bool,
    /// Tells people what happens.
    pub say: Say<'a>,
}

impl Job<'_> {
    /// The project's WIT with the contract's beside it.
    pub fn wit(&self) -> PathBuf {
        self.work.join("wit")
    }

    /// Where the language's tools leave what is built.
    pub fn output(&self) -> PathBuf {
        self.work.join("built.wasm")
    }

    /// The world, which every language but Rust needs.
    pub fn needed_world(&self) -> Result<&World, BuildError> {
        self.world.ok_or_else(|| {
            let why = format!("there is no folder {}", self.source.join("wit").display());
            self.unfit(
                why,
                "say in wit/NAME.wit what the component offers; granary new shows how",
            )
        })
    }

    /// An error of this kind, with what to do.
    pub fn unfit(&self, why: impl Into<String>, hint: impl Into<String>) -> BuildError {
        BuildError::Unfit {
            kind: self.kind.clone(),
            why: why.into(),
            hint: hint.into(),
        }
    }

    fn file_error(&self, (path, source): (PathBuf, std::io::Error)) -> BuildError {
        BuildError::File {
            kind: self.kind.clone(),
            path,
            done: "written",
            source,
        }
    }

    /// Finds a tool of the language.
    pub async fn tool(&self, tool: &Tool) -> Result<Found, BuildError> {
        let found = tool.find(self.language).await;
        found.map_err(|missing| BuildError::NoToolchain {
            kind: self.kind.clone(),
            missing,
        })
    }

    /// The folder that holds the sources: `src` if there is one.
    pub fn source_root(&self) -> PathBuf {
        let src = self.source.join("src");
        if src.is_dir() {
            src
        } else {
            self.source.to_path_buf()
        }
    }

    /// The one file that the tools begin with.
    pub fn entry(&self, name: &str) -> Result<PathBuf, BuildError> {
        let file = self.source_root().join(name);
        if file.is_file() {
            return Ok(file);
        }
        let why = format!("there is no {}", file.display());
        let hint = format!(
            "a {} kind begins with {name}; granary new shows how",
            self.language.title()
        );
        Err(self.unfit(why, hint))
    }

    /// Writes generated bindings into a folder of the kind's own.
    pub fn bindings(
        &self,
        made: Result<Vec<Generated>, String>,
        folder: &str,
    ) -> Result<PathBuf, BuildError> {
        let files = made.map_err(|why| {
            self.unfit(
                format!("no bindings for {}: {why}", self.language.title()),
                "simplify the type that it names",
            )
        })?;
        let folder = self.work.join(folder);
        let list = files
            .iter()
            .map(|file| (file.path.as_str(), file.bytes.as_slice()));
        carried::write_all(&folder, list).map_err(|error| self.file_error(error))?;
        Ok(folder)
    }

    /// Writes files that the program carries along, and gives their folder.
    pub fn carry(&self, files: Files, folder: &Path) -> Result<PathBuf, BuildError> {
        carried::write_all(folder, files.iter().copied())
            .map_err(|error| self.file_error(error))?;
        Ok(folder.to_path_buf())
    }

    /// The folder of an SDK's sources, written if there are some.
    pub fn carry_sdk(&self, name: &str, files: Files) -> Result<PathBuf, BuildError> {
        self.carry(files, &self.sdk.join(name))
    }

    /// Writes a file of the kind's own working folder.
    pub fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), BuildError> {
        let name = path.to_string_lossy();
        carried::write_all(Path::new(""), [(&*name, bytes)]).map_err(|error| self.file_error(error))
    }

    /// Runs a tool. What it says is shown if it fails; its warnings are shown unless everything is to be quiet.
    pub async fn run(&self, what: &str, command: &mut Command) -> Result<(), BuildError> {
        let output = self.output_of(what, command.stdout(Stdio::piped())).await?;
        self.judge(what, &output, &|text| text)
    }

    /// Runs a tool that writes its result to standard output.
    pub async fn run_into(
        &self,
        what: &str,
        command: &mut Command,
        file: File,
    ) -> Result<(), BuildError> {
        let output = self.output_of(what, command.stdout(file)).await?;
        self.judge(what, &output, &|text| text)
    }

    /// Runs a tool whose words need to be translated for people.
    pub async fn run_translated(
        &self,
        what: &str,
        command: &mut Command,
        translate: &(dyn Fn(String) -> String + Sync),
    ) -> Result<(), BuildError> {
        let output = self.output_of(what, command.stdout(Stdio::piped())).await?;
        self.judge(what, &output, translate)
    }

    async fn output_of(&self, what: &str, command: &mut Command) -> Result<Output, BuildError> {
        // Inside another project's virtual environment the tools would look there.
        command
            .env_remove("VIRTUAL_ENV")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let no_program = |source| BuildError::NoProgram {
            kind: self.kind.clone(),
            what: what.to_owned(),
            source,
        };
        let child = command.spawn().map_err(no_program)?;
        let mut ended = pin!(child.wait_with_output());
        let output = match timeout(SILENT_FOR, &mut ended).await {
            Ok(output) => output,
            Err(_) => {
                (self.say)(&format!(
                    "{}: {what} is still running{}",
                    self.kind,
                    first_time(what)
                ));
                ended.await
            }
        };
        output.map_err(no_program)
    }

    fn judge(
        &self,
        what: &str,
        output: &Output,
        translate: &dyn Fn(String) -> String,
    ) -> Result<(), BuildError> {
        let text = |bytes: &[u8]| translate(String::from_utf8_lossy(bytes).trim().to_owned());
        let warnings = text(&output.stderr);
        if output.status.success() {
            if !warnings.is_empty() {
                (self.say)(&warnings);
            }
            return Ok(());
        }
        let parts = [text(&output.stdout), warnings];
        let said: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        Err(BuildError::Failed {
            kind: self.kind.clone(),
            what: what.to_owned(),
            output: last_part(&said.join("\n")),
        })
    }
}

/// How long a tool may keep people waiting without a word: as long as they keep their minds on it (Nielsen, Usability Engineering, 1993).
const SILENT_FOR: Duration = Duration::from_secs(10);

/// Why a tool may take longer now than at any later time.
fn first_time(what: &str) -> &'static str {
    match what.split(' ').next() {
        Some("zig") => "; a first build also builds Zig's own libraries",
        Some("go") => "; a first build also builds Go's own packages",
        _ => "",
    }
}

/// As much of a tool's words as a person reads.
const OUTPUT_BYTES_MAX: usize = 16 * 1024;

/// The end of a long text: compilers say the worst last.
pub(super) fn last_part(text: &str) -> String {
    let mut start = text.len().saturating_sub(OUTPUT_BYTES_MAX);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text[start..].to_owned()
}

/// Builds the source of a kind. Gives the file that was made: a component or a core module.
pub async fn build(job: &Job<'_>) -> Result<PathBuf, BuildError> {
    std::fs::create_dir_all(&job.work)
        .map_err(|error| job.file_error((job.work.clone(), error)))?;
    refuse_async(job)?;
    match job.language {
        Language::Rust => rust::build(job).await,
        Language::C => c::build(job).await,
        Language::Zig => zig::build(job).await,
        Language::Go => go::build(job).await,
        Language::Js | Language::Ts => script::build(job).await,
        Language::Python => python::build(job).await,
    }
}

/// Refuses what the language's tools would answer with a crash of their own.
fn refuse_async(job: &Job<'_>) -> Result<(), BuildError> {
    let functions = job.world.map(World::async_functions).unwrap_or_default();
    let Some((what, hint)) = async_trouble(job.language, &functions) else {
        return Ok(());
    };
    Err(job.unfit(what, hint))
}

/// Why a language cannot have one of these functions, and what to do.
fn async_trouble(language: Language, functions: &[AsyncFunction]) -> Option<(String, String)> {
    let title = language.title();
    match language {
        Language::Rust | Language::Python => None,
        Language::C | Language::Zig | Language::Go => {
            let function = functions.iter().find(|function| function.is_exported)?;
            Some((
                format!("the WIT says `{}: async func`, and {title} builds no async func", function.name),
                "say `func` there, or write this kind in Rust, Python or TypeScript, which build them".to_owned(),
            ))
        }
        Language::Js | Language::Ts => {
            let function = functions.iter().find(|function| !function.is_exported)?;
            Some((
                format!("the world imports `{}: async func`, and {title} can offer an async func but not use one", function.name),
                "say `include granary:grain/imports` instead of async-imports, or write this kind in Rust or Python".to_owned(),
            ))
        }
    }
}

/// Files outside the kind's folder that went into the last build, as far as the language's tools say.
pub fn inputs_elsewhere(job: &Job<'_>) -> BTreeSet<PathBuf> {
    match job.language {
        Language::Rust => rust::inputs_elsewhere(job),
        Language::C => c::inputs_elsewhere(job),
        Language::Go => go::inputs_elsewhere(job),
        Language::Js | Language::Ts => script::inputs_elsewhere(job),
        Language::Python => python::inputs_elsewhere(job),
        // Neither an import nor an embedded file may lie outside the folder of the module.
        Language::Zig => BTreeSet::new(),
    }
}

/// The files of each rule of a list as compilers write it for `make`: `made: input input …`.
fn dependencies(list: &str) -> Vec<Vec<PathBuf>> {
    // A line goes on behind a backslash, and one protects a blank within a name.
    let list = list.replace("\\\n", " ").replace("\\ ", "\0");
    let rules = list.lines().filter_map(|line| line.split_once(": "));
    let files = rules.map(|(_, inputs)| {
        let names = inputs.split_whitespace();
        names
            .map(|name| {
                name.replace('\0', " ")
                    .replace("$$", "$")
                    .replace("\\#", "#")
            })
            .map(PathBuf::from)
            .collect()
    });
    files.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn async_functions_are_refused_where_the_tools_cannot_build_them() {
        let function = |is_exported| AsyncFunction {
            name: "api.wait".to_owned(),
            is_exported,
        };
        for language in Language::ALL {
            let refuses =
                |functions: &[AsyncFunction]| async_trouble(language, functions).is_some();
            let (offered, used) = (refuses(&[function(true)]), refuses(&[function(false)]));
            let expected = match language {
                Language::Rust | Language::Python => (false, false),
                Language::C | Language::Zig | Language::Go => (true, false),
                Language::Js | Language::Ts => (false, true),
            };
            assert_eq!((offered, used), expected, "{language:?}");
            assert!(!refuses(&[]));
        }
    }

    #[test]
    fn what_a_compiler_read_is_taken_from_its_list() {
        let list = "/w/a.o: /s/a.c \\\n  /s/../sh\\ ared/limits.h /s/$$x.h\n\nb.o: b.c\nempty.h:\n";
        let expected = [
            vec!["/s/a.c", "/s/../sh ared/limits.h", "/s/$x.h"],
            vec!["b.c"],
        ]
        .map(|files| files.into_iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(dependencies(list), expected);
    }
}
