//! How much one document may cost the host, whatever it says.

use granary_core::error::LimitName;
use granary_core::limits::{JSON_DEPTH_MAX, JSON_NODES_MAX, Limits};
use wasmtime::component::Val;

use super::source::{Read, Wrong};

/// What one value takes, wherever it lies.
pub(super) const VAL_BYTES: u64 = size_of::<Val>() as u64;
/// What one field of a record takes, its name's letters left aside.
pub(super) const FIELD_BYTES: u64 = size_of::<(String, Val)>() as u64;

/// What is left. Memory is taken off before it is allocated.
#[derive(Debug)]
pub(super) struct Budget {
    memory_left: u64,
    memory: u64,
    nodes_left: usize,
    depth: usize,
}

impl Budget {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            memory_left: limits.host_memory,
            memory: limits.host_memory,
            nodes_left: JSON_NODES_MAX,
            depth: 0,
        }
    }

    pub(super) fn used(&self) -> u64 {
        self.memory - self.memory_left
    }

    pub(super) fn charge(&mut self, bytes: u64) -> Read<()> {
        match self.memory_left.checked_sub(bytes) {
            Some(left) => {
                self.memory_left = left;
                Ok(())
            }
            None => Err(self.memory_exceeded()),
        }
    }

    #[cold]
    fn memory_exceeded(&self) -> Box<Wrong> {
        let detail = format!(
            "the decoded value needs more than {} bytes on the host",
            self.memory
        );
        Wrong::limit(LimitName::HostMemory, detail)
    }

    pub(super) fn node(&mut self) -> Read<()> {
        match self.nodes_left.checked_sub(1) {
            Some(left) => {
                self.nodes_left = left;
                Ok(())
            }
            None => Err(Wrong::limit(
                LimitName::Arguments,
                format!("more than {JSON_NODES_MAX} values in one document"),
            )),
        }
    }

    pub(super) fn enter(&mut self) -> Read<()> {
        if self.depth == JSON_DEPTH_MAX {
            return Err(Wrong::new(format!("nested deeper than {JSON_DEPTH_MAX}")));
        }
        self.depth += 1;
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Makes room for one more, doubling as a vector does, but paid for before.
    pub(super) fn grow<T>(&mut self, list: &mut Vec<T>) -> Read<()> {
        if list.len() < list.capacity() {
            return Ok(());
        }
        let more = list.capacity().max(4);
        self.charge((more * size_of::<T>()) as u64)?;
        list.reserve_exact(more);
        Ok(())
    }
}
