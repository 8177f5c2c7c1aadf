// Calls to other grains by name, with JSON.
import host from "granary:grain/calls@0.1.0";
import { anything, Misfit } from "./shapes.js";

const NO_EFFECT = [
  "overloaded",
  "deadlock",
  "cancelled",
  "denied",
  "not-found",
  "invalid",
  "guest-trap",
  "limit-exceeded",
  "conflict",
  "unavailable",
];

export class CallError extends Error {
  constructor(kind, why, circle = []) {
    super(`${kind}: ${why}`);
    this.name = "CallError";
    this.case = kind;
    this.text = why;
    this.circle = circle;
  }
  get hadNoEffect() {
    return NO_EFFECT.includes(this.case);
  }
  app() {
    return this.case === "app" ? JSON.parse(this.text) : undefined;
  }
}

export class AnswerError extends TypeError {
  name = "AnswerError";
}

function failed(error) {
  const { tag, val } = error?.payload ?? {};
  if (tag === undefined) return error;
  if (tag !== "deadlock") return new CallError(tag, val);
  const circle = val.map(({ kind, key }) => `${kind}/${key}`);
  return new CallError(tag, circle.join(" → "), circle);
}

const payload = (values) => ({ tag: "json", val: JSON.stringify(values) });
const nanoseconds = (milliseconds) => (milliseconds === undefined ? null : Math.max(0, Math.round(milliseconds * 1e6)));

class Remote {
  constructor(kind, key, options) {
    this.id = { kind, key };
    this.options = options;
  }

  call(method, values = [], shape = anything) {
    const options = { timeout: nanoseconds(this.options.timeoutMs), idempotencyKey: this.options.idempotencyKey ?? null };
    let answer;
    try {
      answer = host.call(this.id, method, payload(values), options).val;
    } catch (error) {
      throw failed(error);
    }
    try {
      // A method without a result answers with nothing at all.
      return shape.check(JSON.parse(answer || "null"));
    } catch (misfit) {
      if (!(misfit instanceof Misfit)) throw misfit;
      throw new AnswerError(`${this.id.kind}/${this.id.key} ${method}: ${misfit.message}`);
    }
  }

  send(method, values = [], { delayMs } = {}) {
    try {
      host.send(this.id, method, payload(values), { delay: nanoseconds(delayMs) });
    } catch (error) {
      throw failed(error);
    }
  }
}

export const calls = { grain: (kind, key, options = {}) => new Remote(kind, key, options) };
