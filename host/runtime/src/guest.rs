//! What one store holds beside the guest itself: who it is, what it may reach, how much room it has, which turn runs.

pub(crate) mod meter;
pub(crate) mod output;
pub(crate) mod room;
pub(crate) mod turn;

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::http::egress::Egress;
use crate::imports::blobs::values::Buffers;
use crate::instance::Seat;
use crate::link::Linked;
use meter::Meter;
use output::Output;
use room::Room;
use turn::Turns;

/// Entries of the table of WASI resources. A guest that forgets to drop its handles meets this before the host's memory does.
const RESOURCES_MAX: usize = 16_384;

/// The data of a grain's store.
pub(crate) struct Guest {
    wasi: WasiCtx,
    table: ResourceTable,
    http: WasiHttpCtx,
    egress: Egress,
    pub(crate) linked: Arc<Linked>,
    pub(crate) seat: Seat,
    pub(crate) room: Room,
    pub(crate) turns: Turns,
    pub(crate) output: Arc<Output>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) buffers: Arc<Buffers>,
}

impl Guest {
    /// Everything that a new activation starts with.
    pub(crate) fn new(
        linked: &Arc<Linked>,
        seat: Seat,
        meter: &Arc<Meter>,
    ) -> wasmtime::Result<Self> {
        let limits = &linked.spec().limits;
        let output = Arc::new(Output::new(seat.host.clone(), limits.log_rate));
        let wasi = linked.granted().wasi(&output)?;
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES_MAX);
        Ok(Self {
            wasi,
            table,
            http: WasiHttpCtx::new(),
            egress: Egress::new(linked.granted().http.clone()),
            linked: linked.clone(),
            seat,
            room: Room::new(limits.memory, meter.clone()),
            turns: Turns::default(),
            output,
            meter: meter.clone(),
            buffers: Buffers::new(limits.host_memory),
        })
    }

    /// What the guest holds of the host's.
    pub(crate) fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.egress,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}
