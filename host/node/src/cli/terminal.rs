//! What a command prints: results to standard output, everything else to standard error.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

use crate::cli::exit::Error;

/// How results are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables and sentences, for people.
    #[default]
    Table,
    /// JSON, for programs.
    Json,
}

/// Where a command prints to, and how.
#[derive(Debug, Clone)]
pub struct Terminal {
    /// How results are printed.
    pub format: Format,
    /// Print results and errors only.
    pub quiet: bool,
    color_out: bool,
    color_err: bool,
}

/// A colour with a meaning.
#[derive(Debug, Clone, Copy)]
pub enum Tone {
    /// Something is wrong.
    Bad,
    /// Something deserves a look.
    Warn,
    /// Something is as it should be.
    Good,
    /// Something matters less.
    Dim,
    /// Something matters more.
    Strong,
}

impl Tone {
    fn code(self) -> &'static str {
        match self {
            Self::Bad => "31",
            Self::Warn => "33",
            Self::Good => "32",
            Self::Dim => "2",
            Self::Strong => "1",
        }
    }
}

impl Terminal {
    /// Colours only where a person looks and did not ask for none.
    pub fn new(format: Format, quiet: bool, no_color: bool) -> Self {
        let plain = no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            format,
            quiet,
            color_out: !plain && std::io::stdout().is_terminal(),
            color_err: !plain && std::io::stderr().is_terminal(),
        }
    }

    /// Whether results are for programs.
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// A line of the result.
    pub fn out(&self, line: impl AsRef<str>) {
        let mut stdout = std::io::stdout().lock();
        if writeln!(stdout, "{}", line.as_ref())
            .and_then(|()| stdout.flush())
            .is_err()
        {
            // The reader is gone (`granary ls | head`): nobody is left to tell.
            std::process::exit(0);
        }
    }

    /// Bytes of the result, as they are.
    pub fn out_bytes(&self, bytes: &[u8]) {
        let mut stdout = std::io::stdout().lock();
        if stdout
            .write_all(bytes)
            .and_then(|()| stdout.flush())
            .is_err()
        {
            std::process::exit(0);
        }
    }

    /// A JSON result: indented where a person looks.
    pub fn json(&self, value: &Value) {
        let pretty = std::io::stdout().is_terminal();
        let text = if pretty {
            serde_json::to_string_pretty(value)
        } else {
            serde_json::to_string(value)
        };
        self.out(text.unwrap_or_default());
    }

    /// A line for people, beside the result.
    pub fn note(&self, line: impl AsRef<str>) {
        if !self.quiet {
            self.err(line);
        }
    }

    /// A step of something longer: `   building counter`.
    pub fn step(&self, word: &str, rest: impl AsRef<str>) {
        self.note(format!(
            "{} {}",
            self.paint_err(Tone::Good, &format!("{word:>12}")),
            rest.as_ref()
        ));
    }

    /// An error, with what to try. Programs get the node's own JSON.
    pub fn error(&self, error: &Error) {
        if self.is_json() {
            let own = || serde_json::json!({ "title": error.message, "try": error.hint, "exit": error.exit as u8 });
            self.err(error.problem.clone().unwrap_or_else(own).to_string());
            return;
        }
        self.err(format!(
            "{} {}",
            self.paint_err(Tone::Bad, "error:"),
            error.message
        ));
        self.err(format!(
            "{} {}",
            self.paint_err(Tone::Strong, "try:"),
            error.hint
        ));
    }

    /// A warning.
    pub fn warn(&self, line: impl AsRef<str>) {
        self.err(format!(
            "{} {}",
            self.paint_err(Tone::Warn, "warning:"),
            line.as_ref()
        ));
    }

    /// A text for standard output, coloured where a person looks.
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        paint(self.color_out, tone, text)
    }

    /// A text for standard error, coloured where a person looks.
    pub fn paint_err(&self, tone: Tone, text: &str) -> String {
        paint(self.color_err, tone, text)
    }

    /// A table without frames: easy to read, easy to cut. Nothing but the head where there are no rows.
    pub fn table(&self, head: &[&str], rows: Vec<Vec<String>>) {
        let mut table = Table::new();
        table
            .load_preset(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Dynamic);
        if !std::io::stdout().is_terminal() {
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
        table.set_header(head.iter().map(|name| self.paint(Tone::Dim, name)));
        for row in rows {
            table.add_row(row);
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        for line in table.lines() {
            self.out(line.trim_end());
        }
    }

    /// A progress bar over bytes; hidden unless a person looks.
    pub fn bytes_bar(&self, what: &str, total: u64) -> ProgressBar {
        let style = ProgressStyle::with_template(
            "{prefix:>12.green} {msg} {wide_bar} {bytes}/{total_bytes} {eta}",
        );
        let bar = self.bar(ProgressBar::new(total), style);
        bar.set_prefix("Uploading");
        bar.set_message(what.to_owned());
        bar
    }

    /// A turning wheel for work of unknown length; hidden unless a person looks.
    pub fn wheel(&self, prefix: &'static str, what: &str) -> ProgressBar {
        let bar = self.bar(
            ProgressBar::new_spinner(),
            ProgressStyle::with_template("{prefix:>12.green} {msg} {spinner} {elapsed}"),
        );
        bar.set_prefix(prefix);
        bar.set_message(what.to_owned());
        if !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        bar
    }

    fn bar(
        &self,
        bar: ProgressBar,
        style: Result<ProgressStyle, indicatif::style::TemplateError>,
    ) -> ProgressBar {
        let hidden = self.quiet || self.is_json() || !self.color_err;
        bar.set_draw_target(if hidden {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        });
        match style {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        }
    }

    fn err(&self, line: impl AsRef<str>) {
        let mut stderr = std::io::stderr().lock();
        // Where not even an error can be printed, the exit code has to do.
        drop(writeln!(stderr, "{}", line.as_ref()));
    }
}

fn paint(color: bool, tone: Tone, text: &str) -> String {
    if color {
        format!("\u{1b}[{}m{text}\u{1b}[0m", tone.code())
    } else {
        text.to_owned()
    }
}

/// The text of a JSON value in a table: no quotes around texts, a dash for nothing.
pub fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// How long ago a moment was, roughly.
pub fn ago(then_ms: u64) -> String {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    rough(now.saturating_sub(Duration::from_millis(then_ms)))
}

/// A period to one unit: `3s`, `5m`, `2h`, `4d`.
pub fn rough(period: Duration) -> String {
    let seconds = period.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86400 => format!("{}h", seconds / 3600),
        86400.. => format!("{}d", seconds / 86400),
    }
}

/// Bytes for people.
pub fn bytes(count: u64) -> String {
    indicatif::HumanBytes(count).to_string()
}
