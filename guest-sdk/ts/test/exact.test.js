import assert from "node:assert/strict";
import { test } from "node:test";

import { Host } from "@granary/sdk/testing";
import { exact } from "../src/exact.js";

test("an integer that was rounded ends the turn before the method sees it", () => {
  const places = {
    plain: ["u64", 5, 2 ** 53],
    wrapped: ["u64", 0, -1],
    negative: ["s64", -(2 ** 53) + 1, -(2 ** 63)],
    maybe: ["u64", null, 2 ** 64],
    list: [{ each: "u64" }, [1, 2], [1, 2 ** 60]],
    record: [{ fields: { theId: "s64" } }, { theId: 1, other: 2 ** 60 }, { theId: 2 ** 60 }],
    variant: [{ cases: { many: { each: "u64" } } }, { tag: "other", val: 2 ** 60 }, { tag: "many", val: [2 ** 60] }],
    map: [{ each: "u64" }, new Map([["a", 1]]), new Map([["a", 2 ** 60]])],
  };
  for (const [name, [shape, fits, beyond]] of Object.entries(places)) {
    const host = new Host();
    const seen = [];
    const guarded = exact({ [name]: (...values) => seen.push(values) }, { [name]: [["first", null], [name, shape]] });
    guarded[name](2 ** 60, fits);
    assert.deepEqual(seen, [[2 ** 60, fits]]);
    assert.throws(() => guarded[name](1, beyond), /the grain trapped/);
    assert.match(host.lines.stderr.join(), new RegExp(`${name}: '${name}' has an integer beyond`));
    assert.equal(seen.length, 1);
  }
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
  const guarded = exact(new Counter(), { add: [["by", "u64"]] });
  assert.equal(guarded.add(2), 2);
  assert.equal(guarded.get(), 7);
  assert.equal(exact(undefined, {}), undefined);
});
