//! The limits of a kind, on by default. A manifest may set each one up to its maximum.

use core::time::Duration;

use serde::{Deserialize, Serialize};

/// How much a grain of a kind may use. Sizes are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Linear memories and tables of one activation.
    pub memory: u64,
    /// Guest CPU time of one turn; time in which the guest waits for the host is not counted.
    pub cpu_time: Duration,
    /// Wall-clock time of one turn, from its start to its commit. A longer one is dropped.
    pub wall_time: Duration,
    /// How long a caller waits unless it says otherwise.
    pub call_timeout: Duration,
    /// Calls that wait in one grain's mailbox.
    pub mailbox_calls: u32,
    /// Bytes of arguments that wait in one grain's mailbox.
    pub mailbox_bytes: u64,
    /// Bytes of one call's arguments as they arrive.
    pub arguments: u64,
    /// Bytes of one call's result as it leaves.
    pub result: u64,
    /// Bytes that decoded arguments or a result may take on the host.
    pub host_memory: u64,
    /// Bytes of one state value.
    pub state_value: u64,
    /// Bytes of a grain's whole state, keys included.
    pub state_total: u64,
    /// One-way messages that one turn may send.
    pub sends: u32,
    /// Bytes of log a second and grain; what goes over is dropped and counted.
    pub log_rate: u32,
    /// How long an activation may rest before it is dropped.
    pub idle: Duration,
    /// Time for instantiation, `migrate` and `activate`.
    pub activation_time: Duration,
    /// Time for `deactivate`.
    pub deactivation_time: Duration,
    /// Bytes of a request's body that streams into a turn: of raw HTTP (`wasi:http`), or for a `stream<u8>`. It is never held whole.
    pub http_body: u64,
    /// How long a turn may go on after its answer: the work of an async guest, for which the answer waits, or the rest of an HTTP response.
    #[serde(default = "tail_time")]
    pub tail_time: Duration,
}

/// What kinds have that were kept before there was this limit.
fn tail_time() -> Duration {
    Limits::DEFAULT.tail_time
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

impl Limits {
    /// What holds where a manifest says nothing.
    pub const DEFAULT: Self = Self {
        memory: 64 * MIB,
        cpu_time: Duration::from_secs(1),
        wall_time: Duration::from_secs(60),
        call_timeout: Duration::from_secs(30),
        mailbox_calls: 1024,
        mailbox_bytes: 8 * MIB,
        arguments: 4 * MIB,
        result: 4 * MIB,
        // A byte of a `list<u8>` takes 40 of these while it is passed: whatever fits `arguments` and `result` must pass.
        host_memory: 192 * MIB,
        state_value: MIB,
        state_total: 256 * MIB,
        sends: 1000,
        log_rate: 65_536,
        idle: Duration::from_secs(300),
        activation_time: Duration::from_secs(30),
        deactivation_time: Duration::from_secs(10),
        http_body: 64 * MIB,
        tail_time: Duration::from_secs(5),
    };

    /// The most that a manifest may ask for.
    pub const MAX: Self = Self {
        memory: 256 * MIB,
        cpu_time: Duration::from_secs(10),
        wall_time: Duration::from_secs(3600),
        call_timeout: Duration::from_secs(3600),
        mailbox_calls: 65_536,
        mailbox_bytes: 256 * MIB,
        arguments: 64 * MIB,
        result: 64 * MIB,
        host_memory: 1024 * MIB,
        state_value: 16 * MIB,
        state_total: 1024 * MIB,
        sends: 100_000,
        log_rate: 16_777_216,
        idle: Duration::from_secs(7 * 24 * 3600),
        activation_time: Duration::from_secs(300),
        deactivation_time: Duration::from_secs(300),
        http_body: 1024 * MIB,
        tail_time: Duration::from_secs(60),
    };

    /// The least that still makes sense.
    pub const MIN: Self = Self {
        memory: MIB,
        cpu_time: Duration::from_millis(5),
        wall_time: Duration::from_millis(10),
        call_timeout: Duration::from_millis(1),
        mailbox_calls: 1,
        mailbox_bytes: KIB,
        arguments: 64,
        result: 64,
        host_memory: 64 * KIB,
        state_value: 1,
        state_total: KIB,
        sends: 0,
        log_rate: 0,
        idle: Duration::from_secs(1),
        activation_time: Duration::from_millis(10),
        deactivation_time: Duration::from_millis(10),
        http_body: 0,
        tail_time: Duration::from_millis(10),
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The longest state key, in bytes.
pub const STATE_KEY_BYTES_MAX: usize = 512;
/// The most entries of one page of a state listing.
pub const STATE_PAGE_ENTRIES_MAX: u32 = 1000;
/// The most bytes of one page of a state listing.
pub const STATE_PAGE_BYTES_MAX: usize = 1 << 20;
/// The most grains in a call chain.
pub const CHAIN_GRAINS_MAX: usize = 64;
/// The most bytes of a call's baggage, names included.
pub const BAGGAGE_BYTES_MAX: usize = 8 << 10;
/// The longest idempotency key, in bytes.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 256;
/// How long the answer under an idempotency key is kept.
pub const IDEMPOTENCY_RETENTION: Duration = Duration::from_secs(24 * 3600);
/// The largest component that may be uploaded, in bytes.
pub const COMPONENT_BYTES_MAX: u64 = 64 << 20;
/// The deepest JSON value.
pub const JSON_DEPTH_MAX: usize = 64;
/// The most nodes of a JSON value.
pub const JSON_NODES_MAX: usize = 1_000_000;
/// Revisions of one kind that are kept for rollback.
pub const REVISIONS_KEPT: usize = 32;
