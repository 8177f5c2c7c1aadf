import assert from "node:assert/strict";
import { test } from "node:test";

import { Host } from "@granary/sdk/testing";
import { check, decode, encode, out, show } from "../src/globals.js";

test("texts become UTF-8 and come back, as Node does it", () => {
  for (const text of ["", "plain", "Grüße", "漢字", "😀\u0000", "\ud800x", "x\udc00"]) {
    const bytes = encode(text);
    assert.deepEqual(bytes, new Uint8Array(Buffer.from(text)));
    assert.equal(decode(bytes), Buffer.from(bytes).toString());
  }
});

test("bytes that are no UTF-8 are refused or replaced", () => {
  const wrong = [[0xff], [0xc0, 0x80], [0xe0, 0x80, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82], [0x80, 0x41], [0xf8]];
  for (const bytes of wrong.map((bytes) => Uint8Array.from(bytes))) {
    assert.throws(() => decode(bytes, true), TypeError, String(bytes));
    assert.match(decode(bytes), /\ufffd/);
  }
  assert.equal(decode(Uint8Array.from([0x80, 0x41])), "\ufffdA");
});

test("the console writes texts, errors and JSON, in pieces that one write takes", () => {
  const host = new Host();
  out("a", { b: 1n }, [undefined], 2);
  assert.deepEqual(host.lines.stdout, ['a {"b":"1"} [null] 2']);
  out("x".repeat(5000));
  assert.deepEqual(host.lines.stdout.slice(1).map((part) => part.length), [4096, 904]);
  assert.match(show(new RangeError("far")), /^RangeError: far\n/);
  check(1, "holds");
  check("", "two is", 1);
  check(null);
  assert.deepEqual(host.lines.stderr, ["Assertion failed: two is 1", "Assertion failed"]);
  const circle = {};
  circle.circle = circle;
  assert.equal(show(circle), "[object Object]");
});
