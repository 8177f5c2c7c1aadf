//! The command line. A client talks to its node over HTTP only; `up` and `dev` are the node.
//!
//! Read in this order.

pub mod backup;
pub mod client;
pub mod deploy;
pub mod dev;
pub mod doctor;
pub mod downing;
pub mod exit;
pub mod follow;
pub mod inspect;
pub mod invoke;
pub mod node;
pub mod project;
pub mod sample;
pub mod settings;
pub mod sim;
pub mod state;
pub mod stream;
pub mod terminal;
pub mod test;
pub mod toolchain;
pub mod upload;
pub mod wit;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::cli::client::{Address, Client};
use crate::cli::exit::{Error, Exit};
use crate::cli::terminal::{Format, Terminal};

const EXAMPLES: &str = "\
Begin here:
  granary dev sample-grains                  build, run, watch; prints curl lines
  granary new shopping-list --lang go        a project of your own, in one of seven languages
  granary invoke counter/visits increment 5  call a method
  granary doctor                             what is missing on this machine

Exit codes: 0 good, 1 failed, 2 wrong usage, 3 refused by a gate or halted, 4 not found, 5 denied, 6 timed out, 7 no node answers";

/// Runs WebAssembly components as grains: each kind/key is one live thing with its own durable state.
#[derive(Debug, Parser)]
#[command(name = "granary", version, about, after_help = EXAMPLES, max_term_width = 120, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "For every command")]
struct Global {
    /// The node to talk to
    #[arg(
        long,
        global = true,
        env = "GRANARY_URL",
        default_value = "http://127.0.0.1:7420",
        value_name = "URL"
    )]
    url: String,
    /// A bearer token for it
    #[arg(
        long,
        global = true,
        env = "GRANARY_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    token: Option<String>,
    /// A certificate to trust besides the usual ones, PEM
    #[arg(long, global = true, env = "GRANARY_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// How to print results
    #[arg(
        long,
        short,
        global = true,
        env = "GRANARY_OUTPUT",
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    output: Format,
    /// Print results and errors only
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Print no colours (NO_COLOR does the same)
    #[arg(long, global = true)]
    no_color: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build projects, run them on a node in this process, and redeploy what changes
    Dev(dev::DevArgs),
    /// Run a node as node.toml says
    Up(node::UpArgs),
    /// Write a small project to start from
    New(project::NewArgs),
    /// Build a project's components and look at them
    Build(project::BuildArgs),
    /// Build a project and run its tests on a node of their own
    Test(test::TestArgs),
    /// Build, upload and make a new revision of each kind
    Deploy(deploy::DeployArgs),
    /// Make an earlier revision of a kind the current one
    Rollback(deploy::RollbackArgs),
    /// Call a method of a grain and print its result
    Invoke(invoke::InvokeArgs),
    /// Look at, wait for or cancel an asynchronous call
    #[command(subcommand)]
    Call(invoke::CallCommand),
    /// List kinds, live activations, or grains with state
    Ls(inspect::LsArgs),
    /// Show a kind with its methods and revisions, or a grain
    Get {
        /// KIND, or KIND/KEY
        #[arg(value_name = "KIND[/KEY]")]
        what: String,
    },
    /// Say why a grain does what it does: its turn, who waits, its last failure
    Explain {
        /// The grain: kind/key
        grain: String,
    },
    /// Print what guests print
    Logs(follow::LogsArgs),
    /// Print what happens on the node
    Events(follow::EventsArgs),
    /// Look at and change what grains keep; back it up
    #[command(subcommand)]
    State(state::StateCommand),
    /// Show a kind's interface, or what two revisions differ in
    #[command(subcommand)]
    Wit(wit::WitCommand),
    /// Print a kind's OpenAPI document
    Openapi {
        /// The kind
        kind: String,
        /// A revision; the current one unless given
        #[arg(long, value_name = "REVISION")]
        revision: Option<u64>,
    },
    /// Let a grain finish its turn, then drop it from memory
    Deactivate {
        /// The grain: kind/key
        grain: String,
        /// Erase its state, too
        #[arg(long)]
        purge: bool,
    },
    /// Find, install and check what builds grains of each language
    #[command(subcommand)]
    Toolchain(toolchain::ToolchainCommand),
    /// Check this machine and the node, and say what to do
    Doctor(doctor::DoctorArgs),
    /// Explain and check settings
    #[command(subcommand)]
    Config(settings::ConfigCommand),
    /// Run a cluster that exists only in memory: scenarios with faults, and what must then hold
    #[command(subcommand)]
    Sim(sim::SimCommand),
    /// Ask what would become of a partition
    #[command(subcommand)]
    Downing(downing::DowningCommand),
    /// Print a completion script for a shell
    #[command(
        after_help = "Example:\n  granary completion bash > ~/.local/share/bash-completion/completions/granary"
    )]
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return wrong_usage(&error),
    };
    let terminal = Terminal::new(cli.global.output, cli.global.quiet, cli.global.no_color);
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            terminal.error(&Error::caused(
                Exit::Failure,
                &error,
                "close other programs: the system gives no more threads",
            ));
            return ExitCode::from(Exit::Failure as u8);
        }
    };
    match runtime.block_on(run(cli, &terminal)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal.error(&error);
            ExitCode::from(error.exit as u8)
        }
    }
}

/// Help and the version go to standard output; a slip gets clap's own words and what to try.
fn wrong_usage(error: &clap::Error) -> ExitCode {
    let terminal = Terminal::new(Format::Table, false, false);
    if !error.use_stderr() {
        terminal.out(error.render().to_string().trim_end());
        return ExitCode::SUCCESS;
    }
    let text = error.render().to_string();
    let heart = text
        .trim_start_matches("error: ")
        .lines()
        .take_while(|line| !line.starts_with("For more information"));
    let message: Vec<&str> = heart.collect();
    let command = std::env::args()
        .nth(1)
        .filter(|word| Cli::command().find_subcommand(word).is_some());
    let hint = command.map_or_else(
        || "granary help".to_owned(),
        |command| format!("granary help {command}"),
    );
    terminal.error(&Error::usage(message.join("\n").trim_end(), hint));
    ExitCode::from(Exit::Usage as u8)
}

async fn run(cli: Cli, terminal: &Terminal) -> Result<(), Error> {
    let Global { url, token, ca, .. } = cli.global;
    let address = Address { url, token, ca };
    let client = || Client::new(&address);
    match cli.command {
        Command::Dev(args) => dev::dev(terminal, &args).await,
        Command::Up(args) => node::up(terminal, &args).await,
        Command::New(args) => project::new(terminal, &args).await,
        Command::Build(args) => project::build(client()?, terminal, &args).await,
        Command::Test(args) => test::test(terminal, &args).await,
        Command::Deploy(args) => deploy::deploy(&client()?, terminal, &args).await,
        Command::Rollback(args) => deploy::rollback(&client()?, terminal, &args).await,
        Command::Invoke(args) => invoke::invoke(&client()?, terminal, &args).await,
        Command::Call(command) => invoke::call(&client()?, terminal, &command).await,
        Command::Ls(args) => inspect::ls(&client()?, terminal, &args).await,
        Command::Get { what } => inspect::get(&client()?, terminal, &what).await,
        Command::Explain { grain } => inspect::explain(&client()?, terminal, &grain).await,
        Command::Logs(args) => follow::logs(&client()?, terminal, &args).await,
        Command::Events(args) => follow::events(&client()?, terminal, &args).await,
        Command::State(command) => state::run(&client()?, terminal, &command).await,
        Command::Wit(command) => wit::wit(&client()?, terminal, &command).await,
        Command::Openapi { kind, revision } => {
            wit::openapi(&client()?, terminal, &kind, revision).await
        }
        Command::Deactivate { grain, purge } => {
            inspect::deactivate(&client()?, terminal, &grain, purge).await
        }
        Command::Doctor(args) => doctor::doctor(&client()?, terminal, &args).await,
        Command::Toolchain(command) => toolchain::run(terminal, &command).await,
        Command::Config(command) => settings::run(terminal, &command),
        Command::Sim(command) => sim::sim(terminal, &command),
        Command::Downing(command) => downing::run(terminal, &command),
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "granary", &mut script);
            terminal.out_bytes(&script);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Cli, String> {
        Cli::try_parse_from(line.split(' ')).map_err(|e| e.to_string())
    }

    #[test]
    fn the_commands_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_stand_before_or_after_the_command() {
        for line in [
            "granary --url http://a:1 -q ls -o json",
            "granary ls --url http://a:1 --quiet --output json",
        ] {
            let cli = parse(line).unwrap();
            assert_eq!(
                (cli.global.url.as_str(), cli.global.quiet, cli.global.output),
                ("http://a:1", true, Format::Json)
            );
        }
    }

    #[test]
    fn options_stand_behind_arguments_and_negative_numbers_are_none() {
        let cli = parse("granary invoke counter/a increment -5 x --key k --timeout 5s").unwrap();
        let Command::Invoke(args) = cli.command else {
            panic!("{:?}", cli.command)
        };
        let shown = format!("{args:?}");
        assert!(
            shown.contains("[\"-5\", \"x\"]") && shown.contains("Some(\"k\")"),
            "{shown}"
        );
    }

    #[test]
    fn every_command_has_a_line_of_help() {
        for command in Cli::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
        }
    }
}
