import assert from "node:assert/strict";
import { test } from "node:test";

import { Host } from "@granary/sdk/testing";
import { exported, imported } from "../src/exact.js";

const WIDE = 2 ** 60;
// Beyond 2^53, and beyond what 64 bits hold.
const BIG = 9_007_199_254_740_993n;
const HUGE = 2n ** 64n;

/** Calls a method that answers what `give` says, or throws that. */
function answered(shape, give, error) {
  const host = new Host();
  const { f } = exported({ f: give }, { f: { parameters: [], result: ["result", shape], error: error && ["result.err", error] } });
  try {
    return f();
  } finally {
    // The words, where the turn was ended.
    if (host.trapped) throw new Error(host.lines.stderr.join());
  }
}

function refused(shape, value, words) {
  const isSaid = (error) => error.message.startsWith(`Uncaught RangeError: f: ${words}\n`);
  assert.throws(() => answered(shape, () => value), isSaid, words);
}

test("an argument that was rounded ends the turn before the method sees it", () => {
  const places = {
    plain: ["u64", 5, 2 ** 53, ""],
    wrapped: ["u64", 0, -1, ""],
    negative: ["s64", -(2 ** 53) + 1, -(2 ** 63), ""],
    maybe: ["u64", null, 2 ** 64, ""],
    list: [{ each: "u64" }, [1, 2], [1, WIDE], "[1]"],
    record: [{ fields: { theId: "s64" } }, { theId: 1, other: WIDE }, { theId: WIDE }, ".theId"],
    variant: [{ cases: { many: { each: "u64" } } }, { tag: "other", val: WIDE }, { tag: "many", val: [WIDE] }, ".many[0]"],
    map: [{ map: [null, "u64"] }, new Map([["a", 1]]), new Map([["a", WIDE]]), "[a]"],
  };
  for (const [name, [shape, fits, beyond, path]] of Object.entries(places)) {
    const host = new Host();
    const seen = [];
    const described = { parameters: [["first", null], [name, shape]] };
    const guarded = exported({ [name]: (...values) => seen.push(values) }, { [name]: described });
    guarded[name](WIDE, fits);
    assert.deepEqual(seen, [[WIDE, fits]]);
    assert.throws(() => guarded[name](1, beyond), /the grain trapped/);
    assert.ok(host.lines.stderr.join().includes(`${name}: '${name}${path}' is an integer beyond 2^53`), host.lines.stderr.join());
    assert.equal(seen.length, 1);
  }
});

test("a u32 comes in as it was meant, and goes out as the runtime takes it", () => {
  const shape = { fields: { at: "u32", all: { each: "u32" }, by: { map: ["u32", null] } } };
  const described = { parameters: [["it", shape]], result: ["result", shape] };
  let seen;
  const { f } = exported({ f: (it) => (seen = it) }, { f: described });
  const answer = f({ at: -1, all: [1, -(2 ** 31)], by: new Map([[-2, "x"]]), name: "n" });
  const meant = { at: 4_294_967_295, all: [1, 2 ** 31], by: new Map([[4_294_967_294, "x"]]), name: "n" };
  assert.deepEqual(seen, meant);
  assert.deepEqual([answer.at, answer.all, answer.by, answer.name], [-1, [1, -(2 ** 31)], new Map([[-2, "x"]]), "n"]);
  assert.equal(answered("u32", () => 7n), 7);
  const items = Uint32Array.of(2 ** 31);
  assert.equal(answered({ each: "u32" }, () => items), items);
  for (const value of [-1, 2 ** 32, 2n ** 32n]) refused("u32", value, `'result' is ${value}, outside of u32`);
});

test("an answer goes out exactly or not at all", () => {
  for (const [shape, value] of [["u64", 0], ["u64", 2 ** 53 - 1], ["s64", -(2 ** 53) + 1], ["u64", null]]) {
    assert.equal(answered(shape, () => value), value);
  }
  assert.equal(answered("s64", () => -5n), -5);
  refused("u64", 2 ** 53, "'result' is 9007199254740992, and beyond 2^53 JavaScript's numbers are rounded");
  refused("u64", BIG, `'result' is ${BIG}, and beyond 2^53 a bigint goes out in a list only`);
  refused("s64", 2 ** 63, "'result' is 9223372036854776000, outside of s64");
  refused("u64", HUGE, `'result' is ${HUGE}, outside of u64`);
  refused("u64", -1, "'result' is -1, outside of u64");
  refused("u64", 1.5, "'result' is 1.5, and no whole number");
  refused("s64", NaN, "'result' is NaN, and no whole number");
  refused("u64", Infinity, "'result' is Infinity, and no whole number");
  refused("u64", "5", "'result' is of the type string, and no integer");
  refused("u64", Promise.resolve(5), "'result' is of the type Promise, and no integer");
  refused({ each: "u64" }, new Set([1]), "'result' is of the type Set, and no array");
  const deep = { each: { fields: { 1: { cases: { some: "u64" } } } } };
  refused(deep, [[0, { tag: "none" }], [0, { tag: "some", val: -1 }]], "'result[1].1.some' is -1, outside of u64");
});

test("a small integer goes out as it was meant or not at all", () => {
  const types = { u8: [0, 255], u16: [0, 65_535], s8: [-128, 127], s16: [-32_768, 32_767], s32: [-(2 ** 31), 2 ** 31 - 1] };
  for (const [type, [least, most]] of Object.entries(types)) {
    for (const value of [least, most, null]) assert.equal(answered(type, () => value), value);
    assert.equal(answered(type, () => BigInt(most)), most);
    for (const value of [least - 1, most + 1, BigInt(most) + 1n, 2 ** 60]) refused(type, value, `'result' is ${value}, outside of ${type}`);
    for (const value of [0.5, NaN, -Infinity]) refused(type, value, `'result' is ${value}, and no whole number`);
    refused(type, "5", "'result' is of the type string, and no integer");
    refused(type, true, "'result' is of the type boolean, and no integer");
    refused({ each: type }, [0, most, most + 1], `'result[2]' is ${most + 1}, outside of ${type}`);
    assert.deepEqual(answered({ each: type }, () => [least, BigInt(most)]), [least, most]);
  }
  const bytes = Uint8Array.of(1, 255);
  assert.equal(answered({ each: "u8" }, () => bytes), bytes);
  refused({ each: "u8" }, Int8Array.of(-1), "'result' is of the type Int8Array, and no array");
});

test("a list with bigints goes out as a typed array", () => {
  const list = { each: "u64" };
  assert.deepEqual(answered(list, () => [1, 2n]), [1, 2]);
  assert.deepEqual(answered(list, () => [1, BIG]), BigUint64Array.of(1n, BIG));
  assert.deepEqual(answered({ each: "s64" }, () => [-BIG]), BigInt64Array.of(-BIG));
  const given = BigUint64Array.of(BIG);
  assert.equal(answered(list, () => given), given);
  refused(list, [1, HUGE], `'result[1]' is ${HUGE}, outside of u64`);
  refused(list, BigInt64Array.of(1n), "'result' is of the type BigInt64Array, and no array");
});

test("what the author keeps is not changed", () => {
  class Kept {
    ids = Object.freeze([BIG]);
    at = 2 ** 31;
    get name() {
      return "kept";
    }
  }
  const kept = Object.freeze(new Kept());
  const sent = answered({ fields: { ids: { each: "u64" }, at: "u32" } }, () => kept);
  assert.deepEqual([sent.ids, sent.at, sent.name], [BigUint64Array.of(BIG), -(2 ** 31), "kept"]);
  assert.deepEqual([kept.ids, kept.at], [[BIG], 2 ** 31]);
  const pair = Object.freeze([2 ** 31, "b"]);
  assert.deepEqual(answered({ fields: { 0: "u32" } }, () => pair), [-(2 ** 31), "b"]);
});

test("what an `err` carries is looked at, too", () => {
  const fail = (thrown) => () => answered("u64", () => { throw thrown; }, { fields: { ids: { each: "u64" }, at: "u32" } });
  const fine = Object.assign(new Error("no"), { payload: { ids: [1], at: 1 } });
  assert.throws(fail(fine), (thrown) => thrown === fine);
  const big = Object.assign(new Error("no"), { payload: { ids: [BIG], at: 2 ** 31 } });
  for (const thrown of [big, big.payload]) {
    assert.throws(fail(thrown), (thrown) => {
      const sent = thrown.payload ?? thrown;
      return sent.ids[0] === BIG && sent.ids instanceof BigUint64Array && sent.at === -(2 ** 31);
    });
  }
  assert.deepEqual(big.payload, { ids: [BIG], at: 2 ** 31 });
  assert.throws(fail(Object.assign(new Error(), { payload: { ids: [], at: -1 } })), /f: 'result.err.at' is -1, outside of u32/);
  assert.throws(fail(new TypeError("other")), /^TypeError: other$/);
});

test("a promise is waited for", async () => {
  const described = { f: { parameters: [["by", "u64"]], result: ["result.ok", "u64"], error: ["result.err", "u64"], async: true } };
  const host = new Host();
  const { f } = exported({ f: async (by) => { if (by === 2) throw { payload: -1 }; return by + 0.5 * (by === 1); } }, described);
  assert.equal(await f(0), 0);
  for (const [by, words] of [[1, "'result.ok' is 1.5"], [2, "'result.err' is -1"], [WIDE, "'by' is an integer beyond"]]) {
    await assert.rejects(f(by), /the grain trapped/);
    assert.ok(host.lines.stderr.at(-1).startsWith(`Uncaught RangeError: f: ${words}`), host.lines.stderr.at(-1));
  }
});

test("items of a stream are looked at when they are taken", async () => {
  const taken = async (shape, items) => {
    const host = new Host();
    const { f } = exported({ f: async () => items }, { f: { parameters: [], result: ["result.ok", { items: shape }], async: true } });
    const found = [];
    try {
      for await (const item of await f()) found.push(item);
    } catch {
      found.push(host.lines.stderr.join().split("\n")[0]);
    }
    return found;
  };
  async function* later() {
    yield 1;
    yield 256;
    yield 2;
  }
  assert.deepEqual(await taken("u8", later()), [1, "Uncaught RangeError: f: 'result.ok[1]' is 256, outside of u8"]);
  assert.deepEqual(await taken("u32", [1, 2 ** 31]), [1, -(2 ** 31)]);
  const bytes = Uint8Array.of(7, 8);
  assert.deepEqual(await taken("u8", [bytes, 9]), [bytes, 9]);
  const deep = await taken({ fields: { at: "u16" } }, [{ at: 1 }, { at: -1 }]);
  assert.deepEqual(deep, [{ at: 1 }, "Uncaught RangeError: f: 'result.ok[1].at' is -1, outside of u16"]);
  // The runtime's own stream.
  const own = { read() {}, [Symbol.asyncIterator]: () => [300][Symbol.iterator]() };
  assert.deepEqual(await taken("u8", own), [300]);
});

test("methods of a class keep their object, and others are as they were", () => {
  class Counter {
    #count = 0;
    add(by) {
      return (this.#count += by);
    }
    get() {
      return 7;
    }
  }
  const guarded = exported(new Counter(), { add: { parameters: [["by", "u64"]], result: ["result", "u64"] } });
  assert.equal(guarded.add(2), 2);
  assert.equal(guarded.get(), 7);
  assert.equal(exported(undefined, {}), undefined);
});

/** An interface as the runtime makes it. */
function shop() {
  const calls = [];
  function Ref(...values) {
    calls.push(["new", ...values]);
  }
  Ref.prototype.take = function (...values) {
    calls.push([this, ...values]);
    if (values[0] === 13) throw Object.assign(new Error("x"), { payload: { tag: "app", val: WIDE } });
    if (values[0] === 14) throw Object.assign(new Error("y"), { payload: -1 });
    return { left: values[0] === 0 ? WIDE : values[0] };
  };
  Ref.prototype.later = async (by) => by;
  Ref.prototype.name = () => "n";
  Ref.find = (at) => at;
  return { calls, real: Object.freeze({ Ref, random: () => WIDE, close: () => {} }) };
}

const plain = { parameters: [["by", "u64"]], result: ["result.ok", "u64"] };
const SHOP = {
  functions: { random: { parameters: [], result: ["result", "u64"] } },
  classes: {
    Ref: {
      create: { parameters: [["key", "u64"]] },
      methods: {
        take: { ...plain, result: ["result.ok", { fields: { left: "u64" } }], error: ["result.err", { cases: { app: "u64" } }] },
        later: { ...plain, async: true },
      },
      statics: { find: { parameters: [["at", "u32"]], result: ["result", "u32"] } },
    },
  },
};

test("calls of an imported interface are made and answered exactly, or refused", async () => {
  const { calls, real } = shop();
  const name = real.Ref.prototype.name;
  const { Ref, random, close } = imported("demo:shop-client/api", real, SHOP);
  assert.equal(close, real.close);
  assert.throws(random, { name: "RangeError", message: "demo:shop-client/api random: 'result' is an integer beyond 2^53, which JavaScript's numbers do not hold exactly" });
  const ref = new Ref(1n);
  assert.ok(ref instanceof Ref && ref instanceof real.Ref);
  assert.equal(ref.name, name);
  assert.deepEqual(ref.take(5n), { left: 5 });
  assert.deepEqual(calls, [["new", 1], [ref, 5]]);
  assert.throws(() => new Ref(-1), /^RangeError: demo:shop-client\/api Ref: 'key' is -1, outside of u64/);
  assert.throws(() => ref.take(2 ** 53), /^RangeError: demo:shop-client\/api Ref.take: 'by' is 9007199254740992/);
  assert.equal(calls.length, 2, "nothing was called");
  assert.throws(() => ref.take(0), /^RangeError: demo:shop-client\/api Ref.take: 'result.ok.left' is an integer beyond/);
  assert.throws(() => ref.take(13), /^RangeError: demo:shop-client\/api Ref.take: 'result.err.app' is an integer beyond/);
  assert.throws(() => ref.take(14), (error) => error.payload === -1, "of no known case");
  assert.equal(await ref.later(1n), 1);
  await assert.rejects(ref.later(-1), /Ref.later: 'by' is -1/);
  assert.equal(Ref.find(4_294_967_295), 4_294_967_295, "as the runtime takes it, and back");
});

test("a small integer that is passed to an imported function is looked at, and its answer is not", () => {
  const passed = [];
  const real = { f: (...values) => passed.push(values) };
  const shape = { fields: { port: "u16" } };
  const { f } = imported("a:b/c", real, { functions: { f: { parameters: [["by", "s8"], ["to", shape]] } }, classes: {} });
  assert.equal(f(-128, { port: 65_535 }), 1);
  assert.throws(() => f(128, { port: 1 }), /^RangeError: a:b\/c f: 'by' is 128, outside of s8/);
  assert.throws(() => f(1, { port: 1.5 }), /^RangeError: a:b\/c f: 'to.port' is 1.5, and no whole number/);
  assert.deepEqual(passed, [[-128, { port: 65_535 }]]);
});

test("a class with methods only, or statics only, is wrapped as well", () => {
  const { Ref } = imported("a:b/c", shop().real, { functions: {}, classes: { Ref: { statics: SHOP.classes.Ref.statics } } });
  assert.throws(() => Ref.find(-1), /Ref.find: 'at' is -1/);
  assert.deepEqual(new Ref().take(-1), { left: -1 });
});

test("an `err` that is a number is thrown as it was meant", () => {
  const real = { f: () => { throw Object.assign(new Error("-1 (see error.payload)"), { payload: -1 }); } };
  const { f } = imported("a:b/c", real, { functions: { f: { parameters: [], error: ["result.err", "u32"] } }, classes: {} });
  assert.throws(f, { message: "4294967295 (see error.payload)", payload: 4_294_967_295 });
});
