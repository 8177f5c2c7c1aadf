//! How many grains fit: the kernel's limit on memory mappings is the first wall, long before memory or address space.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// How many grains a node can hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capacity {
    /// The most live grains.
    pub slots: u32,
    /// Live grains now.
    pub in_use: u32,
    /// What sets the limit, and how to raise it.
    pub limited_by: String,
}

/// Mappings that one resident grain costs: memory image, its guards, its stack with guard, and its share of the async pool's.
const MAPS_PER_GRAIN: u64 = 7;
/// More than this is refused: each slot costs address space and bookkeeping.
const SLOTS_MAX: u64 = 100_000;
const SLOTS_MIN: u64 = 16;
const MAP_COUNT_FILE: &str = "/proc/sys/vm/max_map_count";

/// The plan: slots and the words for what limits them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) slots: u32,
    pub(crate) limited_by: String,
}

/// Plans for this machine. Where the kernel does not tell, its usual default is assumed.
pub(crate) fn plan(slots_max: Option<u32>) -> Plan {
    let maps = std::fs::read_to_string(MAP_COUNT_FILE)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(65_530);
    plan_for(maps, slots_max)
}

fn plan_for(maps: u64, slots_max: Option<u32>) -> Plan {
    // The rest of the mappings is for the process itself: thread stacks, the store's files, components.
    let share = maps / 10 * 6;
    let possible = (share / MAPS_PER_GRAIN).clamp(SLOTS_MIN, SLOTS_MAX);
    let possible = u32::try_from(possible).unwrap_or(u32::MAX);
    match slots_max {
        Some(wanted) if wanted <= possible => Plan {
            slots: wanted.max(1),
            limited_by: "the setting engine.slots; raise it".to_owned(),
        },
        Some(_) | None => Plan {
            slots: possible,
            limited_by: format!(
                "the kernel's vm.max_map_count = {maps}; raise it, as in `sysctl -w vm.max_map_count={}`",
                maps * 4
            ),
        },
    }
}

/// The places for live grains. One is taken before a store is made and given back after it is gone.
pub(crate) struct Places {
    plan: Plan,
    used: AtomicU32,
}

impl Places {
    pub(crate) fn new(plan: Plan) -> Arc<Self> {
        Arc::new(Self {
            plan,
            used: AtomicU32::new(0),
        })
    }

    pub(crate) fn capacity(&self) -> Capacity {
        Capacity {
            slots: self.plan.slots,
            in_use: self.used.load(Ordering::Relaxed),
            limited_by: self.plan.limited_by.clone(),
        }
    }

    /// Takes a place, or says who could make room.
    pub(crate) fn take(self: &Arc<Self>) -> Result<Place, String> {
        let slots = self.plan.slots;
        let taken = self
            .used
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |used| {
                (used < slots).then_some(used + 1)
            });
        match taken {
            Ok(_) => Ok(Place(self.clone())),
            Err(_) => Err(format!(
                "all {slots} places for live grains are taken; limited by {}",
                self.plan.limited_by
            )),
        }
    }
}

/// One taken place.
pub(crate) struct Place(Arc<Places>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.used.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_count_sets_the_slots_and_a_setting_may_lower_them() {
        assert_eq!(plan_for(65_530, None).slots, 5616);
        assert!(
            plan_for(65_530, None)
                .limited_by
                .contains("vm.max_map_count=262120")
        );
        assert_eq!(
            plan_for(65_530, Some(100)),
            Plan {
                slots: 100,
                limited_by: "the setting engine.slots; raise it".to_owned()
            }
        );
        assert_eq!(plan_for(65_530, Some(1_000_000)).slots, 5616);
        assert_eq!(plan_for(0, None).slots, 16);
        assert_eq!(plan_for(u64::MAX / 8, None).slots, 100_000);
    }

    #[test]
    fn a_place_comes_back_when_it_is_dropped() {
        let places = Places::new(plan_for(65_530, Some(1)));
        let place = places.take().unwrap_or_else(|why| panic!("{why}"));
        assert!(places.take().is_err());
        assert_eq!(places.capacity().in_use, 1);
        drop(place);
        assert!(places.take().is_ok());
    }
}
