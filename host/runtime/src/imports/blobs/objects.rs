//! One object: its record, and its bytes in pieces.

use bytes::Bytes;
use granary_core::error::LimitName;
use granary_core::kind::Mode;
use granary_core::turn::Refused;

use super::values::Held;
use super::{Record, container_key, now, read_json, said};
use crate::imports::{Reach, state};

/// Bytes of a piece, unless `limits.state-value` is less.
const PIECE_BYTES: u64 = 256 << 10;

/// Where an object lies, or would.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    name: String,
    record_key: String,
    data_prefix: String,
}

impl Object {
    pub(super) fn new(container: &str, name: &str) -> Self {
        let container_segment = state::segment(container);
        Self {
            name: name.to_owned(),
            record_key: format!("{}/{name}", container_key(container)),
            data_prefix: format!("blob-data/{container_segment}/{name}/"),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) async fn record(&self, reach: &mut impl Reach) -> Result<Option<Record>, String> {
        read_json(reach, self.record_key.clone()).await
    }

    pub(super) async fn must_exist(&self, reach: &mut impl Reach) -> Result<Record, String> {
        self.record(reach)
            .await?
            .ok_or_else(|| format!("object '{}' does not exist", self.name))
    }

    /// The bytes from `start` to `end`, both inclusive, as far as there are any.
    pub(super) async fn load(
        &self,
        reach: &mut impl Reach,
        start: u64,
        end: u64,
    ) -> Result<Bytes, String> {
        let record = self.must_exist(reach).await?;
        let (from, to) = (start, end.saturating_add(1).min(record.size));
        if to <= from {
            return Ok(Bytes::new());
        }
        let buffers = reach.with(|store| store.data().buffers.clone());
        let mut held = Held::new(buffers);
        let piece = record.piece.max(1);
        for index in from / piece..=(to - 1) / piece {
            let key = self.piece_key(index);
            let bytes = state::get(&mut *reach, key.clone()).await.map_err(said)?;
            let bytes = bytes.ok_or_else(|| format!("the state value '{key}' is missing"))?;
            let at = index * piece;
            let cut = |place: u64| {
                let place = usize::try_from(place.saturating_sub(at)).unwrap_or(usize::MAX);
                place.min(bytes.len())
            };
            held.extend(&bytes[cut(from)..cut(to)])?;
        }
        Ok(held.freeze())
    }

    /// Creates or replaces it. Nothing is written unless all of it fits.
    pub(super) async fn store(&self, reach: &mut impl Reach, bytes: &[u8]) -> Result<(), String> {
        let old = self.record(reach).await?;
        let record = self.check(reach, old.as_ref(), bytes.len() as u64)?;
        let piece = usize::try_from(record.piece).unwrap_or(usize::MAX);
        let mut index = 0;
        for part in bytes.chunks(piece) {
            let set = state::set(&mut *reach, self.piece_key(index), part.to_vec()).await;
            set.map_err(said)?;
            index += 1;
        }
        self.remove_pieces(reach, old.as_ref(), index).await?;
        let json = serde_json::to_vec(&record).map_err(|error| error.to_string())?;
        state::set(&mut *reach, self.record_key.clone(), json)
            .await
            .map_err(said)
    }

    /// Removes it, if it is there.
    pub(super) async fn remove(&self, reach: &mut impl Reach) -> Result<(), String> {
        let Some(record) = self.record(reach).await? else {
            return Ok(());
        };
        self.remove_pieces(reach, Some(&record), 0).await?;
        state::delete(&mut *reach, self.record_key.clone())
            .await
            .map_err(said)
    }

    async fn remove_pieces(
        &self,
        reach: &mut impl Reach,
        of: Option<&Record>,
        from: u64,
    ) -> Result<(), String> {
        for index in from..of.map_or(0, Record::pieces) {
            state::delete(&mut *reach, self.piece_key(index))
                .await
                .map_err(said)?;
        }
        Ok(())
    }

    /// The record of what would be written, if that may be written and fits.
    fn check(
        &self,
        reach: &mut impl Reach,
        old: Option<&Record>,
        size: u64,
    ) -> Result<Record, String> {
        let caller = reach.caller()?;
        let limits = reach.with(|store| store.data().linked.spec().limits);
        let (mode, state_bytes) = reach.turn(caller, |turn| {
            (turn.context.mode, turn.wishes.state_bytes())
        })?;
        if mode == Mode::Read {
            return Err(Refused::ReadOnly.to_string());
        }
        let record = Record {
            created_at: now(),
            size,
            piece: limits.state_value.clamp(1, PIECE_BYTES),
        };
        let bytes =
            |record: &Record| record.size + record.pieces() * self.piece_key(0).len() as u64;
        let gone = old.map_or(0, bytes);
        let total = state_bytes.saturating_sub(gone) + bytes(&record);
        if limits.state_total < total {
            let refused = Refused::TooLarge {
                name: LimitName::StateTotal,
                limit: limits.state_total,
                actual: total,
            };
            return Err(refused.to_string());
        }
        Ok(record)
    }

    fn piece_key(&self, index: u64) -> String {
        format!("{}{index:08x}", self.data_prefix)
    }
}

impl Record {
    fn pieces(&self) -> u64 {
        self.size.div_ceil(self.piece.max(1))
    }
}
