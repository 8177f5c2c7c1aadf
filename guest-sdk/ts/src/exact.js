// Integers of 64 bits that JavaScript's numbers do not hold: told, never rounded. `granary build` wraps what a module exports in this.
import { trap } from "./grain.js";

/**
 * Wraps the methods of an interface. `functions` says of each that takes 64-bit integers, and of each of its parameters, what it is
 * called and where the integers are in it: `{ increment: [["by", "u64"]] }`.
 *
 * The runtime changes them before any code sees the value, but never into one that could have been meant: from 2^53 on they are rounded,
 * to a number that is not below it, and a `u64` from 2^63 on becomes negative.
 */
export function exact(methods, functions) {
  if (methods === null || typeof methods !== "object") return methods;
  const guarded = Object.create(methods);
  for (const [name, parameters] of Object.entries(functions)) {
    const value = (...values) => {
      for (const [at, [parameter, shape]] of parameters.entries()) {
        if (changed(values[at], shape)) {
          trap(new RangeError(`${name}: '${parameter}' has an integer beyond 2^53, which JavaScript's numbers do not hold exactly`));
        }
      }
      return methods[name](...values);
    };
    Object.defineProperty(guarded, name, { value, enumerable: true });
  }
  return guarded;
}

// Whether a number in a value may be another one than was sent. What is not there has no tag, no fields and no items.
function changed(value, shape) {
  if (shape === null || value === null || value === undefined) return false;
  if (typeof shape === "string") return typeof value === "number" && (!Number.isSafeInteger(value) || (shape === "u64" && value < 0));
  if (shape.each) return (value instanceof Map ? [...value].flat() : [...value]).some((item) => changed(item, shape.each));
  if (shape.cases) return changed(value.val, shape.cases[value.tag] ?? null);
  return Object.entries(shape.fields).some(([name, inner]) => changed(value[name], inner));
}
