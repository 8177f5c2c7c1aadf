//! Where the lines of the cart are kept: a key for each, so that a change writes one line and not the whole cart.

use granary_sdk::state;

use crate::exports::demo::cart::cart::{Item, Wishes};

pub fn items() -> Vec<Item> {
    state::scan_of("item/")
        .map(|entry| entry.expect("the state is readable").1)
        .collect()
}

pub fn item(sku: &str) -> Option<Item> {
    state::get(&key(sku)).expect("the state is readable")
}

pub fn put(item: &Item) {
    state::set(&key(&item.sku), item).expect("an item fits into the state");
}

pub fn take(sku: &str) -> Option<Item> {
    let item = item(sku)?;
    state::delete(&key(sku)).expect("the state is writable");
    Some(item)
}

fn key(sku: &str) -> String {
    format!("item/{sku}")
}

// Flags are generated without serde's derives; their bits are what is kept.

impl serde::Serialize for Wishes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.bits().serialize(serializer)
    }
}

impl<'de> serde::Deserialize<'de> for Wishes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from_bits_truncate(u8::deserialize(deserializer)?))
    }
}
