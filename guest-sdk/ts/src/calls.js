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
  constructor(code, text, circle = []) {
    super(`${code}: ${text}`);
    this.name = "CallError";
    this.code = code;
    this.text = text;
    this.circle = circle;
  }
  get hadNoEffect() {
    return NO_EFFECT.includes(this.code);
  }
  app() {
    return this.code === "app" ? JSON.parse(this.text) : undefined;
  }
}

export class AnswerError extends TypeError {
  name = "AnswerError";
}

function failed(error) {
  const { code, text, circle } = error?.payload ?? {};
  if (code === undefined) return error;
  return new CallError(code, text, circle.map(({ kind, key }) => `${kind}/${key}`));
}

const payload = (values) => ({ tag: "json", val: JSON.stringify(values) });

// What the host takes, or null. The runtime would make nothing of what is no number, and round what is beyond 2^53.
function nanoseconds(name, milliseconds) {
  if (milliseconds === undefined) return null;
  const rounded = Math.max(0, Math.round(milliseconds * 1e6));
  if (!Number.isSafeInteger(rounded)) throw new RangeError(`${name} is ${milliseconds}: not a number of milliseconds below 104 days`);
  return rounded;
}

class Remote {
  constructor(kind, key, options) {
    this.id = { kind, key };
    this.options = calls.options(options);
  }

  call(method, values = [], shape = anything) {
    let answer;
    try {
      answer = host.call(this.id, method, payload(values), this.options).val;
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
      host.send(this.id, method, payload(values), { delay: nanoseconds("delayMs", delayMs) });
    } catch (error) {
      throw failed(error);
    }
  }
}

export const calls = {
  grain: (kind, key, options) => new Remote(kind, key, options),
  options: ({ timeoutMs, idempotencyKey } = {}) => ({ timeout: nanoseconds("timeoutMs", timeoutMs), idempotencyKey: idempotencyKey ?? null }),
};
