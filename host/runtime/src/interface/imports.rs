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
    served("granary:grain/async-state", "0.1.0"),
    served("granary:grain/calls", "0.1.0"),
    served("granary:grain/async-calls", "0.1.0"),
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

/// Every interface that the host calls, with its version.
const CALLED: &[(&str, &str)] = &[
    ("granary:grain/lifecycle", "0.1.0"),
    ("granary:grain/migration", "0.1.0"),
    ("wasi:http/incoming-handler", "0.2.12"),
];

/// Finds out who serves an import. Errors: [`ComponentError::OtherVersion`], with the versions that are served;
/// [`ComponentError::UnknownImport`], with the nearest served name.
pub(super) fn check(full: &str) -> Result<Import, ComponentError> {
    let (name, version) = full.split_once('@').unwrap_or((full, ""));
    let of_that_name = || SERVED.iter().filter(|served| served.name == name);
    if let Some(served) = of_that_name().find(|served| same_track(served.version, version)) {
        return Ok(Import {
            name: full.to_owned(),
            needs_grant: served.needs_grant,
        });
    }
    // The other interfaces of a package of another version are as far away as those that this host knows by name.
    let versions = match versions(of_that_name().map(|served| served.version)) {
        versions if versions.is_empty() => package_versions(name, version),
        versions => versions,
    };
    if versions.is_empty() {
        return Err(ComponentError::UnknownImport {
            name: full.to_owned(),
            nearest: nearest_served(name),
        });
    }
    Err(ComponentError::OtherVersion {
        side: "imports",
        name: full.to_owned(),
        versions,
    })
}

/// Looks at an export. Errors: [`ComponentError::OtherVersion`] for one
/// that the host would call in another version, and would silently leave out otherwise.
pub(super) fn check_export(full: &str) -> Result<(), ComponentError> {
    let (name, version) = full.split_once('@').unwrap_or((full, ""));
    let package = package_of(name);
    let is_ours = package == "granary:grain";
    // What became of `incoming-handler` in the next version.
    let is_handler = name == "wasi:http/handler";
    let called = CALLED
        .iter()
        .find(|(called, _)| *called == name || is_handler && package_of(called) == package);
    match called {
        Some((_, served)) if same_track(served, version) && !is_handler => Ok(()),
        None if !is_ours => Ok(()),
        Some((_, served)) => Err(other_export(full, served)),
        None => Err(other_export(full, "0.1.0")),
    }
}

/// The version in which the host calls an interface.
pub(super) fn called_version(name: &str) -> Option<&'static str> {
    let called = CALLED.iter().find(|(called, _)| *called == name);
    called.map(|(_, version)| *version)
}

/// The served interfaces of an interface's package.
pub(super) fn siblings(full: &str) -> Vec<&'static str> {
    let mut names: Vec<_> = SERVED
        .iter()
        .map(|served| served.name)
        .filter(|name| package_of(name) == package_of(full))
        .collect();
    names.dedup();
    names
}

fn other_export(full: &str, served: &str) -> ComponentError {
    ComponentError::OtherVersion {
        side: "exports",
        name: full.to_owned(),
        versions: vec![served.to_owned()],
    }
}

fn package_of(name: &str) -> &str {
    name.split_once('/').map_or(name, |(package, _)| package)
}

/// The served versions of a package, unless the one that was asked for is among them: then it is the interface that is wrong.
fn package_versions(name: &str, asked: &str) -> Vec<String> {
    let of_package = SERVED
        .iter()
        .filter(|served| package_of(served.name) == package_of(name))
        .map(|served| served.version);
    let versions = versions(of_package);
    if versions.iter().any(|served| same_track(served, asked)) {
        return Vec::new();
    }
    versions
}

fn versions<'a>(of: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut versions: Vec<String> = of
        .filter(|version| !version.is_empty())
        .map(str::to_owned)
        .collect();
    versions.sort_unstable();
    versions.dedup();
    versions
}

/// Within a package that is served only its own interfaces are compared: what they share says nothing.
fn nearest_served(name: &str) -> Option<String> {
    let found = match siblings(name) {
        siblings if siblings.is_empty() => nearest(name, SERVED.iter().map(|served| served.name))?,
        siblings => {
            let package = package_of(name).len();
            let interface = name.get(package..)?;
            let found = nearest(interface, siblings.iter().map(|name| &name[package..]))?;
            siblings.into_iter().find(|name| name.ends_with(found))?
        }
    };
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
    fn another_version_is_told_from_another_name() {
        let other = |refused: Result<(), ComponentError>| match refused {
            Err(ComponentError::OtherVersion { versions, .. }) => versions.join(" "),
            other => panic!("{other:?}"),
        };
        let import = |name: &str| other(check(name).map(drop));
        assert_eq!(import("granary:grain/state@0.2.0"), "0.1.0");
        assert_eq!(import("granary:grain/topics@0.2.0"), "0.1.0");
        assert_eq!(import("wasi:http/types@0.2.0-rc-2023-11-10"), "0.2.12");
        assert_eq!(import("wasi:http/client@0.3.0"), "0.2.12");
        assert_eq!(
            import("wasi:keyvalue/store@0.3.0"),
            "0.2.0-draft 0.2.0-draft2"
        );
        let export = |name: &str| other(check_export(name));
        assert_eq!(export("granary:grain/lifecycle@0.2.0"), "0.1.0");
        assert_eq!(export("granary:grain/subscriber@0.2.0"), "0.1.0");
        assert_eq!(export("wasi:http/handler@0.3.0"), "0.2.12");
        assert_eq!(
            export("wasi:http/incoming-handler@0.2.0-rc-2023-10-18"),
            "0.2.12"
        );
        for name in [
            "granary:grain/lifecycle@0.1.3",
            "wasi:http/incoming-handler@0.2.0",
            "wasi:cli/run@0.3.0",
            "demo:shop/cart",
        ] {
            assert_eq!(check_export(name), Ok(()));
        }
        let told = check("granary:grain/state@0.2.0").unwrap_err().to_string();
        assert_eq!(
            told,
            "the component was built against granary:grain@0.2.0 (it imports `granary:grain/state@0.2.0`), this host has granary:grain@0.1.0: build it against that version, or run a newer granary"
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
            nearest("granary:grain/stat@0.1.0").as_deref(),
            Some("granary:grain/state@0.1.0")
        );
        assert_eq!(nearest("acme:warehouse/forklift@1.0.0"), None);
        assert_eq!(nearest("frobnicate"), None);
        let told = check("fermyon:spin/postgres@2.0.0").unwrap_err();
        assert!(
            told.to_string().ends_with(
                "; of that package it has fermyon:spin/variables, fermyon:spin/key-value"
            ),
            "{told}"
        );
    }
}
