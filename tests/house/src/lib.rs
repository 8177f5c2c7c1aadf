//! The rules of the house as tests: what a review would otherwise have to remember.
//!
//! Each module holds one kind of rule and reads the working tree itself: manifests, sources, papers. Nothing of the product is
//! linked, so the whole run takes seconds and comes first.
//!
//! Read in this order.

#[cfg(test)]
mod tree;

#[cfg(test)]
mod arrows;

#[cfg(test)]
mod core_rules;

#[cfg(test)]
mod sizes;

#[cfg(test)]
mod words;

#[cfg(test)]
mod contract;

#[cfg(test)]
mod papers;

#[cfg(test)]
mod outside;

#[cfg(test)]
mod guests;
