//! The called side of `transfer`: nothing in it knows who calls.

use exports::demo::account::account::{AccountError, Guest};
use granary_sdk::calls;
use granary_sdk::state::Value;

wit_bindgen::generate!({ path: "wit", world: "grain" });

const BALANCE: Value<u64> = Value::at("balance");
const FROZEN: Value<bool> = Value::at("frozen");

struct Account;

impl Guest for Account {
    fn deposit(amount: u64) -> Result<u64, AccountError> {
        check_open()?;
        Ok(put(Self::balance().saturating_add(amount)))
    }

    fn withdraw(amount: u64) -> Result<u64, AccountError> {
        check_open()?;
        let balance = Self::balance();
        let left = balance
            .checked_sub(amount)
            .ok_or(AccountError::Insufficient(balance))?;
        Ok(put(left))
    }

    fn refund(amount: u64) {
        put(Self::balance().saturating_add(amount));
    }

    fn freeze(frozen: bool) {
        FROZEN.set(&frozen).expect("a flag fits into the state");
    }

    fn balance() -> u64 {
        BALANCE.get().expect("the state is readable").unwrap_or(0)
    }

    fn ask(transfer: String) -> Result<String, String> {
        calls::grain("transfer", transfer)
            .call("describe", &())
            .map_err(|failed| failed.to_string())
    }
}

fn check_open() -> Result<(), AccountError> {
    match FROZEN.get().expect("the state is readable") {
        Some(true) => Err(AccountError::Frozen),
        Some(false) | None => Ok(()),
    }
}

fn put(balance: u64) -> u64 {
    BALANCE.set(&balance).expect("a number fits into the state");
    balance
}

granary_sdk::grain!(Account);
