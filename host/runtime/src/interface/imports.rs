//! What the host can serve to guests.

use super::nearest::nearest;
use super::{ComponentError, Import};

/// One interface that the host serves.
struct Served {
    name: &'static str,
    version: &'static str,
    needs_grant: Option<&'static str>,
}

const fn served(name: &'static str, version: &'static str) -> Served {
    Served {
        name,
        version,
        needs_grant: None,
    }
}

const fn granted(name: &'static str, version: &'static str, grant: &'static str) -> Served {
    Served {
        name,
        version,
        needs_grant: Some(grant),
    }
}

/// Every served interface, with the version that this host was built against. A guest may have been built against any version
/// of the same compatibility track (`0.2.x`). Sockets are served so that guests link; every use of them is denied.
const SERVED: &[Served] = &[
    served("granary:grain/types", "0.1.0"),
    served("granary:grain/context", "0.1.0"),
    served("granary:grain/state", "0.1.0"),
    served("granary:grain/calls", "0.1.0"),
    served("wasi:cli/environment", "0.2.12"),
    served("wasi:cli/exit", "0.2.12"),
    served("wasi:cli/stdin", "0.2.12"),
    served("wasi:cli/stdout", "0.2.12"),
    served("wasi:cli/stderr", "0.2.12"),
    served("wasi:cli/terminal-input", "0.2.12"),
    served("wasi:cli/terminal-output", "0.2.12"),
    served("wasi:cli/terminal-stdin", "0.2.12"),
    served("wasi:cli/terminal-stdout", "0.2.12"),
    served("wasi:cli/terminal-stderr", "0.2.12"),
    served("wasi:io/error", "0.2.12"),
    served("wasi:io/poll", "0.2.12"),
    served("wasi:io/streams", "0.2.12"),
    served("wasi:clocks/monotonic-clock", "0.2.12"),
    served("wasi:clocks/wall-clock", "0.2.12"),
    served("wasi:random/random", "0.2.12"),
    served("wasi:random/insecure", "0.2.12"),
    served("wasi:random/insecure-seed", "0.2.12"),
    served("wasi:filesystem/types", "0.2.12"),
    served("wasi:filesystem/preopens", "0.2.12"),
    served("wasi:sockets/network", "0.2.12"),
    served("wasi:sockets/instance-network", "0.2.12"),
    served("wasi:sockets/ip-name-lookup", "0.2.12"),
    served("wasi:sockets/tcp", "0.2.12"),
    served("wasi:sockets/tcp-create-socket", "0.2.12"),
    served("wasi:sockets/udp", "0.2.12"),
    served("wasi:sockets/udp-create-socket", "0.2.12"),
    served("wasi:http/types", "0.2.12"),
    granted("wasi:http/outgoing-handler", "0.2.12", "http"),
    granted("wasi:config/store", "0.2.0-rc.1", "config"),
    granted("wasi:config/store", "0.2.0-draft-2024-09-27", "config"),
    granted("wasi:config/runtime", "0.2.0-draft", "config"),
    granted("fermyon:spin/variables", "2.0.0", "config"),
    served("fermyon:spin/key-value", "2.0.0"),
    served("wasi:keyvalue/store", "0.2.0-draft"),
    served("wasi:keyvalue/atomics", "0.2.0-draft"),
    served("wasi:keyvalue/batch", "0.2.0-draft"),
    served("wasi:keyvalue/store", "0.2.0-draft2"),
    served("wasi:keyvalue/atomics", "0.2.0-draft2"),
    served("wasi:keyvalue/batch", "0.2.0-draft2"),
    served("wasi:blobstore/types", "0.2.0-draft"),
    served("wasi:blobstore/container", "0.2.0-draft"),
    served("wasi:blobstore/blobstore", "0.2.0-draft"),
    served("wasi:logging/logging", "0.1.0-draft"),
    served("wasi:logging/logging", ""),
];

/// Finds out who serves an import. Errors: [`ComponentError::UnknownImport`], with the nearest served name.
pub(super) fn check(full: &str) -> Result<Import, ComponentError> {
    let (name, version) = full.split_once('@').unwrap_or((full, ""));
    match SERVED
        .iter()
        .find(|served| served.name == name && same_track(served.version, version))
    {
        Some(served) => Ok(Import {
            name: full.to_owned(),
            needs_grant: served.needs_grant,
        }),
        None => Err(ComponentError::UnknownImport {
            name: full.to_owned(),
            nearest: nearest_served(name),
        }),
    }
}

fn nearest_served(name: &str) -> Option<String> {
    let names = SERVED.iter().map(|served| served.name);
    let found = nearest(name, names)?;
    SERVED
        .iter()
        .find(|served| served.name == found)
        .map(|served| format!("{found}@{}", served.version))
}

/// Whether two versions are compatible as semantic versioning has it: the same first number that is not 0. A pre-release is only
/// compatible with itself.
pub(super) fn same_track(served: &str, asked: &str) -> bool {
    fn track(version: &str) -> Option<(u64, u64, u64)> {
        let mut numbers = version.split('+').next()?.splitn(3, '.').map(str::parse);
        let (major, minor, patch) = (
            numbers.next()?.ok()?,
            numbers.next()?.ok()?,
            numbers.next()?.ok()?,
        );
        Some(match (major, minor) {
            (0, 0) => (0, 0, patch),
            (0, minor) => (0, minor, 0),
            (major, _) => (major, 0, 0),
        })
    }
    served == asked || track(served).is_some_and(|served| Some(served) == track(asked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_patch_of_the_served_track_is_served() {
        for name in [
            "wasi:cli/stdout@0.2.0",
            "wasi:io/streams@0.2.99",
            "granary:grain/state@0.1.7",
        ] {
            assert_eq!(
                check(name),
                Ok(Import {
                    name: name.into(),
                    needs_grant: None
                })
            );
        }
        assert_eq!(
            check("wasi:http/outgoing-handler@0.2.3")
                .unwrap()
                .needs_grant,
            Some("http")
        );
        assert_eq!(
            check("wasi:config/store@0.2.0-rc.1").unwrap().needs_grant,
            Some("config")
        );
    }

    #[test]
    fn an_unknown_import_is_named_with_the_nearest() {
        let nearest = |name: &str| match check(name) {
            Err(ComponentError::UnknownImport { nearest, .. }) => nearest,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            nearest("wasi:cli/stdou@0.2.0").as_deref(),
            Some("wasi:cli/stdout@0.2.12")
        );
        assert_eq!(
            nearest("wasi:cli/stdout@0.3.0").as_deref(),
            Some("wasi:cli/stdout@0.2.12")
        );
        assert_eq!(
            nearest("granary:grain/stat@0.1.0").as_deref(),
            Some("granary:grain/state@0.1.0")
        );
        assert_eq!(
            nearest("wasi:http/types@0.2.0-rc-2023-11-10").as_deref(),
            Some("wasi:http/types@0.2.12")
        );
        assert_eq!(nearest("acme:warehouse/forklift@1.0.0"), None);
        assert_eq!(nearest("frobnicate"), None);
    }
}
