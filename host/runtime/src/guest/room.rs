//! The limit on what a guest allocates: linear memories and tables together.

use std::sync::Arc;

use wasmtime::ResourceLimiter;

use super::meter::Meter;

/// Bytes that a table element takes on the host.
const ELEMENT_BYTES: u64 = 8;
const INSTANCES_MAX: usize = 64;
const TABLES_MAX: usize = 64;
const MEMORIES_MAX: usize = 16;

/// One guest's room.
pub(crate) struct Room {
    limit: u64,
    used: u64,
    meter: Arc<Meter>,
    /// Whether it was refused more since [`Room::begin_turn`]: a trap that follows is then the limit's.
    refused: bool,
}

impl Room {
    pub(crate) fn new(limit: u64, meter: Arc<Meter>) -> Self {
        Self {
            limit,
            used: 0,
            meter,
            refused: false,
        }
    }

    pub(crate) fn begin_turn(&mut self) {
        self.refused = false;
    }

    pub(crate) fn refused(&self) -> bool {
        self.refused
    }

    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    fn grow(&mut self, current: u64, desired: u64, fits_type: bool) -> bool {
        let used = self.used.saturating_sub(current).saturating_add(desired);
        if self.limit < used {
            self.refused = true;
            return false;
        }
        // Beyond its own type's maximum it fails anyway, without anything being allocated.
        if fits_type {
            self.used = used;
            self.meter.set_memory(used);
        }
        true
    }
}

impl ResourceLimiter for Room {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.grow(
            current as u64,
            desired as u64,
            maximum.is_none_or(|maximum| desired <= maximum),
        ))
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.refused = true;
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let fits_type = maximum.is_none_or(|maximum| desired <= maximum);
        Ok(self.grow(
            current as u64 * ELEMENT_BYTES,
            desired as u64 * ELEMENT_BYTES,
            fits_type,
        ))
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.refused = true;
        Ok(())
    }

    fn instances(&self) -> usize {
        INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}
