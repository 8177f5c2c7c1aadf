use std::path::Path;

use super::*;
use crate::compare::in_words;
use crate::interface::sample;
use crate::{ClientImport, ComponentError, Interface, compare_client};

fn client_of(interface: &Interface, is_async: bool) -> String {
    let look = Look {
        package: package("shop", &interface.methods).unwrap(),
        is_async,
    };
    wit(&interface.methods, &look).unwrap()
}

/// A component that imports a client's `api`, as it is inspected.
fn caller_of(client: &str) -> Result<Interface, ComponentError> {
    let own = "package demo:caller@0.1.0;\ninterface mine { go: func(); }\nworld grain { import demo:shop-client/api@0.1.0; export mine; }\n";
    Interface::inspect(&sample::component_beside(&[client], own))
}

fn import_of(items: &str) -> Arc<ClientImport> {
    let caller = caller_of(&client_of(&sample::api(items), false)).unwrap();
    assert_eq!(caller.clients.len(), 1);
    caller.clients[0].clone()
}

const ITEMS: &str = "
    use granary:grain/types@0.1.0.{grain-id};
    record ref { id: u64, %record: option<string> }
    variant call-error { no, %flags(list<ref>) }
    type amount = u32;
    plain: func();
    put: func(it: ref, by: grain-id) -> result<amount, call-error>;
    take: func(%list: list<u8>) -> result<_, call-error>;
    text: func() -> result<string, string>;
    odd: func() -> result<u8, tuple<u8, u8>>;
    half: func() -> result<u8>;
    with-options: func() -> tuple<amount, result<_, string>>;
";

#[test]
fn a_client_states_the_types_again_and_merges_the_errors() {
    let text = client_of(&sample::api(ITEMS), false);
    let expected = "/// Calls to grains of the kind `shop`. Made by `granary wit client shop` from what the kind exports; make it anew instead of changing it.
package demo:shop-client@0.1.0;

/// What `demo:shop/api@0.1.0` offers to other grains.
interface api {
  use granary:grain/types@0.1.0.{call-error, grain-id};

  record api-ref {
    id: u64,
    %record: option<string>,
  }

  type amount = u32;

  variant api-call-error {
    no,
    %flags(list<api-ref>),
  }

  /// Why there is no answer.
  variant api-call-error-or-call {
    /// The method's own error. Its turn was committed, unless the kind says otherwise.
    app(api-call-error),
    /// The call failed.
    call(call-error),
  }

  /// Why there is no answer.
  variant string-or-call {
    /// The method's own error. Its turn was committed, unless the kind says otherwise.
    app(string),
    /// The call failed.
    call(call-error),
  }

  /// Why there is no answer.
  variant odd-err-or-call {
    /// The method's own error. Its turn was committed, unless the kind says otherwise.
    app(tuple<u8, u8>),
    /// The call failed.
    call(call-error),
  }

  /// Why there is no answer.
  variant none-or-call {
    /// The method's own error. Its turn was committed, unless the kind says otherwise.
    app,
    /// The call failed.
    call(call-error),
  }

  /// A grain. Making one reaches nobody: a first call activates the grain, and answers `invalid` if the key is none.
  resource ref {
    constructor(key: string);
    plain: func() -> result<_, call-error>;
    put: func(it: api-ref, by: grain-id) -> result<amount, api-call-error-or-call>;
    take: func(%list: list<u8>) -> result<_, api-call-error-or-call>;
    text: func() -> result<string, string-or-call>;
    odd: func() -> result<u8, odd-err-or-call>;
    half: func() -> result<u8, none-or-call>;
    with-options: func() -> result<tuple<amount, result<_, string>>, call-error>;
  }
}
";
    assert_eq!(text, expected);
}

#[test]
fn a_client_fits_the_kind_that_it_was_made_from() {
    let client = import_of(ITEMS);
    assert_eq!(
        (&*client.package, &*client.interface, client.kind.as_str()),
        ("demo:shop-client", "api", "shop")
    );
    let names: Vec<_> = client.methods.iter().map(|known| &*known.import).collect();
    assert!(names.contains(&"[method]ref.put"), "{names:?}");
    assert_eq!(compare_client(&client, &sample::api(ITEMS)), []);
}

#[test]
fn an_async_client_asks_for_the_async_engine() {
    let text = client_of(&sample::api("add: func(by: u32) -> u32;"), true);
    assert!(
        text.contains("add: async func(by: u32) -> result<u32, call-error>;"),
        "{text}"
    );
    assert!(caller_of(&text).unwrap().is_async);
}

#[test]
fn what_does_not_fit_is_named_from_the_client_s_side() {
    let client = import_of("record it { id: u8 } put: func(it: it, by: u32) -> u32; gone: func();");
    let wider = sample::api(
        "record it { id: u64, tag: option<string> } put: func(it: it, by: u32, more: option<u8>) -> u16; gone: func() -> u8; new: func();",
    );
    assert_eq!(compare_client(&client, &wider), []);
    let other = sample::api("record it { id: string } put: func(it: it, by: u32) -> u64;");
    assert_eq!(
        in_words(&compare_client(&client, &other)),
        "put/it/id: type changed from u8 to string; put/result: u32 became u64, which is wider; gone: there is no such method"
    );
}

#[test]
fn a_package_that_only_has_the_name_of_a_client_is_refused() {
    let refused = |items: &str| {
        let text = format!("package demo:shop-client@0.1.0;\ninterface api {{\n{items}\n}}\n");
        match caller_of(&text) {
            Err(ComponentError::Client { import, why }) => {
                assert_eq!(import, "demo:shop-client/api@0.1.0");
                why
            }
            other => panic!("{other:?}"),
        }
    };
    let why = refused("add: func(by: u32) -> u32;");
    assert!(
        why.contains("`add` is no method of the resource `ref`"),
        "{why}"
    );
    let why = refused("resource grain { constructor(key: string); }");
    assert!(why.contains("called `grain`, not `ref`"), "{why}");
    let why = refused("resource ref { constructor(key: u32); }");
    assert!(why.contains("from key"), "{why}");
    let why = refused("resource ref { constructor(key: string); add: func() -> u32; }");
    assert!(why.contains("`add` does not return a `result`"), "{why}");
    let why = refused(
        "record call-error { code: u8, text: string, circle: list<string> } resource ref { add: func() -> result<u32, call-error>; }",
    );
    assert!(why.contains("holds a `call-error`"), "{why}");
}

#[test]
fn a_kind_without_an_interface_has_no_client() {
    let at_root =
        sample::interface("package demo:root@0.1.0;\nworld grain { export add: func(); }\n");
    assert_eq!(
        package("root", &at_root.methods),
        Err(ClientError::NothingToCall)
    );
    let methods = sample::api("add: func();").methods;
    let look = Look {
        package: "demo:shop".to_owned(),
        is_async: false,
    };
    assert_eq!(
        wit(&methods, &look),
        Err(ClientError::Name {
            name: "demo:shop".to_owned()
        })
    );
}

fn write(folder: &Path, name: &str, text: &str) {
    let file = folder.join(name);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
}

#[test]
fn the_wit_of_a_kind_is_enough_even_where_its_own_clients_are_missing() {
    let folder = tempfile::tempdir().unwrap();
    let world = "package demo:shop@0.2.0;\ninterface api { go: async func() -> u8; }\nworld grain { include granary:grain/imports@0.1.0; import demo:stock-client/api@1.0.0; import demo:held-client/api; export api; }\n";
    write(folder.path(), "shop.wit", world);
    let held = "package demo:held-client;\ninterface api { resource ref; }\n";
    write(folder.path(), "deps/by-hand.wit", held);
    let methods = methods_of_wit(folder.path()).unwrap();
    assert_eq!(package("shop", &methods).unwrap(), "demo:shop-client@0.2.0");
    let stock = Missing {
        package: "demo:stock-client@1.0.0".to_owned(),
        name: "demo:stock-client".to_owned(),
        kind: "stock".to_owned(),
        is_async: true,
    };
    assert_eq!(missing(folder.path(), |_| false).unwrap(), [stock]);
    write(
        folder.path(),
        "shop.wit",
        "package demo:shop@0.2.0;\ninterface {\n",
    );
    let error = missing(folder.path(), |_| false).unwrap_err().to_string();
    assert!(error.contains("shop.wit:2:11"), "{error}");
}

#[test]
fn every_file_of_the_contract_is_at_hand() {
    let contract = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let mut files: Vec<_> = std::fs::read_dir(contract)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let mut held: Vec<_> = source::GRAIN.iter().map(|(name, _)| *name).collect();
    held.sort_unstable();
    assert_eq!(held, files);
}
