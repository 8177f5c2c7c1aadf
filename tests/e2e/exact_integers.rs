//! Integers that the runtime of JavaScript does not pass exactly: what a kind in TypeScript takes, answers and asks others for is the number that
//! was meant, or is refused by its place.

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Cli, Flow, Node, Reply};

/// Beyond 2^53, and no number of JavaScript.
const BIG: &str = "9007199254740993";

/// What is called.
const WIDE: (&str, &str) = (
    "package test:wide@0.1.0;

interface api {
  record item { at: u64, ids: list<u64> }
  variant outcome { nothing, found(list<item>) }
  one: func(words: string) -> u64;
  all: func(words: list<string>) -> list<s64>;
  deep: func(at: string, id: string) -> outcome;
  fail: func(at: string, id: string) -> result<u32, item>;
  take: func(it: item) -> u64;
  small: func(value: u32, more: list<u32>) -> tuple<string, u32, list<u32>>;
  record reading { byte: u8, change: s16, all: list<s16>, port: option<u16> }
  read: func(byte: string, change: string, one: string, port: string) -> result<reading, s32>;
  signed: func(by: s32, bytes: list<u8>) -> s32;
}

world grain {
  include granary:grain/imports@0.1.0;
  export api;
  export look-up: func(at: u64) -> string;
}
",
    r#"import { Err, grain, state } from "@granary/sdk";
import type { Exports } from "test:wide/api@0.1.0";

// A number, or a `bigint` if an `n` follows.
const said = (words: string): number | bigint => (words.endsWith("n") ? BigInt(words.slice(0, -1)) : Number(words));
const item = (at: string, id: string) => ({ at: said(at), ids: [0, said(id)] });

export const api = grain<Exports>({
  one(words) {
    state.set("asked", words);
    return said(words);
  },
  all: (words) => words.map(said),
  deep: (at, id) => ({ tag: "found", val: [item(at, id)] }),
  fail(at, id): number {
    throw new Err(item(at, id));
  },
  take: ({ at }) => at,
  small: (value, more) => [`${value} ${more}`, value, more],
  read(byte, change, one, port) {
    state.set("read", byte);
    if (byte === "") throw new Err(Number(change));
    return { byte: Number(byte), change: Number(change), all: [0, Number(one)], port: port === "" ? null : Number(port) };
  },
  signed: (by, bytes) => by + bytes.length,
});

export const lookUp = (at: number) => `at ${at}`;
"#,
);

/// Who calls it by its types.
const ASKER: (&str, &str) = (
    "package test:asker@0.1.0;

interface api {
  /// What the method answered, or the error, as a text.
  ask: func(method: string, words: string) -> string;
  /// The same, where nobody looks at the error.
  trust: func(words: string) -> result<string, string>;
}

world grain {
  include granary:grain/imports@0.1.0;
  import wasi:random/random@0.2.6;
  import test:wide-client/api@0.1.0;
  import test:echo-client/echo@0.1.0;
  export api;
}
",
    r#"import { grain } from "@granary/sdk";
import type { Exports } from "test:asker/api@0.1.0";
import { Ref as Echo } from "test:echo-client/echo@0.1.0";
import all, { Ref } from "test:wide-client/api@0.1.0";
import { getRandomBytes, getRandomU64 } from "wasi:random/random@0.2.6";

const said = (words: string): number | bigint => (words.endsWith("n") ? BigInt(words.slice(0, -1)) : Number(words));

function answer(method: string, words: string): unknown {
  const [wide, echo] = [new all.Ref("a"), new Echo("a")];
  switch (method) {
    case "echo": return echo.unsigned64(said(words));
    case "echo-all": return echo.numbers([1, said(words)]);
    case "echo-one": return echo.unsigned32(Number(words));
    case "take": return wide.take({ at: said(words), ids: [] });
    case "all": return wide.all(["1", words]);
    case "fail": return wide.fail("1", words);
    case "deep": return wide.deep("1", words);
    case "signed": return wide.signed(Number(words), Uint8Array.of(1));
    case "bytes-of": return wide.signed(1, [0, Number(words)] as unknown as Uint8Array);
    case "random": for (let drawn = 0; drawn < 64; drawn++) getRandomU64();
  }
  return [wide instanceof Ref, getRandomBytes(2).length];
}

export const api = grain<Exports>({
  ask(method, words) {
    try {
      return JSON.stringify(answer(method, words));
    } catch (error: any) {
      return `${error.name}: ${error.message} ${JSON.stringify(error.payload)}`;
    }
  },
  trust(words) {
    return JSON.stringify(answer("all", words));
  },
});
"#,
);

/// A component of the other engine. Its tool takes no `async func` of an imported resource, so that it calls nobody by their types.
const LATER: (&str, &str) = (
    "package test:later@0.1.0;

interface api {
  one: async func(words: string, by: u64) -> u64;
  small: async func(value: u32) -> result<tuple<string, u32>, u32>;
  draw: async func() -> result<string, string>;
  steps: async func(words: list<string>) -> stream<u16>;
}

world grain {
  import wasi:random/random@0.2.6;
  export api;
}
",
    r#"import { Err, grain } from "@granary/sdk";
import type { Exports } from "test:later/api@0.1.0";
import { getRandomU64 } from "wasi:random/random@0.2.6";

export const api = grain<Exports>({
  async one(words, by) {
    return Number(words) + by;
  },
  async small(value) {
    if (value % 2 === 0) throw new Err(value);
    return [`${value}`, value];
  },
  async steps(words) {
    async function* steps() {
      for (const word of words) yield Number(word);
    }
    return steps();
  },
  async draw() {
    for (;;) getRandomU64();
  },
});
"#,
);

const RANDOM: &str = "package wasi:random@0.2.6;
interface random {
  get-random-bytes: func(len: u64) -> list<u8>;
  get-random-u64: func() -> u64;
}
";

async fn deploy(node: &Node, kind: &str, (wit, source): (&str, &str)) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |file: &str, text: &str| {
        let file = folder.path().join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    };
    write("wit/world.wit", wit);
    if wit.contains("wasi:random") {
        write("wit/deps/random.wit", RANDOM);
    }
    let manifest = format!("[kinds.{kind}]\nbuild = \".\"\nlanguage = \"ts\"\n");
    write("granary.toml", &manifest);
    write("grain.ts", source);
    Cli::run(folder.path(), Some(node), &["deploy"]).await.ok();
    folder
}

/// A turn that was ended without a trace, with these words.
#[track_caller]
fn refused(reply: &Reply, words: &str) {
    let problem = reply.problem(500);
    problem.is("guest-trap", &[]);
    assert_eq!(problem.outcome(), "no-effect");
    let said = problem.0["detail"].as_str().unwrap();
    assert!(said.contains(words), "{words}: {said}");
}

#[tokio::test]
async fn an_argument_that_would_be_rounded_is_refused_by_its_place() {
    let node = Node::start().await;
    node.deploy("torture-ts").await.ok();
    for (method, value, place) in [
        ("unsigned64", json!("18446744073709551615"), "'value' is"),
        ("signed64", json!("-9007199254740993"), "'value' is"),
        ("numbers", json!([1, BIG]), "'value[1]' is"),
        (
            "a-variant",
            json!({ "named": { "id": BIG, "name": "", "tag": null } }),
            "'value.named.id' is",
        ),
    ] {
        let reply = node.client().call("torture-ts/a", method, json!([value]));
        let place = format!("{place} an integer beyond 2^53");
        refused(&reply.await, &place);
    }
}

#[tokio::test]
async fn an_answer_of_typescript_is_exact() {
    let node = Node::start().await;
    deploy(&node, "wide", WIDE).await;
    let call = |method: &'static str, arguments: Value| {
        let client = node.client().clone();
        async move { client.call("wide/a", method, arguments).await }
    };
    for (method, arguments, answer) in [
        (
            "one",
            json!(["9007199254740991"]),
            json!(9_007_199_254_740_991_u64),
        ),
        ("one", json!(["7n"]), json!(7)),
        ("all", json!([["-1", "2n"]]), json!([-1, 2])),
        (
            "all",
            json!([["1", "-9223372036854775808n"]]),
            json!([1, "-9223372036854775808"]),
        ),
        (
            "deep",
            json!(["1", "18446744073709551615n"]),
            json!({ "found": [{ "at": 1, "ids": [0, "18446744073709551615"] }] }),
        ),
        (
            "small",
            json!([4_294_967_295_u32, [2_147_483_648_u32, 1]]),
            json!([
                "4294967295 2147483648,1",
                4_294_967_295_u32,
                [2_147_483_648_u32, 1]
            ]),
        ),
        (
            "look-up",
            json!(["9007199254740991"]),
            json!("at 9007199254740991"),
        ),
    ] {
        assert_eq!(call(method, arguments).await.ok(), answer, "{method}");
    }
    let err = call("fail", json!(["1", "9007199254740993n"])).await;
    assert_eq!(
        err.problem(400).0["error"],
        json!({ "at": 1, "ids": [0, BIG] })
    );
}

#[tokio::test]
async fn an_answer_of_typescript_that_cannot_be_exact_is_refused() {
    let node = Node::start().await;
    deploy(&node, "wide", WIDE).await;
    let call = |method: &'static str, arguments: Value| {
        let client = node.client().clone();
        async move { client.call("wide/a", method, arguments).await }
    };
    call("one", json!(["7n"])).await.ok();
    for (method, arguments, words) in [
        (
            "one",
            json!([BIG]),
            "one: 'result' is 9007199254740992, and beyond 2^53",
        ),
        (
            "one",
            json!(["9007199254740993n"]),
            "one: 'result' is 9007199254740993, and beyond 2^53",
        ),
        ("one", json!(["-1"]), "one: 'result' is -1, outside of u64"),
        (
            "one",
            json!(["1.5"]),
            "one: 'result' is 1.5, and no whole number",
        ),
        (
            "all",
            json!([["1", BIG]]),
            "all: 'result[1]' is 9007199254740992",
        ),
        (
            "deep",
            json!([BIG, "1"]),
            "deep: 'result.found[0].at' is 9007199254740992",
        ),
        (
            "fail",
            json!([BIG, "1"]),
            "fail: 'result.err.at' is 9007199254740992",
        ),
        (
            "look-up",
            json!([BIG]),
            "lookUp: 'at' is an integer beyond 2^53",
        ),
    ] {
        refused(&call(method, arguments).await, words);
    }
    let kept = node.client().get("/v1/state/wide/a/asked").await.text();
    assert_eq!(
        kept, "\"7n\"",
        "of a turn whose answer was refused nothing is left"
    );
}

#[tokio::test]
async fn a_small_integer_of_typescript_is_not_cut_to_size() {
    let node = Node::start().await;
    deploy(&node, "wide", WIDE).await;
    let read = async |words: [&str; 4]| node.client().call("wide/a", "read", json!(words)).await;
    assert_eq!(
        read(["255", "-32768", "127", ""]).await.ok(),
        json!({ "byte": 255, "change": -32768, "all": [0, 127], "port": null })
    );
    for (words, said) in [
        (
            ["256", "0", "0", ""],
            "read: 'result.ok.byte' is 256, outside of u8",
        ),
        (
            ["1.5", "0", "0", ""],
            "read: 'result.ok.byte' is 1.5, and no whole number",
        ),
        (
            ["x", "0", "0", ""],
            "read: 'result.ok.byte' is NaN, and no whole number",
        ),
        (
            ["1", "-32769", "0", ""],
            "read: 'result.ok.change' is -32769, outside of s16",
        ),
        (
            ["1", "0", "-32769", ""],
            "read: 'result.ok.all[1]' is -32769, outside of s16",
        ),
        (
            ["1", "0", "0", "65536"],
            "read: 'result.ok.port' is 65536, outside of u16",
        ),
        (
            ["", "2147483648", "", ""],
            "read: 'result.err' is 2147483648, outside of s32",
        ),
    ] {
        refused(&read(words).await, said);
    }
    let kept = node.client().get("/v1/state/wide/a/read").await.text();
    assert_eq!(kept, "\"255\"", "of the refused turns nothing is left");
    let err = read(["", "-2147483648", "", ""]).await;
    assert_eq!(err.problem(400).0["error"], -2_147_483_648_i64);
}

/// Method, words, and what the answer or the error says.
const TYPED: [(&str, &str, &str); 24] = [
    ("echo", "9007199254740991", "9007199254740991"),
    ("echo", "7n", "7"),
    (
        "echo",
        BIG,
        "RangeError: test:echo-client/echo@0.1.0 Ref.unsigned64: 'value' is 9007199254740992, and beyond 2^53",
    ),
    (
        "echo",
        "9007199254740993n",
        "Ref.unsigned64: 'value' is 9007199254740993, and beyond 2^53",
    ),
    (
        "echo",
        "0.5",
        "Ref.unsigned64: 'value' is 0.5, and no whole number",
    ),
    ("echo-all", "-7n", "[1,-7]"),
    (
        "echo-all",
        BIG,
        "Ref.numbers: 'value[1]' is 9007199254740992, and beyond 2^53",
    ),
    // It went there exactly, and came back.
    (
        "echo-all",
        "9007199254740993n",
        "RangeError: test:echo-client/echo@0.1.0 Ref.numbers: 'result.ok[1]' is an integer beyond 2^53",
    ),
    ("echo-one", "4294967295", "4294967295"),
    (
        "echo-one",
        "4294967296",
        "Ref.unsigned32: 'value' is 4294967296, outside of u32",
    ),
    ("signed", "-2147483648", "-2147483647"),
    (
        "signed",
        "2147483648",
        "RangeError: test:wide-client/api@0.1.0 Ref.signed: 'by' is 2147483648, outside of s32",
    ),
    (
        "signed",
        "0.5",
        "Ref.signed: 'by' is 0.5, and no whole number",
    ),
    ("bytes-of", "255", "3"),
    (
        "bytes-of",
        "256",
        "Ref.signed: 'bytes[1]' is 256, outside of u8",
    ),
    ("take", "5", "5"),
    (
        "take",
        "-5",
        "RangeError: test:wide-client/api@0.1.0 Ref.take: 'it.at' is -5, outside of u64",
    ),
    ("all", "-9007199254740991", "[1,-9007199254740991]"),
    (
        "all",
        "9007199254740993n",
        "Ref.all: 'result.ok[1]' is an integer beyond 2^53",
    ),
    (
        "deep",
        "9007199254740993n",
        "Ref.deep: 'result.ok.found[0].ids[1]' is an integer beyond 2^53",
    ),
    ("fail", "3", "\"val\":{\"at\":1,\"ids\":[0,3]}"),
    (
        "fail",
        "9007199254740993n",
        "Ref.fail: 'result.err.app.ids[1]' is an integer beyond 2^53",
    ),
    (
        "random",
        "",
        "RangeError: wasi:random/random@0.2.6 getRandomU64: 'result' is an integer beyond 2^53",
    ),
    ("bytes", "", "[true,2]"),
];

#[tokio::test]
async fn a_typed_call_of_typescript_is_exact_or_refused() {
    let node = Node::serving(&["echo"]).await;
    deploy(&node, "wide", WIDE).await;
    deploy(&node, "asker", ASKER).await;
    let ask = async |method: &str, words: Value| {
        let client = node.client();
        client.call("asker/a", method, words).await
    };
    for (method, words, expected) in TYPED {
        let answer = ask("ask", json!([method, words])).await.ok();
        let answer = answer.as_str().unwrap();
        assert!(answer.contains(expected), "{method} {words}: {answer}");
    }
    // Nobody took it for an answer.
    let uncaught = ask("trust", json!(["9007199254740993n"])).await;
    let words = "Ref.all: 'result.ok[1]' is an integer beyond 2^53";
    refused(&uncaught, words);
    assert_eq!(ask("trust", json!(["4"])).await.ok(), "[1,4]");
}

#[tokio::test]
async fn an_async_answer_of_typescript_is_exact_or_refused() {
    let node = Node::start().await;
    deploy(&node, "later", LATER).await;
    let call = async |method: &str, arguments: Value| {
        let client = node.client();
        client.call("later/a", method, arguments).await
    };
    assert_eq!(call("one", json!(["7", 2])).await.ok(), 9);
    for (words, by, said) in [
        ("-7", json!(2), "one: 'result' is -5, outside of u64"),
        ("0.5", json!(2), "one: 'result' is 2.5, and no whole number"),
        ("7", json!(BIG), "one: 'by' is an integer beyond 2^53"),
    ] {
        refused(&call("one", json!([words, by])).await, said);
    }
    let steps = async |words: Value| {
        let client = node.client();
        let request = client.request(Method::POST, "/g/later/a/steps");
        let request = request.header("accept", "application/x-ndjson");
        Flow::send(request.json(&json!([words]))).await
    };
    let fits = steps(json!(["0", "65535"])).await.lines().await;
    assert_eq!(fits, ["0", "65535"]);
    let mut broken = steps(json!(["7", "65536", "8"])).await;
    assert_eq!(broken.line().await.as_deref(), Some("7"));
    let problem = broken.line().await.unwrap();
    let said = "steps: 'result[1]' is 65536, outside of u16";
    assert!(problem.contains(said), "{problem}");
    let small = call("small", json!([4_294_967_295_u32])).await;
    assert_eq!(small.ok(), json!(["4294967295", 4_294_967_295_u32]));
    let err = call("small", json!([4_294_967_294_u32])).await;
    assert_eq!(err.problem(400).0["error"], 4_294_967_294_u32);
    let drawn = call("draw", json!([])).await;
    refused(
        &drawn,
        "RangeError: wasi:random/random@0.2.6 getRandomU64: 'result' is",
    );
}
