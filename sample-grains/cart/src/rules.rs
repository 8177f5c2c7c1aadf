//! What a cart allows, and what it costs. Nothing here knows that it runs in a grain.

use crate::exports::demo::cart::cart::{CartError, Discount, Item, Money, Payment};

pub fn check_item(item: &Item, cart: &[Item]) -> Result<(), CartError> {
    if item.sku.is_empty() {
        return Err(CartError::UnknownItem(String::new()));
    }
    check_count(item.count)?;
    match cart.first() {
        Some(other) if other.price.currency != item.price.currency => {
            Err(CartError::WrongCurrency(other.price.currency))
        }
        _ => Ok(()),
    }
}

pub fn check_count(count: u32) -> Result<u32, CartError> {
    if (1..=99).contains(&count) {
        Ok(count)
    } else {
        Err(CartError::BadCount(count))
    }
}

pub fn check_discount(discount: &Discount, cart: &[Item]) -> Result<(), CartError> {
    match discount {
        Discount::None => Ok(()),
        Discount::Percent(percent @ (0 | 101..)) => Err(CartError::BadDiscount(format!(
            "{percent} % is not within 1 to 100"
        ))),
        Discount::Percent(_) => Ok(()),
        Discount::Off(money) => match cart.first() {
            Some(item) if item.price.currency != money.currency => {
                Err(CartError::WrongCurrency(item.price.currency))
            }
            _ => Ok(()),
        },
        Discount::Voucher((code, _)) if code.is_empty() => {
            Err(CartError::BadDiscount("a voucher has a code".to_owned()))
        }
        Discount::Voucher(_) => Ok(()),
    }
}

/// What is to be paid; none for an empty cart.
pub fn total(items: &[Item], discount: &Discount) -> Option<Money> {
    let currency = items.first()?.price.currency;
    let sum = items.iter().fold(0_u64, |sum, item| {
        sum.saturating_add(item.price.amount.saturating_mul(item.count.into()))
    });
    let amount = match discount {
        Discount::None => sum,
        Discount::Percent(percent) => {
            let left = 100 - u64::from(*percent);
            sum / 100 * left + sum % 100 * left / 100
        }
        Discount::Off(money) => sum.saturating_sub(money.amount),
        // A point is worth one unit; points that are fewer than none make it dearer.
        Discount::Voucher((_, points)) => sum.saturating_add_signed(points.saturating_neg()),
    };
    Some(Money { amount, currency })
}

/// Says why a payment is declined.
pub fn settle(payment: &Payment) -> Result<(), String> {
    match payment {
        Payment::Invoice => Ok(()),
        Payment::Card((_, _, month)) if !(1..=12).contains(month) => {
            Err(format!("there is no month {month}"))
        }
        Payment::Card((number, _, _)) if number.len() < 12 => {
            Err("the card's number is too short".to_owned())
        }
        Payment::Card(_) => Ok(()),
    }
}
