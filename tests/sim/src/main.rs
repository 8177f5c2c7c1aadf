//! Long runs by hand.
fn main() {}
