//! Calls: two accounts of another kind, changed together or not at all.
//!
//! A turn is atomic for its own grain only; the accounts commit on their own. So each step carries an idempotency key, and a
//! deposit that fails is made good by a refund.

use exports::demo::transfer::transfer::{Guest, Order, Outcome, TransferError};
use granary_sdk::calls::{self, Error};
use granary_sdk::context;
use granary_sdk::state::Value;
use serde::de::IgnoredAny;

wit_bindgen::generate!({
    path: "wit",
    world: "grain",
    additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
});

const ORDER: Value<Order> = Value::at("order");
const END: Value<End> = Value::at("end");

/// How a transfer ended; the error is the payer's refusal.
type End = Result<Outcome, String>;

struct Transfer;

impl Guest for Transfer {
    fn run(order: Order) -> Result<Outcome, TransferError> {
        match ORDER.get().expect("the state is readable") {
            Some(other) if other != order => return Err(TransferError::OtherOrder(other)),
            Some(_) => {}
            None => ORDER.set(&order).expect("an order fits into the state"),
        }
        if end().is_none() {
            let end = move_money(&order)
                .map_err(|failed| TransferError::Unfinished(failed.to_string()))?;
            END.set(&end).expect("the end fits into the state");
        }
        end().expect("it has ended").map_err(TransferError::Refused)
    }

    fn status() -> Option<Outcome> {
        end()?.ok()
    }

    fn describe() -> String {
        match end() {
            None => "not ended".to_owned(),
            Some(Ok(Outcome::Done)) => "done".to_owned(),
            Some(Ok(Outcome::Refunded(why))) => format!("refunded: {why}"),
            Some(Err(why)) => format!("refused: {why}"),
        }
    }

    fn circular(account: String) -> Result<String, String> {
        let answer: Result<String, Error> =
            calls::grain("account", account).call("ask", &(context::key(),));
        answer.map_err(|failed| failed.app().unwrap_or_else(|| failed.to_string()))
    }
}

fn end() -> Option<End> {
    END.get().expect("the state is readable")
}

/// How the transfer ends. An error leaves it open: each step has a key, so that it can be run again and none is done twice.
fn move_money(order: &Order) -> Result<End, Error> {
    let number = context::key();
    let payer = calls::grain("account", &order.from).idempotency_key(format!("{number}/withdraw"));
    let receiver = calls::grain("account", &order.to).idempotency_key(format!("{number}/deposit"));

    match payer.call::<IgnoredAny>("withdraw", &(order.amount,)) {
        Ok(_) => {}
        Err(failed) if failed.is_app() => return Ok(Err(failed.to_string())),
        Err(failed) => return Err(failed),
    }
    match receiver.call::<IgnoredAny>("deposit", &(order.amount,)) {
        Ok(_) => Ok(Ok(Outcome::Done)),
        // The receiver is certainly as it was. The refund is a message, not a call: it leaves with the commit that notes the
        // end down, or not at all.
        Err(failed) if failed.is_app() || failed.had_no_effect() => {
            payer.send("refund", &(order.amount,))?;
            Ok(Ok(Outcome::Refunded(failed.to_string())))
        }
        Err(failed) => Err(failed),
    }
}

granary_sdk::grain!(Transfer);
