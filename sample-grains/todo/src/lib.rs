//! Code first: one file of Rust and no WIT. The interface is derived from the `impl` block; `granary wit show todo` prints it.
//!
//! `todo/home` and `todo/work` are two lists. The doc comments below are those of the kind's OpenAPI page.

use granary_sdk::hooks::{ActivateReason, Lifecycle};
use granary_sdk::state::Value;
use granary_sdk::{Record, Variant, interface};
use serde::{Deserialize, Serialize};

/// Something to do.
#[derive(Record, Serialize, Deserialize, Clone)]
pub struct Item {
    /// What is to be done.
    pub text: String,
    /// When it must be done, as a Unix time; never, if it is not there.
    pub due: Option<u64>,
    pub urgency: Urgency,
    pub is_done: bool,
}

#[derive(Variant, Serialize, Deserialize, Clone, Copy, PartialEq)]
pub enum Urgency {
    Whenever,
    Soon,
    /// Before anything else.
    Now,
}

/// Why nothing was changed.
#[derive(Variant)]
pub enum Refused {
    /// The list holds as many items as it may.
    Full(u32),
    NoText,
    /// There is no item with this number.
    NoSuchItem(u32),
}

const ITEMS_MAX: usize = 100;

/// The version is told apart when it is read: state of an older program is an error, not a guess.
const ITEMS: Value<Vec<Item>> = Value::at("items").version(1);

struct Todo;

/// A list of things to do.
#[interface(package = "demo:todo@0.1.0")]
impl Todo {
    /// Adds an item to the end and answers its number.
    fn add(text: String, due: Option<u64>, urgency: Urgency) -> Result<u32, Refused> {
        let mut items = load();
        if text.trim().is_empty() {
            return Err(Refused::NoText);
        }
        if ITEMS_MAX <= items.len() {
            return Err(Refused::Full(number(ITEMS_MAX)));
        }
        items.push(Item {
            text,
            due,
            urgency,
            is_done: false,
        });
        save(&items);
        Ok(number(items.len() - 1))
    }

    /// Marks an item as done.
    fn done(item: u32) -> Result<(), Refused> {
        let mut items = load();
        let found = usize::try_from(item).ok().and_then(|at| items.get_mut(at));
        found.ok_or(Refused::NoSuchItem(item))?.is_done = true;
        save(&items);
        Ok(())
    }

    /// All items with their numbers, the urgent ones first.
    fn items() -> Vec<(u32, Item)> {
        let mut numbered: Vec<_> = (0..).zip(load()).collect();
        numbered.sort_by_key(|(_, item)| match item.urgency {
            Urgency::Now => 0,
            Urgency::Soon => 1,
            Urgency::Whenever => 2,
        });
        numbered
    }

    /// What should have been done by `now`, a Unix time.
    fn overdue(now: u64) -> Vec<Item> {
        let is_late = |item: &Item| !item.is_done && item.due.is_some_and(|due| due < now);
        load().into_iter().filter(is_late).collect()
    }
}

impl Lifecycle for Todo {
    fn activate(_reason: ActivateReason) -> Result<(), String> {
        // An error refuses the message, and says both versions.
        ITEMS.get().map(drop).map_err(|error| error.to_string())
    }
}

fn load() -> Vec<Item> {
    ITEMS
        .get()
        .expect("the state is readable")
        .unwrap_or_default()
}

fn save(items: &Vec<Item>) {
    ITEMS.set(items).expect("the state has room for a list");
}

fn number(count: usize) -> u32 {
    u32::try_from(count).expect("the list is short")
}

granary_sdk::grain!(Todo, lifecycle);
