import assert from "node:assert/strict";
import { test } from "node:test";

import { AnswerError, CallError, calls, context, Err, grain, integer, list, nullable, oneOf, optional, record, state, StateError, StateTypeError, Table, text, Value } from "@granary/sdk";
import { Host } from "@granary/sdk/testing";

const count = new Value("count", integer);
const item = record({ name: text, count: integer, note: optional(text) });
const items = new Table("item/", item);

test("a counter is kept as a plain number", () => {
  const host = new Host();
  assert.equal(count.get(), undefined);
  count.set(count.get(0) + 5);
  assert.deepEqual([...host.state], [["count", "5"]]);
  assert.equal(count.get(0), 5);
  count.delete();
  assert.equal(count.get(7), 7);
});

test("a stored value that does not fit is a typed error with both versions, and is left as it is", () => {
  const host = new Host({ revision: 3 });
  host.state.set("item/tea", '{"name":"tea","pieces":2}');
  assert.throws(
    () => items.get("tea"),
    (error) => {
      assert(error instanceof StateTypeError);
      assert.deepEqual([error.key, error.revision], ["item/tea", 3]);
      assert.equal(error.expected, "{name: text, count: integer, note?: text}");
      assert.equal(error.found, "{name: text, pieces: integer}");
      assert.match(error.message, /at \/count/);
      return true;
    },
  );
  assert.equal(host.state.get("item/tea"), '{"name":"tea","pieces":2}');
  host.state.set("count", "not json");
  assert.throws(() => count.get(), StateTypeError);
});

test("an integer beyond 2^53 is a typed error and not a rounded number", () => {
  const host = new Host();
  host.state.set("count", "18446744073709551615");
  assert.throws(() => count.get(), (error) => error instanceof StateTypeError && error.found === "integer beyond 2^53");
});

test("a value that does not fit its shape is not written", () => {
  const host = new Host();
  for (const wrong of ["5", null, undefined, 1.5, NaN, 2 ** 53]) assert.throws(() => count.set(wrong), StateTypeError);
  assert.throws(() => items.set("tea", { name: "tea", count: 1, colour: "red" }), /no such field/);
  assert.equal(host.state.size, 0);
});

test("a table lists its rows over many pages, and keeps texts of every language", () => {
  const host = new Host();
  for (let at = 0; at < 600; at++) items.set(String(at).padStart(4, "0"), { name: "Grüße 😀 \ud800", count: at });
  host.state.set("other", "1");
  const rows = [...items.entries()];
  assert.equal(rows.length, 600);
  assert.deepEqual(rows[599], ["0599", { name: "Grüße 😀 \ud800", count: 599 }]);
  items.delete("0000");
  assert.equal(items.has("0000"), false);
});

test("a refusal of the host is an error with its code", () => {
  new Host({ readOnly: true });
  assert.throws(() => count.set(1), (error) => error instanceof StateError && error.code === "read-only");
  new Host();
  assert.throws(() => state.setBytes("", new Uint8Array()), (error) => error.code === "bad-key");
});

test("arguments and answers of calls are JSON, and their failures say whether there was an effect", () => {
  const host = new Host();
  host.answers["stock/tea take"] = (count) => ({ name: "tea", count });
  const stock = calls.grain("stock", "tea", { timeoutMs: 2000 });
  assert.deepEqual(stock.call("take", [3], item), { name: "tea", count: 3 });
  assert.throws(() => stock.call("take", [3], integer), AnswerError);
  assert.throws(() => stock.call("give"), (error) => error instanceof CallError && error.code === "not-found" && error.hadNoEffect);
  host.answers["stock/tea take"] = () => {
    throw host.failure("app", '{"short-of":2}');
  };
  assert.throws(() => stock.call("take", [9]), (error) => !error.hadNoEffect && error.app()["short-of"] === 2);
  host.answers["stock/tea take"] = () => {
    throw host.failure("deadlock", "a/1 → b/2 → a/1", [{ kind: "a", key: "1" }, { kind: "b", key: "2" }, { kind: "a", key: "1" }]);
  };
  assert.throws(() => stock.call("take", [9]), { message: "deadlock: a/1 → b/2 → a/1", circle: ["a/1", "b/2", "a/1"] });
  assert.deepEqual(calls.options(), { timeout: null, idempotencyKey: null });
  assert.deepEqual(calls.options({ timeoutMs: 2, idempotencyKey: "k" }), { timeout: 2e6, idempotencyKey: "k" });
  stock.send("note", ["x"], { delayMs: 1500 });
  for (const delayMs of [NaN, Infinity, 1e10]) {
    assert.throws(() => stock.send("note", ["x"], { delayMs }), { name: "RangeError", message: new RegExp(`^delayMs is ${delayMs}:`) });
  }
  assert.deepEqual(host.sent, [["stock/tea", "note", ["x"], 1500]]);
});

test("a turn knows itself", () => {
  new Host({ kind: "cart", key: "ada", caller: "shop/1", baggage: { colour: "blue" }, millisecondsLeft: 2500 });
  assert.deepEqual(context.selfId(), { kind: "cart", key: "ada" });
  assert.deepEqual(context.callChain(), [{ kind: "shop", key: "1" }]);
  assert.deepEqual([context.baggage("colour"), context.baggage("size")], ["blue", undefined]);
  assert.equal(context.millisecondsLeft(), 2500);
});

test("an Err is an answer; any other error is a trap with its message and stack", () => {
  const host = new Host();
  class Api {
    fail() {
      throw new Err({ tag: "too-long", val: 7 });
    }
    plain() {
      throw "words";
    }
    broken() {
      throw new TypeError("my words");
    }
    fine() {
      return this.fail.name;
    }
  }
  const api = grain(new Api());
  assert.throws(() => api.fail(), (error) => error.payload.val === 7);
  assert.throws(() => api.plain(), (error) => error === "words");
  assert.equal(new Err({ ids: [1n] }).message, '{"ids":["1"]}', "JSON has no `bigint`");
  assert.equal(api.fine(), "fail");
  assert.equal(host.trapped, false);
  assert.throws(() => api.broken());
  assert.equal(host.trapped, true);
  assert.match(host.lines.stderr.join("\n"), /^Uncaught TypeError: my words\n.*broken/s);
});

test("whatever is thrown, also by what is awaited, is told with its causes", async () => {
  const api = grain({
    thing() {
      throw { a: 1n };
    },
    async later() {
      throw new Error("outer", { cause: new TypeError("inner", { cause: "the disk" }) });
    },
    async refuse() {
      throw new Err("no");
    },
  });
  let host = new Host();
  assert.throws(() => api.thing());
  assert.equal(host.trapped, true);
  assert.equal(host.lines.stderr.join("\n"), 'Uncaught {"a":"1"}');
  host = new Host();
  await assert.rejects(api.later());
  assert.equal(host.trapped, true);
  assert.match(host.lines.stderr.join("\n"), /^Uncaught Error: outer\n.*Caused by: TypeError: inner\n.*Caused by: the disk$/s);
  host = new Host();
  await assert.rejects(api.refuse(), (error) => error.payload === "no");
  assert.equal(host.trapped, false);
});

test("a promise that fails is judged in the same way", async () => {
  const host = new Host();
  const api = grain({
    fail: async () => { throw new Err("no"); },
    broken: async () => { throw new TypeError("my words"); },
    fine: async () => 7,
  });
  await assert.rejects(api.fail(), (error) => error.payload === "no");
  assert.equal(await api.fine(), 7);
  assert.equal(host.trapped, false);
  await assert.rejects(api.broken());
  assert.equal(host.trapped, true);
});

test("shapes check what they say", () => {
  const shape = record({ colour: nullable(oneOf("red", "green")), sizes: list(integer) });
  assert.equal(shape.words, '{colour: "red" | "green" | null, sizes: [integer]}');
  shape.check({ colour: null, sizes: [1, 2] });
  assert.throws(() => shape.check({ colour: "blue", sizes: [] }), { path: "/colour" });
  assert.throws(() => shape.check({ colour: "red", sizes: [1, "2"] }), { path: "/sizes/1" });
  assert.throws(() => shape.check([]), { path: "" });
});
