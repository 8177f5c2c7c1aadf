// The border between JavaScript's exceptions and WIT's results.
import exit from "wasi:cli/exit@0.2.6";
import { err, show } from "./globals.js";
import { trace } from "./trace.js";

export class Err extends Error {
  constructor(payload) {
    super(show(payload));
    this.name = "Err";
    // The runtime takes a method's `err` from the property of this name.
    this.payload = payload;
  }
}

// An error that nobody meant as an answer. The runtime would make an `err` of it where that is a text, and commit the turn.
// Its last words begin with "Uncaught": so the node tells it from a guest that ended itself.
export function trap(error) {
  err(`Uncaught ${trace(error)}`);
  exit.exit({ tag: "err" });
}

// What a method threw, unless it is an answer: an `Err`, or a text.
function judge(error) {
  const answers = typeof error === "string" || (typeof error === "object" && error !== null && Object.hasOwn(error, "payload"));
  if (!answers) trap(error);
  throw error;
}

export function grain(methods) {
  const guarded = {};
  for (const name of names(methods)) {
    guarded[name] = (...values) => {
      try {
        const answer = methods[name](...values);
        return typeof answer?.then === "function" ? answer.then(undefined, judge) : answer;
      } catch (error) {
        return judge(error);
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
