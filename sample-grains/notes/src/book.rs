//! The notes of one grain, in its memory.

use std::cell::RefCell;
use std::collections::BTreeMap;

#[derive(Default)]
struct Book {
    last: u32,
    notes: BTreeMap<u32, String>,
}

thread_local! {
    static BOOK: RefCell<Book> = RefCell::default();
}

pub fn all() -> BTreeMap<u32, String> {
    BOOK.with_borrow(|book| book.notes.clone())
}

pub fn add(text: String) -> u32 {
    BOOK.with_borrow_mut(|book| {
        book.last += 1;
        book.notes.insert(book.last, text);
        book.last
    })
}

pub fn get(number: u32) -> Option<String> {
    BOOK.with_borrow(|book| book.notes.get(&number).cloned())
}

/// Puts a text in place of another and answers the old one.
pub fn replace(number: u32, text: String) -> Option<String> {
    BOOK.with_borrow_mut(|book| Some(std::mem::replace(book.notes.get_mut(&number)?, text)))
}

pub fn remove(number: u32) -> Option<String> {
    BOOK.with_borrow_mut(|book| book.notes.remove(&number))
}
