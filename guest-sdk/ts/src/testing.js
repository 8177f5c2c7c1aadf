// A host for unit tests of a grain's code with plain Node, without a node of Granary:
//
//   node --import .../src/testing.js --test
//
//   import { Host } from "@granary/sdk/testing";
//   const host = new Host({ key: "tea" });
//   host.answers["stock/tea take"] = 4;       // or a function of the arguments
//
// Importing this file makes `granary:…`, `wasi:…` and `@granary/sdk` known to Node.
import { register } from "node:module";

const SLOT = Symbol.for("granary.testing.host");

const hooks = `
const sdk = { "@granary/sdk": ${JSON.stringify(new URL("index.js", import.meta.url).href)}, "@granary/sdk/testing": ${JSON.stringify(import.meta.url)} };
export async function resolve(specifier, context, next) {
  if (sdk[specifier]) return { url: sdk[specifier], shortCircuit: true };
  const found = /^(?:granary:grain|wasi:cli)\\/([a-z]+)@/.exec(specifier);
  if (!found) return next(specifier, context);
  const fake = \`const slot = Symbol.for("granary.testing.host");
export default new Proxy({}, { get: (_, name) => (...values) => {
  const host = globalThis[slot];
  if (!host) throw new Error("make a Host of @granary/sdk/testing first");
  return host.interfaces["\${found[1]}"][name](...values);
} });\`;
  return { url: "data:text/javascript," + encodeURIComponent(fake), shortCircuit: true };
}`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);

// What the runtime throws for the host's `err`.
function failure(payload) {
  return Object.assign(new Error(JSON.stringify(payload)), { payload });
}

/** State, calls and context in memory. The newest one is the one that code sees. */
export class Host {
  /** The state: keys and their text. */
  state = new Map();
  /** What was sent: target, method, arguments, delay in milliseconds. */
  sent = [];
  /** What was called: target, method, arguments. */
  called = [];
  /** Answers to calls, by `"kind/key method"`: a value, or a function of the arguments. `throw host.failure(code, text)` in it to fail. */
  answers = {};
  /** Lines that the code has written. */
  lines = { stdout: [], stderr: [] };
  /** Whether the code has trapped. */
  trapped = false;

  constructor({ kind = "grain", key = "test", revision = 1, caller = null, baggage = {}, readOnly = false, millisecondsLeft = 30_000 } = {}) {
    const [callerKind, ...callerKey] = (caller ?? "").split("/");
    const from = caller === null ? null : { kind: callerKind, key: callerKey.join("/") };
    this.interfaces = {
      state: this.#state(readOnly),
      calls: this.#calls(),
      context: {
        selfId: () => ({ kind, key }),
        revision: () => revision,
        activationEpoch: () => 1,
        caller: () => from,
        callChain: () => (from ? [from] : []),
        principal: () => null,
        deadlineRemaining: () => millisecondsLeft * 1e6,
        idempotencyKey: () => null,
        baggage: (name) => baggage[name] ?? null,
        setBaggage: (name, value) => void (baggage[name] = value),
        isCancelled: () => false,
      },
      stdout: { getStdout: () => this.#stream("stdout") },
      stderr: { getStderr: () => this.#stream("stderr") },
      exit: { exit: () => this.#exit() },
    };
    globalThis[SLOT] = this;
  }

  /** The error by which an answer says that a call failed, for instance with the code `timeout`. */
  failure(code, text, circle = []) {
    return failure({ code, text, circle });
  }

  #state(readOnly) {
    const writable = (key) => {
      if (readOnly) throw failure({ code: "read-only", text: "a `read` method may not write" });
      if (key === "") throw failure({ code: "bad-key", text: "a key has 1 to 512 bytes" });
    };
    const bytes = (text) => new Uint8Array(Buffer.from(text));
    return {
      get: (key) => (this.state.has(key) ? bytes(this.state.get(key)) : null),
      set: (key, value) => (writable(key), void this.state.set(key, Buffer.from(value).toString())),
      delete: (key) => (writable(key), void this.state.delete(key)),
      version: () => 0,
      scan: (prefix, cursor, limit) => {
        const keys = [...this.state.keys()].filter((key) => key.startsWith(prefix) && (cursor === null || key > cursor)).sort();
        const page = keys.slice(0, limit);
        const entries = page.map((key) => ({ key, value: bytes(this.state.get(key)) }));
        return { entries, cursor: page.length < keys.length ? page.at(-1) : null };
      },
    };
  }

  #calls() {
    return {
      call: ({ kind, key }, method, { val }) => {
        const name = `${kind}/${key} ${method}`;
        const values = JSON.parse(val);
        this.called.push([`${kind}/${key}`, method, values]);
        if (!(name in this.answers)) throw this.failure("not-found", `no answer is set for '${name}'`);
        const answer = this.answers[name];
        return { tag: "json", val: JSON.stringify(typeof answer === "function" ? answer(...values) : answer) };
      },
      send: ({ kind, key }, method, { val }, options) => {
        this.sent.push([`${kind}/${key}`, method, JSON.parse(val), (options.delay ?? 0) / 1e6]);
      },
    };
  }

  #stream(name) {
    return { blockingWriteAndFlush: (bytes) => void this.lines[name].push(Buffer.from(bytes).toString().trimEnd()) };
  }

  #exit() {
    this.trapped = true;
    throw new Error("the grain trapped");
  }
}
