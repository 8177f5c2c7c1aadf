import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { located, MAP, trace } from "../src/trace.js";

afterEach(() => delete globalThis[MAP]);

test("a place in the bundle becomes the one in its source", () => {
  // Line 2, column 2 of the bundle is line 6, column 9 of the second source; column 20 is ten columns on; line 3 is a wrapper's.
  globalThis[MAP] = { bundle: "grain.mjs", sources: ["@granary/sdk/src/grain.js", "grain.ts"], mappings: ";ECKQ,kBAAU;ADAA" };
  const stack = "    at deep (/grain.mjs:2:3)\n    at go (/grain.mjs:2:25)\n    at <anonymous> (/grain.mjs:3:1)\n    at /grain.mjs:9:1";
  assert.equal(located(stack), "    at deep (grain.ts:6:9)\n    at go (grain.ts:6:19)\n    at /grain.mjs:9:1");
});

test("without a map a stack stays, and a circle of causes ends", () => {
  assert.equal(located("at (/grain.mjs:2:3)"), "at (/grain.mjs:2:3)");
  const error = new Error("again");
  error.cause = error;
  assert.equal(trace(error).match(/Caused by: Error: again/g).length, 7);
  assert.equal(trace(undefined), "undefined");
});
