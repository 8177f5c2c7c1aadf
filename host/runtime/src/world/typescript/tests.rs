use super::*;
use crate::world::tests::open;

#[test]
fn an_exported_interface_is_what_an_object_has_to_fit() {
    let world = open(
        "package a:b@0.1.0;
             interface types { record both { one-name: u8, other: option<string> } }
             interface api {
               use types.{both};
               variant why { empty, too-long(u32) }
               enum color { red, dark-green }
               flags may { read, look-around }
               /// Adds an item.
               add: func(item: string, maybe: option<both>) -> result<u32, why>;
               find: async func(key: list<u8>) -> option<list<both>>;
               %delete: func(what: tuple<color, may>, deep: option<option<u8>>);
             }
             world grain {
               use types.{both};
               record sought { maybe: option<both> }
               export api;
               export look-up: async func(key: sought) -> result<both, string>;
             }",
    )
    .unwrap();
    let text = world.typescript(&BTreeSet::new());
    let expected = "
declare module \"a:b/types@0.1.0\" {
  export type Both = { oneName: number; other: string | null };
  const all: {  };
  export default all;
}

declare module \"a:b/api@0.1.0\" {
  export type Both = import(\"a:b/types@0.1.0\").Both;
  export type Why = { tag: \"empty\" } | { tag: \"too-long\"; val: number };
  export type Color = \"red\" | \"dark-green\";
  export type May = { read: boolean; lookAround: boolean };
  export interface Exports {
    /** Adds an item. */
    add: (item: string, maybe: Both | null) => number;
    find: (key: Uint8Array) => Promise<Array<Both> | null | undefined>;
    delete: (what: [Color, May], deep: { tag: \"none\" } | { tag: \"some\"; val: number | null }) => void;
  }
}
";
    assert!(text.ends_with(expected), "{text}");
    let wanted = world.expected();
    let places: Vec<&str> = wanted.iter().map(|one| one.place.as_str()).collect();
    assert_eq!(places, ["lookUp", "api.add", "api.find", "api.delete"]);
    assert_eq!(
        wanted[0].wanted,
        "((key: { maybe: import(\"a:b/types@0.1.0\").Both | null }) => Promise<import(\"a:b/types@0.1.0\").Both>)"
    );
    assert_eq!(
        wanted[1].wanted,
        "import(\"a:b/api@0.1.0\").Exports[\"add\"]"
    );
}

#[test]
fn an_imported_interface_is_a_module_of_functions_and_classes() {
    let world = open(
        "package a:b@0.1.0;
             interface other {
               resource ref {
                 constructor(key: string);
                 get: func(limit: option<u8>) -> result<_, string>;
                 find: static func() -> own<ref>;
               }
               %delete: func() -> char;
             }
             interface known { f: func(); }
             world grain { import other; import known; }",
    )
    .unwrap();
    let text = world.typescript(&BTreeSet::from(["a:b/known@0.1.0"]));
    let expected = "
declare module \"a:b/other@0.1.0\" {
  export class Ref {
    constructor(key: string);
    get(limit: number | null | undefined): void;
    static find(): Ref;
  }
  function delete_(): string;
  export { delete_ as delete };
  const all: { delete: typeof delete_; Ref: typeof Ref };
  export default all;
}
";
    assert!(text.ends_with(expected), "{text}");
    assert_eq!(world.expected(), []);
}

#[test]
fn a_64_bit_integer_that_goes_out_may_be_a_bigint() {
    let world = open(
            "package a:b@0.1.0;
             interface types {
               record item { id: u64, all: list<s64>, kind: color }
               enum color { red }
             }
             interface api {
               use types.{item, color};
               type ids = list<u64>;
               turn: func(it: item, ids: ids, maybe: option<s64>) -> result<tuple<item, ids, option<u64>, color>, item>;
             }
             interface other {
               use types.{item};
               resource ref { put: func(it: list<item>) -> u64; }
             }
             world grain { import other; export api; export one: func(it: u64) -> s64; }",
        ).unwrap();
    let text = world.typescript(&BTreeSet::new());
    let types = "
declare module \"a:b/types@0.1.0\" {
  export type Color = \"red\";
  export type Item = { id: number; all: Array<number>; kind: Color };
  export namespace Out {
    export type Item = { id: number | bigint; all: Array<number | bigint> | BigInt64Array; kind: Color };
  }
";
    let other = "
declare module \"a:b/other@0.1.0\" {
  export type Item = import(\"a:b/types@0.1.0\").Item;
  export class Ref {
    put(it: Array<Out.Item>): number;
  }
  export namespace Out {
    export type Item = import(\"a:b/types@0.1.0\").Out.Item;
  }
";
    let api = "
declare module \"a:b/api@0.1.0\" {
  export type Item = import(\"a:b/types@0.1.0\").Item;
  export type Color = import(\"a:b/types@0.1.0\").Color;
  export type Ids = Array<number>;
  export namespace Out {
    export type Item = import(\"a:b/types@0.1.0\").Out.Item;
    export type Ids = Array<number | bigint> | BigUint64Array;
  }
  export interface Exports {
    turn: (it: Item, ids: Ids, maybe: number | null) => [Out.Item, Out.Ids, number | bigint | null | undefined, Color];
  }
}
";
    for module in [types, other, api] {
        assert!(text.contains(module), "{text}");
    }
    assert_eq!(
        world.expected()[0].wanted,
        "((it: number) => number | bigint)"
    );
}
