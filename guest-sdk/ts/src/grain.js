// The border between JavaScript's exceptions and WIT's results.
import exit from "wasi:cli/exit@0.2.6";
import { err } from "./globals.js";

export class Err extends Error {
  constructor(payload) {
    super(typeof payload === "string" ? payload : JSON.stringify(payload));
    this.name = "Err";
    // The runtime takes a method's `err` from the property of this name.
    this.payload = payload;
  }
}

// An error that nobody meant as an answer. The runtime would make an `err` of it where that is a text, and commit the turn.
export function trap(error) {
  err(error);
  exit.exit({ tag: "err" });
}

export function grain(methods) {
  const guarded = {};
  for (const name of names(methods)) {
    guarded[name] = (...values) => {
      try {
        return methods[name](...values);
      } catch (error) {
        if (error instanceof Error && !Object.hasOwn(error, "payload")) trap(error);
        throw error;
      }
    };
  }
  return guarded;
}

// The methods of an object, and those of its class.
function names(methods) {
  const found = new Set();
  for (let at = methods; at && at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    for (const name of Object.getOwnPropertyNames(at)) {
      if (name !== "constructor" && typeof methods[name] === "function") found.add(name);
    }
  }
  return found;
}
