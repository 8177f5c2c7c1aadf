//! Client packages: how another component sees a kind that it calls with types.
//!
//! From each interface that a kind exports comes one of the same name in the package `NAMESPACE:KIND-client`. Its resource `ref` stands for
//! a grain; the methods of the interface are methods of it. The answer of each can be the call's error, too:
//!
//! | the kind's method gives | the client's gives |
//! |---|---|
//! | nothing, `T` | `result<_, call-error>`, `result<T, call-error>` |
//! | `result<T, E>` | `result<T, E-or-call>`, a variant with the cases `app(E)` and `call(call-error)` |
//!
//! The kind's own types are stated again, so that the package needs nothing but `granary:grain`. The host links it from these types alone.

mod source;
mod text;

use std::sync::Arc;

pub use source::{Missing, methods_of_wit, missing};

use crate::Method;
use crate::interface::SUFFIX;

/// Why there is no client package.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The WIT of a project cannot be read.
    #[error("the WIT in {folder} cannot be read: {why}")]
    Wit {
        /// The folder.
        folder: String,
        /// Where, and what the parser says.
        why: String,
    },
    /// The package's world is not the only one.
    #[error("the WIT in {folder} has no world `grain`, and not just one world")]
    NoWorld {
        /// The folder.
        folder: String,
    },
    /// Nothing in it can be called through a client.
    #[error(
        "there is no interface to make a client from: a client holds the functions of exported interfaces, not those of the world itself"
    )]
    NothingToCall,
    /// Two exported interfaces have the same name.
    #[error(
        "two exported interfaces are called `{name}`; rename one of them, as a client has both in one package"
    )]
    Twice {
        /// Their name.
        name: String,
    },
    /// The name does not stand for a client package.
    #[error(
        "`{name}` is no name of a client package: write NAMESPACE:KIND-client, with @VERSION if the kind's package has one"
    )]
    Name {
        /// As given.
        name: String,
    },
    /// What was made does not parse: a mistake of this program.
    #[error("the client of these types cannot be written as WIT: {why}")]
    Unwritable {
        /// What the parser says.
        why: String,
    },
}

/// How a client is to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// The package with its version, as in `demo:counter-client@0.1.0`.
    pub package: String,
    /// Whether the methods are `async func`, so that a component that uses the component model's async can wait for several at once.
    pub is_async: bool,
}

/// The usual name of a kind's client package: in the namespace and the version of the kind's own interface, named after the kind.
pub fn package(kind: &str, methods: &[Arc<Method>]) -> Result<String, ClientError> {
    let interface = methods
        .iter()
        .find_map(|method| method.interface.as_deref());
    let interface = interface.ok_or(ClientError::NothingToCall)?;
    let (package, rest) = interface.split_once('/').unwrap_or((interface, ""));
    let namespace = package.split(':').next().unwrap_or(package);
    let version = rest.split_once('@').map(|(_, version)| version);
    let version = version.map_or(String::new(), |version| format!("@{version}"));
    Ok(format!("{namespace}:{kind}{SUFFIX}{version}"))
}

impl Look {
    /// The kind that the package is named after.
    fn kind(&self) -> Result<&str, ClientError> {
        let name = || ClientError::Name {
            name: self.package.clone(),
        };
        let package = self.package.split('@').next().unwrap_or_default();
        let (_, name_only) = package.split_once(':').ok_or_else(name)?;
        name_only.strip_suffix(SUFFIX).ok_or_else(name)
    }
}

/// The client package of a kind as WIT text. Methods that take or give streams are left out: no stream goes from grain to grain.
pub fn wit(methods: &[Arc<Method>], look: &Look) -> Result<String, ClientError> {
    look.kind()?;
    let mut interfaces: Vec<(&str, &str, Vec<&Method>)> = Vec::new();
    for method in methods
        .iter()
        .filter(|method| method.not_callable.is_none() && !method.streams())
    {
        let Some(full) = method.interface.as_deref() else {
            continue;
        };
        if let Some((_, _, list)) = interfaces.iter_mut().find(|(known, ..)| *known == full) {
            list.push(method);
            continue;
        }
        let name = full.split_once('@').map_or(full, |(name, _)| name);
        let name = name.rsplit('/').next().unwrap_or(name);
        if interfaces.iter().any(|(_, known, _)| *known == name) {
            return Err(ClientError::Twice {
                name: name.to_owned(),
            });
        }
        interfaces.push((full, name, vec![method]));
    }
    if interfaces.is_empty() {
        return Err(ClientError::NothingToCall);
    }
    text::package(&interfaces, look)
}

#[cfg(test)]
mod tests;
