//! HTTP: the data plane under `/g`, the control plane under `/v1`, and what operators and scrapers ask for.
//!
//! A request under `/g` goes from the connection straight to `data`: one future, no layer that boxes. Everything else goes
//! through an axum router whose routes carry their own documentation, from which `/v1/openapi.json` is made. Every error, the
//! framework's own included, becomes problem+json in `face`.
//!
//! Read in this order.

mod auth;
mod batch;
mod body;
mod catalogue;
mod control;
mod data;
mod describe;
mod face;
mod linger;
mod listen;
mod path;
mod problem;
mod raw;
mod reply;
mod request;
mod settings;
mod stream;
mod tls;

#[cfg(test)]
mod tests;

/// Reads what may follow `/g/` in a path and, if it names a method, checks that it can be written again. For fuzzing: it must not panic.
pub fn fuzz_path(path: &str) {
    if let Ok(path::Target::Method { grain, method }) = path::parse(path) {
        let again = format!(
            "{}/{}/{}",
            grain.kind,
            path::encode(grain.key.as_str()),
            path::encode(&method)
        );
        assert_eq!(
            path::parse(&again),
            Ok(path::Target::Method { grain, method }),
            "{again}"
        );
    }
}

pub use listen::{Server, serve};
pub use settings::{Auth, HttpSettings, ServeError, TlsFiles, Token};
