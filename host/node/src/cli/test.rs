//! `test`: a project's tests against a node in this process.

mod compiled;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::client::{Address, Client, encode, grain_path, parse_grain};
use crate::cli::deploy::revise;
use crate::cli::exit::{Error, Exit};
use crate::cli::node::{Running, compile_on_all_processors, start_log};
use crate::cli::project::{build_error, kinds, open_all};
use crate::cli::settings;
use crate::cli::terminal::{Terminal, Tone};
use crate::cli::upload::upload;
use crate::config::Config;
use crate::config::units::Listen;
use crate::project::Project;
use crate::project::build::{Builder, Built};
use crate::project::expectations::{self, Call, Test, TestFile, same};
use crate::project::own_tests::OwnTests;

const FORM: &str = "\
Tests are files tests/*.toml (or .json) beside granary.toml, the same for every language:

  [[test]]
  name = \"what is added is listed\"

  [[test.call]]
  grain = \"shopping-list/mine\"
  method = \"add\"
  args = [\"milk\"]
  ok = 1                    # or err = …, or problem = \"guest-trap\"; a result unless it says one of them

The kinds are built and deployed to a node of their own on a free port. Every test begins with grains that have no state.
What that node compiles is kept from run to run in the folder of the tool chains, at most 1 GiB of it.
A project's tests in its own language run first, if granary.toml names them:

  [test]
  command = \"go test ./...\"

Examples:
  granary test
  granary test sample-grains --filter counter --output json";

/// What `test` is told.
#[derive(Debug, Args)]
#[command(after_help = FORM)]
pub struct TestArgs {
    /// Folders with a granary.toml, or folders of such folders
    #[arg(value_name = "DIR", default_value = ".")]
    paths: Vec<PathBuf>,
    /// Run only tests whose name, or whose file's name, contains this
    #[arg(long, short, value_name = "TEXT")]
    filter: Option<String>,
}

/// What became of one test.
struct Outcome {
    file: String,
    name: String,
    /// How many calls it makes; a project's own tests make none.
    calls: Option<usize>,
    took: Duration,
    /// What was not as expected.
    failure: Option<String>,
}

/// What was asked for.
struct Wanted {
    commands: Vec<OwnTests>,
    files: Vec<TestFile>,
}

/// Builds, deploys, runs the tests.
pub async fn test(terminal: &Terminal, args: &TestArgs) -> Result<(), Error> {
    let projects = open_all(&args.paths)?;
    let wanted = wanted(&projects, args.filter.as_deref().unwrap_or_default())?;
    // Nothing is kept; the log of a node that lives for seconds is worth reading only if it warns.
    let folder = tempfile::Builder::new().prefix("granary-test").tempdir();
    let folder = folder
        .map_err(|error| Error::caused(Exit::Failure, &error, "free some space, or set TMPDIR"))?;
    let config = config(folder.path().to_path_buf())?;
    start_log(&config.file.log)?;
    let running = Running::start_with(&config, compiled::cache()).await?;
    let outcome = on_node(terminal, &projects, &wanted, running.url()).await;
    running.stop().await;
    let outcomes = outcome?;
    report(terminal, &outcomes)
}

fn config(data: PathBuf) -> Result<Config, Error> {
    let mut config = Config::defaults();
    config.set("store.path", "test", |file| file.store.path = data);
    let free = Listen::parse("127.0.0.1:0").map_err(|why| Error::failure(why, "granary doctor"))?;
    config.set("http.listen", "test", |file| file.http.listen = free);
    config.set("log.filter", "test", |file| {
        "error".clone_into(&mut file.log.filter)
    });
    compile_on_all_processors(&mut config, "test");
    config
        .recheck()
        .map_err(|problems| settings::wrong_settings(&problems))?;
    Ok(config)
}

/// The tests of projects that were asked for.
fn wanted(projects: &[Project], filter: &str) -> Result<Wanted, Error> {
    let mut files = Vec::new();
    let mut commands = Vec::new();
    for project in projects {
        for manifest in &project.manifests {
            commands.extend(OwnTests::of(project, manifest));
            let read = expectations::read(&manifest.folder());
            files.extend(read.map_err(|problems| {
                Error::caused(Exit::Usage, &problems, "granary test --help shows the form")
            })?);
        }
    }
    let found = !files.is_empty() || !commands.is_empty();
    for file in &mut files {
        if !file.path.to_string_lossy().contains(filter) {
            file.tests.retain(|test| test.name.contains(filter));
        }
    }
    files.retain(|file| !file.tests.is_empty());
    commands
        .retain(|own| own.file.to_string_lossy().contains(filter) || own.command.contains(filter));
    if !files.is_empty() || !commands.is_empty() {
        return Ok(Wanted { commands, files });
    }
    Err(if found {
        let message = format!("no test's name contains '{filter}'");
        Error::new(
            Exit::NotFound,
            message,
            "granary test without --filter runs all of them",
        )
    } else {
        Error::new(
            Exit::NotFound,
            "there are no tests: no tests/*.toml beside granary.toml",
            "granary test --help shows how one is written",
        )
    })
}

async fn on_node(
    terminal: &Terminal,
    projects: &[Project],
    wanted: &Wanted,
    url: String,
) -> Result<Vec<Outcome>, Error> {
    let client = Client::new(&Address {
        url,
        token: None,
        ca: None,
    })?;
    let built = build(terminal, projects).await?;
    let mut outcomes = Vec::new();
    for own in &wanted.commands {
        outcomes.push(run_own(terminal, own).await);
    }
    for built in &built {
        deploy(terminal, &client, built).await?;
    }
    for file in &wanted.files {
        let shown = file.path.display().to_string();
        if !terminal.is_json() {
            terminal.out(&shown);
        }
        for test in &file.tests {
            let started = Instant::now();
            let failure = run(&client, test).await;
            let outcome = Outcome {
                file: shown.clone(),
                name: test.name.clone(),
                calls: Some(test.call.len()),
                took: started.elapsed(),
                failure: failure?,
            };
            show(terminal, &outcome);
            outcomes.push(outcome);
        }
    }
    Ok(outcomes)
}

/// Runs a project's own tests. They are one test here: their output says which of them failed.
async fn run_own(terminal: &Terminal, own: &OwnTests) -> Outcome {
    terminal.step("Testing", &own.command);
    let started = Instant::now();
    let failure = own.run().await.err();
    let outcome = Outcome {
        file: own.file.display().to_string(),
        name: own.command.clone(),
        calls: None,
        took: started.elapsed(),
        failure,
    };
    if !terminal.is_json() {
        terminal.out(&outcome.file);
    }
    show(terminal, &outcome);
    outcome
}

async fn build(terminal: &Terminal, projects: &[Project]) -> Result<Vec<Built>, Error> {
    let mut all = Vec::new();
    let mut builder = Builder::new(terminal.quiet, false);
    for (project, manifest, kind) in kinds(projects) {
        let name = kind.spec.name.as_str();
        terminal.step("Building", name);
        let say = |line: &str| terminal.note(line);
        let built = builder.build(project, kind, &say).await;
        all.push(built.map_err(|error| build_error(&error, Some(&manifest.path)))?);
    }
    Ok(all)
}

async fn deploy(terminal: &Terminal, client: &Client, built: &Built) -> Result<(), Error> {
    let name = built.kind.spec.name.as_str();
    let wheel = terminal.wheel("Deploying", name);
    let done = async {
        upload(client, terminal, name, built.digest, &built.bytes).await?;
        revise(client, built, "").await.map(drop)
    };
    let done = done.await;
    wheel.finish_and_clear();
    done
}

/// Runs the calls of a test up to the first that is not as expected, on grains without state.
async fn run(client: &Client, test: &Test) -> Result<Option<String>, Error> {
    for call in &test.call {
        erase(client, call).await?;
    }
    for (at, call) in test.call.iter().enumerate() {
        if let Some(wrong) = make(client, call).await? {
            let args = &call.args;
            return Ok(Some(format!(
                "call {}: {} {} {args}: {wrong}",
                at + 1,
                call.grain,
                call.method
            )));
        }
    }
    Ok(None)
}

async fn erase(client: &Client, call: &Call) -> Result<(), Error> {
    let grain = parse_grain(&call.grain)?;
    let path = format!("/g/{}?purge=true", grain_path(&grain));
    match client.json(client.request(Method::DELETE, &path)).await {
        // A kind that is not there is told by the call itself.
        Err(error) if error.exit != Exit::NotFound => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Makes a call. Gives what is not as expected.
async fn make(client: &Client, call: &Call) -> Result<Option<String>, Error> {
    let grain = parse_grain(&call.grain)?;
    let path = format!("/g/{}/{}", grain_path(&grain), encode(&call.method));
    let request = client.request(Method::POST, &path).json(&call.args);
    let (expected, got, fits) = match client.json(request).await {
        Ok(value) => {
            let fits = match &call.ok {
                Some(expected) => same(expected, &value),
                None => call.err.is_none() && call.problem.is_none(),
            };
            (expectation(call), format!("{value}"), fits)
        }
        Err(error) => {
            let Some(problem) = &error.problem else {
                return Err(error);
            };
            let case = problem["type"]
                .as_str()
                .and_then(|url| url.rsplit('/').next())
                .unwrap_or_default();
            let is_err = case == "app-error";
            let fits = match (&call.err, &call.problem) {
                (Some(expected), _) => is_err && same(expected, &problem["error"]),
                (None, Some(expected)) => expected == case,
                (None, None) => false,
            };
            let got = if is_err {
                format!("err {}", problem["error"])
            } else {
                format!("{case}: {}", error.message)
            };
            (expectation(call), got, fits)
        }
    };
    Ok((!fits).then(|| format!("expected {expected}, got {got}")))
}

fn expectation(call: &Call) -> String {
    match (&call.ok, &call.err, &call.problem) {
        (Some(value), _, _) => value.to_string(),
        (None, Some(value), _) => format!("err {value}"),
        (None, None, Some(case)) => format!("the problem {case}"),
        (None, None, None) => "a result".to_owned(),
    }
}

fn show(terminal: &Terminal, outcome: &Outcome) {
    if terminal.is_json() {
        return;
    }
    let mark = match &outcome.failure {
        None => terminal.paint(Tone::Good, "pass"),
        Some(_) => terminal.paint(Tone::Bad, "FAIL"),
    };
    let calls = outcome.calls.map(|calls| format!("{calls} calls, "));
    let took = outcome.took.as_millis();
    let detail = format!("{}{took} ms", calls.unwrap_or_default());
    terminal.out(format!(
        "  {mark}  {}  {}",
        outcome.name,
        terminal.paint(Tone::Dim, &detail)
    ));
    if let Some(failure) = &outcome.failure {
        terminal.out(format!("        {}", failure.replace('\n', "\n        ")));
    }
}

fn report(terminal: &Terminal, outcomes: &[Outcome]) -> Result<(), Error> {
    let failed = outcomes
        .iter()
        .filter(|outcome| outcome.failure.is_some())
        .count();
    if terminal.is_json() {
        let list = outcomes.iter().map(|outcome| {
            json!({
                "file": outcome.file,
                "name": outcome.name,
                "passed": outcome.failure.is_none(),
                "calls": outcome.calls,
                "took_ms": u64::try_from(outcome.took.as_millis()).unwrap_or(u64::MAX),
                "failure": outcome.failure,
            })
        });
        terminal.json(&Value::Array(list.collect()));
    } else {
        terminal.out(format!(
            "{} passed, {failed} failed",
            outcomes.len() - failed
        ));
    }
    if failed == 0 {
        return Ok(());
    }
    let message = format!("{failed} of {} tests failed", outcomes.len());
    Err(Error::failure(
        message,
        "granary dev, and repeat the call by hand",
    ))
}
