// State: a number that survives. The same grain as `counter`, in TypeScript.
//
// JavaScript's numbers are exact up to 2^53; the number stops there.

import { grain, integer, Value } from "@granary/sdk";

/** The number's place in the state. */
const count = new Value("count", integer);

/** The memory of one activation: fast, and gone when the grain goes to rest. */
let inMemory = 0;

export const counter = grain({
  increment(by: number): number {
    const sum = Math.min(count.get(0) + by, Number.MAX_SAFE_INTEGER);
    count.set(sum);
    return sum;
  },

  get(): number {
    return count.get(0);
  },

  incrementMemory(by: number): number {
    inMemory += by;
    return inMemory;
  },
});
