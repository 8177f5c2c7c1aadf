//! Findings, as a table for people and as JSON for those who keep them.

use comfy_table::{Table, presets};
use serde::Serialize;
use serde_json::{Value, json};

/// One figure, with its target if it was promised.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Finding {
    /// Which cell found it.
    pub(crate) cell: &'static str,
    /// What it is.
    pub(crate) what: String,
    /// The figure.
    pub(crate) value: f64,
    /// What it is in.
    pub(crate) unit: &'static str,
    /// What was promised.
    pub(crate) target: Option<Target>,
    /// What else is worth knowing.
    pub(crate) note: String,
}

/// What was promised of a figure.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Target {
    /// No less than this.
    AtLeast(f64),
    /// No more than this.
    AtMost(f64),
}

impl Finding {
    /// A figure about which nothing was promised.
    pub(crate) fn new(
        cell: &'static str,
        what: impl Into<String>,
        value: f64,
        unit: &'static str,
    ) -> Self {
        Self {
            cell,
            what: what.into(),
            value,
            unit,
            target: None,
            note: String::new(),
        }
    }

    /// With what was promised.
    pub(crate) fn promised(self, target: Target) -> Self {
        Self {
            target: Some(target),
            ..self
        }
    }

    /// With a note.
    pub(crate) fn noting(self, note: impl ToString) -> Self {
        Self {
            note: note.to_string(),
            ..self
        }
    }

    /// Whether the promise is kept; none where there is none.
    pub(crate) fn met(&self) -> Option<bool> {
        self.target.map(|target| match target {
            Target::AtLeast(least) => least <= self.value,
            Target::AtMost(most) => self.value <= most,
        })
    }
}

/// The findings for people.
pub(crate) fn table(findings: &[Finding]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_HORIZONTAL_ONLY)
        .set_header(["cell", "what", "found", "promised", "", "note"]);
    for finding in findings {
        let promised = match finding.target {
            None => String::new(),
            Some(Target::AtLeast(least)) => format!("≥ {least} {}", finding.unit),
            Some(Target::AtMost(most)) => format!("≤ {most} {}", finding.unit),
        };
        let verdict = match finding.met() {
            None => "",
            Some(true) => "kept",
            Some(false) => "MISSED",
        };
        let found = format!("{} {}", rounded(finding.value), finding.unit);
        table.add_row([
            finding.cell,
            &finding.what,
            &found,
            &promised,
            verdict,
            &finding.note,
        ]);
    }
    table
}

/// Three figures that count; more would pretend.
fn rounded(value: f64) -> String {
    let digits = match value.abs() {
        large if 100.0 <= large => 0,
        middle if 10.0 <= middle => 1,
        _ => 2,
    };
    format!("{value:.digits$}")
}

/// The findings for programs.
pub(crate) fn document(findings: &[Finding], quick: bool) -> Value {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let figures: Vec<Value> = findings
        .iter()
        .map(|finding| {
            let mut figure = serde_json::to_value(finding).unwrap_or_default();
            figure["kept"] = json!(finding.met());
            figure
        })
        .collect();
    json!({ "quick": quick, "cores": cores, "findings": figures })
}
