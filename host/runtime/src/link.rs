//! A component together with its grants: ready to be instantiated.

mod exports;
pub(crate) mod granted;

use std::sync::Arc;

use granary_core::error::{CallError, LimitName};
use granary_core::id::KindName;
use granary_core::kind::KindSpec;
use wasmtime::Store;
use wasmtime::component::InstancePre;

pub(crate) use exports::Exports;
pub(crate) use granted::Granted;

use crate::engine::GuestEngine;
use crate::engine::capacity::Places;
use crate::engine::lane::SlowLane;
use crate::guest::Guest;
use crate::guest::meter::Meter;
use crate::instance::guard::{Guarded, Stopped};
use crate::instance::live::Live;
use crate::instance::{failure, interrupt};
use crate::{ClientImport, Component, Instance, Seat, imports};

/// Why a component and a manifest do not fit together. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The component needs something that the manifest does not grant.
    #[error("the component imports {import}, which is not granted; add to its manifest:\n{grant}")]
    Ungranted {
        /// The import.
        import: String,
        /// The manifest lines that would grant it.
        grant: String,
    },
    /// Nothing on this node offers an import in the shape that the component wants.
    #[error("an import cannot be satisfied: {why}")]
    Import {
        /// Which, and what does not fit.
        why: String,
    },
    /// An export of ours has another type.
    #[error("the export {export} has another type than this host's: {why}")]
    Hook {
        /// The export.
        export: String,
        /// What does not fit.
        why: String,
    },
    /// A granted directory cannot be opened.
    #[error("the granted directory {path} cannot be opened: {why}")]
    Directory {
        /// The directory on the node.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// A rule of the HTTP allow list makes no sense.
    #[error("the HTTP grant '{rule}' is not usable: {why}")]
    Http {
        /// The rule.
        rule: String,
        /// What is wrong with it.
        why: String,
    },
    /// A limit that this component cannot live with.
    #[error("limits.{limit} is too small for this component: {why}")]
    Limit {
        /// The manifest key under `[limits]`.
        limit: &'static str,
        /// What it needs.
        why: String,
    },
}

/// What all instances of a runtime share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) engine: Arc<GuestEngine>,
    pub(crate) places: Arc<Places>,
    pub(crate) lane: SlowLane,
}

/// A component that was linked under a kind's settings. Shared by all activations of a revision.
pub struct Linked {
    spec: KindSpec,
    component: Arc<Component>,
    granted: Granted,
    pre: InstancePre<Guest>,
    exports: Arc<Exports>,
    shared: Shared,
}

impl std::fmt::Debug for Linked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Linked")
            .field("kind", &self.spec.name)
            .field("component", &self.component.digest)
            .finish_non_exhaustive()
    }
}

/// A component laid against the imports of one engine: what the instances of all its kinds have in common.
#[derive(Clone)]
pub(crate) struct Prelinked {
    pre: InstancePre<Guest>,
    exports: Arc<Exports>,
}

impl Prelinked {
    /// Checks every import and every hook.
    pub(crate) fn new(
        component: &Component,
        engine: &GuestEngine,
        with_config: bool,
    ) -> Result<Self, LinkError> {
        let linker = if with_config {
            &engine.with_config
        } else {
            &engine.plain
        };
        let import = |error: wasmtime::Error| LinkError::Import {
            why: format!("{error:#}"),
        };
        let clients = &component.interface.clients;
        let pre = if clients.is_empty() {
            linker.instantiate_pre(&component.compiled)
        } else {
            let mut linker = linker.clone();
            imports::clients::link(&mut linker, clients).map_err(import)?;
            linker.instantiate_pre(&component.compiled)
        };
        let pre = pre.map_err(import)?;
        let exports = Arc::new(Exports::find(component)?);
        Ok(Self { pre, exports })
    }
}

impl Linked {
    /// Lays a kind's settings over a linked component.
    pub(crate) fn new(
        component: &Arc<Component>,
        spec: &KindSpec,
        prelinked: Prelinked,
        granted: Granted,
        shared: Shared,
    ) -> Result<Self, LinkError> {
        check_memory(component, spec)?;
        let Prelinked { pre, exports } = prelinked;
        Ok(Self {
            spec: spec.clone(),
            component: component.clone(),
            granted,
            pre,
            exports,
            shared,
        })
    }

    /// The settings.
    pub fn spec(&self) -> &KindSpec {
        &self.spec
    }

    /// The component.
    pub fn component(&self) -> &Arc<Component> {
        &self.component
    }

    /// The kind that a client of the component calls.
    pub fn called_by<'a>(&'a self, client: &'a ClientImport) -> &'a KindName {
        client.called(&self.spec)
    }

    pub(crate) fn granted(&self) -> &Granted {
        &self.granted
    }

    pub(crate) fn exports(&self) -> &Arc<Exports> {
        &self.exports
    }

    pub(crate) fn lane(&self) -> &SlowLane {
        &self.shared.lane
    }

    /// Makes a live grain. The guest's start code runs under the kind's limits. Errors: `Overloaded` when every place of
    /// the node is taken, `LimitExceeded` and `GuestTrap` from start code, `Unavailable` when a granted directory is gone.
    pub async fn instantiate(self: &Arc<Self>, seat: Seat) -> Result<Instance, CallError> {
        let place = self
            .shared
            .places
            .take()
            .map_err(|detail| CallError::Overloaded { detail })?;
        let meter = Arc::new(Meter::default());
        let guest = Guest::new(self, seat, &meter).map_err(|error| CallError::Unavailable {
            detail: format!("{error:#}"),
        })?;
        let mut store = Store::new(&self.shared.engine.engine, guest);
        store.limiter(|guest| &mut guest.room);
        store.set_hostcall_fuel(self.hostcall_bytes());
        interrupt::install(&mut store);
        let linked = self.clone();
        let start = async move {
            store.set_epoch_deadline(1);
            match linked.pre.instantiate_async(&mut store).await {
                Ok(instance) => {
                    store.data().output.end_turn();
                    Ok(Live::new(store, instance, place, &linked.exports))
                }
                Err(error) => Err(failure::call_error(error, &mut store, None)),
            }
        };
        let wall = self.spec.limits.activation_time;
        match Guarded::new(
            Box::pin(start),
            meter.clone(),
            self.shared.lane.clone(),
            wall,
        )
        .await
        {
            Ok(Ok(live)) => Ok(Instance::new(self.clone(), meter, live)),
            Ok(Err(error)) => Err(error),
            Err(Stopped::WallTime) => Err(failure::wall_time(
                LimitName::WallTime,
                "limits.activation-time",
                wall,
            )),
            Err(Stopped::Lost) => Err(failure::lost()),
        }
    }

    /// Bytes that one crossing of the border between guest and host may make the host allocate.
    fn hostcall_bytes(&self) -> usize {
        let limits = &self.spec.limits;
        // Values for `state.set` cross it, too, whatever is set for arguments and results.
        let bytes = limits.host_memory.max(limits.state_value.saturating_mul(2));
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }
}

const WASM_PAGE_BYTES: u64 = 64 << 10;

/// A guest whose first memory does not fit could never start.
fn check_memory(component: &Component, spec: &KindSpec) -> Result<(), LinkError> {
    let pages = component
        .compiled
        .resources_required()
        .and_then(|resources| resources.max_initial_memory_size);
    let needed = pages.map(|pages| pages.saturating_mul(WASM_PAGE_BYTES));
    let limit = spec.limits.memory;
    match needed {
        Some(needed) if limit < needed => Err(LinkError::Limit {
            limit: LimitName::Memory.key(),
            why: format!("it starts with {needed} bytes, the limit is {limit}"),
        }),
        Some(_) | None => Ok(()),
    }
}
