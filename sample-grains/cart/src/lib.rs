//! Types: what a real interface looks like, and how it is kept.
//!
//! `wit/cart.wit` is the API. The same types are written to the state as JSON, by serde's derives on the generated code.

mod rules;
mod stored;

use exports::demo::cart::cart::{
    CartError, Changes, Discount, Guest, Item, Overview, Payment, PaymentError, Receipt,
};
use granary_sdk::state::{self, Value};

wit_bindgen::generate!({
    path: "wit",
    world: "grain",
    additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
});

const DISCOUNT: Value<Discount> = Value::at("discount");
const PAID: Value<Receipt> = Value::at("paid");
const PICTURE: &str = "picture";

struct Cart;

impl Guest for Cart {
    fn add(items: Vec<Item>) -> Result<u32, CartError> {
        let mut cart = open()?;
        for item in items {
            rules::check_item(&item, &cart)?;
            cart.retain(|line| line.sku != item.sku);
            cart.push(item);
        }
        // Only now is anything written: an item that was refused above has left nothing behind.
        for item in &cart {
            stored::put(item);
        }
        Ok(cart.len() as u32)
    }

    fn change(sku: String, changes: Changes) -> Result<Item, CartError> {
        open()?;
        let mut item = stored::item(&sku).ok_or(CartError::UnknownItem(sku))?;
        if let Some(count) = changes.count {
            item.count = rules::check_count(count)?;
        }
        if let Some(dedication) = changes.dedication {
            item.dedication = dedication;
        }
        if let Some(wishes) = changes.wishes {
            item.wishes = wishes;
        }
        stored::put(&item);
        Ok(item)
    }

    fn remove(sku: String) -> Result<Item, CartError> {
        open()?;
        stored::take(&sku).ok_or(CartError::UnknownItem(sku))
    }

    fn reduce(discount: Discount) -> Result<(), CartError> {
        rules::check_discount(&discount, &open()?)?;
        DISCOUNT
            .set(&discount)
            .expect("a discount fits into the state");
        Ok(())
    }

    fn set_picture(picture: Vec<u8>) -> u32 {
        state::set_bytes(PICTURE, &picture).expect("the picture fits into the state");
        picture.len() as u32
    }

    fn picture() -> Option<Vec<u8>> {
        state::get_bytes(PICTURE).expect("the state is readable")
    }

    fn contents() -> Overview {
        let items = stored::items();
        let discount = discount();
        Overview {
            total: rules::total(&items, &discount),
            paid: paid(),
            items,
            discount,
        }
    }

    fn find(skus: Vec<String>) -> Vec<Result<Item, CartError>> {
        skus.into_iter()
            .map(|sku| stored::item(&sku).ok_or(CartError::UnknownItem(sku)))
            .collect()
    }

    fn pay(payment: Payment) -> Result<Receipt, PaymentError> {
        let items = open().map_err(PaymentError::Cart)?;
        let total =
            rules::total(&items, &discount()).ok_or(PaymentError::Cart(CartError::Empty))?;
        let bought = items
            .iter()
            .map(|item| (item.sku.clone(), item.count))
            .collect();
        let receipt = Receipt {
            number: state::version() + 1,
            total,
            bought,
        };
        // Written before the payment is settled: the manifest says that an `err` of this method rolls back.
        PAID.set(&receipt).expect("a receipt fits into the state");
        rules::settle(&payment).map_err(PaymentError::Declined)?;
        Ok(receipt)
    }
}

/// The lines of a cart that is not yet paid for.
fn open() -> Result<Vec<Item>, CartError> {
    match paid() {
        Some(receipt) => Err(CartError::Closed(receipt)),
        None => Ok(stored::items()),
    }
}

fn paid() -> Option<Receipt> {
    PAID.get().expect("the state is readable")
}

fn discount() -> Discount {
    DISCOUNT
        .get()
        .expect("the state is readable")
        .unwrap_or(Discount::None)
}

granary_sdk::grain!(Cart);
