//! How much happened: counters and histograms, made once and then only added to. Rendered in the Prometheus text form.
//!
//! Every label value comes from a closed list or from the catalogue of kinds, never from a request, so that nobody outside can grow
//! the page. Each node has a recorder of its own; none is global.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use granary_core::error::CallError;
use granary_core::id::KindName;
use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder, SharedString, Unit,
};
use metrics_exporter_prometheus::{
    BuildError, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use parking_lot::RwLock;

/// Upper bounds of the histograms' buckets, in seconds: from a warm call to a deadline.
const SECONDS: [f64; 16] = [
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025,
    0.1, 0.5, 2.5, 10.0, 30.0,
];

/// Kinds that get label values of their own; those beyond share one.
const KINDS_MAX: usize = 1000;

/// How a call ended: `ok` and every error's name, in the order of [`outcome_index`].
const OUTCOMES: [&str; 14] = [
    "ok",
    "overloaded",
    "deadlock",
    "timeout",
    "cancelled",
    "denied",
    "not-found",
    "invalid",
    "guest-trap",
    "limit-exceeded",
    "conflict",
    "unavailable",
    "unknown-outcome",
    "app",
];

/// All numbers of a node.
pub struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    kinds: RwLock<HashMap<KindName, Arc<KindMetrics>>>,
    others: Arc<KindMetrics>,
    /// Calls for kinds that do not exist, and the like.
    pub calls_astray: Counter,
    /// HTTP requests being served.
    pub http_in_flight: Gauge,
    /// Open connections.
    pub http_connections: Gauge,
    /// HTTP answers by class: index 0 is 1xx … index 4 is 5xx.
    pub http_answers: [Counter; 5],
    /// HTTP requests turned away because too many were being served.
    pub http_shed: Counter,
    /// How long commits take, from hand-over to durable.
    pub commit_seconds: Histogram,
    /// Live activations.
    pub activations: Gauge,
    /// Instance slots in use.
    pub slots_in_use: Gauge,
}

/// The numbers of one kind.
pub struct KindMetrics {
    calls: [Counter; OUTCOMES.len()],
    seconds: Histogram,
    /// Guest CPU time, in microseconds.
    pub cpu_microseconds: Counter,
    /// Activations begun.
    pub activations: Counter,
    /// Calls that a full mailbox refused.
    pub mailbox_rejects: Counter,
    /// Log bytes dropped because a grain wrote more than its `log-rate`.
    pub log_drops_bytes: Counter,
}

impl KindMetrics {
    /// Counts a call that ended, and how long its caller waited.
    pub fn called(&self, error: Option<&CallError>, took: Duration) {
        self.calls[outcome_index(error)].increment(1);
        self.seconds.record(took.as_secs_f64());
    }

    /// Adds guest CPU time.
    pub fn cpu(&self, used: Duration) {
        self.cpu_microseconds
            .increment(u64::try_from(used.as_micros()).unwrap_or(u64::MAX));
    }
}

impl Metrics {
    /// A recorder of its own, labelled with the node's name. Errors: only where a constant of this file is wrong.
    pub fn new(node: &str) -> Result<Self, BuildError> {
        let recorder = PrometheusBuilder::new()
            .add_global_label("node", node)
            .set_buckets(&SECONDS)?
            .build_recorder();
        let handle = recorder.handle();
        describe(&recorder);
        let class = |class: &'static str| {
            counter(&recorder, "granary_http_answers_total", &[("class", class)])
        };
        Ok(Self {
            kinds: RwLock::default(),
            others: Arc::new(kind_metrics(&recorder, "(other)".into())),
            calls_astray: counter(&recorder, "granary_calls_astray_total", &[]),
            http_in_flight: gauge(&recorder, "granary_http_in_flight"),
            http_connections: gauge(&recorder, "granary_http_connections"),
            http_answers: [
                class("1xx"),
                class("2xx"),
                class("3xx"),
                class("4xx"),
                class("5xx"),
            ],
            http_shed: counter(&recorder, "granary_http_shed_total", &[]),
            commit_seconds: recorder
                .register_histogram(&Key::from_static_name("granary_commit_seconds"), &METADATA),
            activations: gauge(&recorder, "granary_activations"),
            slots_in_use: gauge(&recorder, "granary_slots_in_use"),
            recorder,
            handle,
        })
    }

    /// The numbers of a kind. Ask only for kinds that exist.
    pub fn kind(&self, name: &KindName) -> Arc<KindMetrics> {
        if let Some(kind) = self.kinds.read().get(name) {
            return Arc::clone(kind);
        }
        let mut kinds = self.kinds.write();
        if KINDS_MAX <= kinds.len() && !kinds.contains_key(name) {
            return Arc::clone(&self.others);
        }
        let make = || {
            Arc::new(kind_metrics(
                &self.recorder,
                name.as_str().to_owned().into(),
            ))
        };
        Arc::clone(kinds.entry(name.clone()).or_insert_with(make))
    }

    /// The page for Prometheus.
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Moves recorded samples into their buckets. Whoever serves calls this every few seconds: until then every sample of a histogram is
    /// kept by itself.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics")
            .field("kinds", &self.kinds.read().len())
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for KindMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KindMetrics").finish_non_exhaustive()
    }
}

fn outcome_index(error: Option<&CallError>) -> usize {
    match error {
        None => 0,
        Some(CallError::Overloaded { .. }) => 1,
        Some(CallError::Deadlock { .. }) => 2,
        Some(CallError::Timeout { .. }) => 3,
        Some(CallError::Cancelled { .. }) => 4,
        Some(CallError::Denied { .. }) => 5,
        Some(CallError::NotFound { .. }) => 6,
        Some(CallError::Invalid { .. }) => 7,
        Some(CallError::GuestTrap { .. }) => 8,
        Some(CallError::LimitExceeded { .. }) => 9,
        Some(CallError::Conflict { .. }) => 10,
        Some(CallError::Unavailable { .. }) => 11,
        Some(CallError::UnknownOutcome { .. }) => 12,
        Some(CallError::App { .. }) => 13,
    }
}

static METADATA: Metadata<'static> = Metadata::new("granary", Level::INFO, None);

fn counter(
    recorder: &PrometheusRecorder,
    name: &'static str,
    labels: &[(&'static str, &'static str)],
) -> Counter {
    let labels = labels
        .iter()
        .map(|(name, value)| Label::from_static_parts(name, value))
        .collect::<Vec<_>>();
    recorder.register_counter(&Key::from_parts(name, labels), &METADATA)
}

fn gauge(recorder: &PrometheusRecorder, name: &'static str) -> Gauge {
    recorder.register_gauge(&Key::from_static_name(name), &METADATA)
}

fn kind_metrics(recorder: &PrometheusRecorder, kind: SharedString) -> KindMetrics {
    let label = Label::new("kind", kind);
    let counter = |name: &'static str| {
        recorder.register_counter(&Key::from_parts(name, vec![label.clone()]), &METADATA)
    };
    let calls = OUTCOMES.map(|outcome| {
        let labels = vec![label.clone(), Label::from_static_parts("outcome", outcome)];
        recorder.register_counter(&Key::from_parts("granary_calls_total", labels), &METADATA)
    });
    let seconds = Key::from_parts("granary_call_seconds", vec![label.clone()]);
    KindMetrics {
        calls,
        seconds: recorder.register_histogram(&seconds, &METADATA),
        cpu_microseconds: counter("granary_guest_cpu_microseconds_total"),
        activations: counter("granary_activations_total"),
        mailbox_rejects: counter("granary_mailbox_rejects_total"),
        log_drops_bytes: counter("granary_log_dropped_bytes_total"),
    }
}

fn describe(recorder: &PrometheusRecorder) {
    let counters = [
        (
            "granary_calls_total",
            "Calls that ended, by kind and outcome.",
        ),
        (
            "granary_calls_astray_total",
            "Calls for a kind that does not exist.",
        ),
        (
            "granary_guest_cpu_microseconds_total",
            "Guest CPU time, in microseconds.",
        ),
        ("granary_activations_total", "Activations begun."),
        (
            "granary_mailbox_rejects_total",
            "Calls that a full mailbox refused.",
        ),
        (
            "granary_log_dropped_bytes_total",
            "Log bytes dropped over a grain's log-rate.",
        ),
        (
            "granary_http_answers_total",
            "HTTP answers by class of status.",
        ),
        (
            "granary_http_shed_total",
            "HTTP requests refused because too many were being served.",
        ),
    ];
    for (name, text) in counters {
        recorder.describe_counter(KeyName::from_const_str(name), None, text.into());
    }
    let gauges = [
        ("granary_http_in_flight", "HTTP requests being served."),
        ("granary_http_connections", "Open connections."),
        ("granary_activations", "Live activations."),
        ("granary_slots_in_use", "Instance slots in use."),
    ];
    for (name, text) in gauges {
        recorder.describe_gauge(KeyName::from_const_str(name), None, text.into());
    }
    let histograms = [
        ("granary_call_seconds", "How long callers waited, by kind."),
        (
            "granary_commit_seconds",
            "How long a commit took until it was durable.",
        ),
    ];
    for (name, text) in histograms {
        recorder.describe_histogram(
            KeyName::from_const_str(name),
            Some(Unit::Seconds),
            text.into(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_the_label_of_its_name() {
        let detail = String::new;
        let errors = [
            CallError::Overloaded { detail: detail() },
            CallError::Deadlock { cycle: Vec::new() },
            CallError::Timeout {
                detail: detail(),
                started: true,
            },
            CallError::Cancelled { detail: detail() },
            CallError::Denied { detail: detail() },
            CallError::NotFound { detail: detail() },
            CallError::Invalid {
                pointer: detail(),
                detail: detail(),
            },
            CallError::GuestTrap {
                detail: detail(),
                backtrace: Vec::new(),
            },
            CallError::LimitExceeded {
                limit: granary_core::error::LimitName::Memory,
                detail: detail(),
            },
            CallError::Conflict { detail: detail() },
            CallError::Unavailable { detail: detail() },
            CallError::UnknownOutcome { detail: detail() },
            CallError::App {
                value: detail(),
                rolled_back: false,
            },
        ];
        for error in &errors {
            assert_eq!(OUTCOMES[outcome_index(Some(error))], error.name());
        }
        assert_eq!(OUTCOMES[outcome_index(None)], "ok");
    }

    #[test]
    fn calls_show_up_on_the_page_and_kinds_beyond_the_bound_share_a_label() {
        let metrics = Metrics::new("n1").unwrap();
        let cart = KindName::parse("cart").unwrap();
        metrics.kind(&cart).called(None, Duration::from_micros(30));
        metrics.kind(&cart).cpu(Duration::from_millis(2));
        for at in 0..KINDS_MAX + 10 {
            metrics
                .kind(&KindName::parse(&format!("k{at}")).unwrap())
                .activations
                .increment(1);
        }
        metrics.upkeep();
        let page = metrics.render();
        assert!(
            page.contains(r#"granary_calls_total{node="n1",kind="cart",outcome="ok"} 1"#),
            "{page}"
        );
        assert!(
            page.contains(r#"granary_call_seconds_bucket{node="n1",kind="cart",le="0.00005"} 1"#)
        );
        assert!(
            page.contains(r#"granary_guest_cpu_microseconds_total{node="n1",kind="cart"} 2000"#)
        );
        assert!(page.contains(r#"granary_activations_total{node="n1",kind="(other)"} 11"#));
    }
}
