// The grain's own durable state: keys of text, values of bytes or of JSON.
import host from "granary:grain/state@0.1.0";
import context from "granary:grain/context@0.1.0";
import { decode, encode } from "./globals.js";
import { anything, describe, Misfit } from "./shapes.js";

// How many entries one request to the host asks for.
const PAGE_ENTRIES = 256;

export class StateError extends Error {
  constructor(code, text) {
    super(`${code}: ${text}`);
    this.name = "StateError";
    this.code = code;
    this.text = text;
  }
}

export class StateTypeError extends TypeError {
  constructor(key, expected, found, why, stored) {
    const revision = context.revision();
    super(`state key '${key}': ${why}; revision ${revision} keeps ${expected}, ${stored ? "stored" : "given"} is ${found}`);
    this.name = "StateTypeError";
    Object.assign(this, { key, revision, expected, found, why, stored });
  }
}

// Makes the host's `err` an error of this module.
function refused(ask) {
  try {
    return ask();
  } catch (error) {
    const { code, text } = error?.payload ?? {};
    if (code === undefined) throw error;
    throw new StateError(code, text);
  }
}

function read(key, shape, bytes) {
  let value;
  try {
    value = JSON.parse(decode(bytes, true));
  } catch {
    throw new StateTypeError(key, shape.words, `${bytes.length} bytes`, "it is no JSON", bytes);
  }
  try {
    return shape.check(value);
  } catch (misfit) {
    if (!(misfit instanceof Misfit)) throw misfit;
    throw new StateTypeError(key, shape.words, describe(value), misfit.message, bytes);
  }
}

function write(key, shape, value) {
  try {
    shape.check(value);
  } catch (misfit) {
    if (!(misfit instanceof Misfit)) throw misfit;
    throw new StateTypeError(key, shape.words, describe(value), misfit.message, undefined);
  }
  state.setBytes(key, encode(JSON.stringify(value)));
}

export const state = {
  getBytes: (key) => refused(() => host.get(key)) ?? undefined,
  setBytes: (key, bytes) => refused(() => host.set(key, bytes)),
  delete: (key) => refused(() => host.delete(key)),
  version: () => host.version(),

  get(key, shape = anything) {
    const bytes = state.getBytes(key);
    return bytes === undefined ? undefined : read(key, shape, bytes);
  },

  set: (key, value, shape = anything) => write(key, shape, value),

  *scanBytes(prefix = "") {
    let cursor = null;
    do {
      const page = refused(() => host.scan(prefix, cursor, PAGE_ENTRIES));
      for (const entry of page.entries) yield [entry.key, entry.value];
      cursor = page.cursor ?? null;
    } while (cursor !== null);
  },

  *scan(prefix = "", shape = anything) {
    for (const [key, bytes] of state.scanBytes(prefix)) yield [key, read(key, shape, bytes)];
  },
};

export class Value {
  constructor(key, shape) {
    this.key = key;
    this.shape = shape;
  }
  get(otherwise) {
    const value = state.get(this.key, this.shape);
    return value === undefined ? otherwise : value;
  }
  set(value) {
    state.set(this.key, value, this.shape);
  }
  delete() {
    state.delete(this.key);
  }
}

export class Table {
  constructor(prefix, shape) {
    this.prefix = prefix;
    this.shape = shape;
  }
  get(row) {
    return state.get(this.prefix + row, this.shape);
  }
  has(row) {
    return state.getBytes(this.prefix + row) !== undefined;
  }
  set(row, value) {
    state.set(this.prefix + row, value, this.shape);
  }
  delete(row) {
    state.delete(this.prefix + row);
  }
  *entries() {
    for (const [key, value] of state.scan(this.prefix, this.shape)) yield [key.slice(this.prefix.length), value];
  }
  *values() {
    for (const [, value] of this.entries()) yield value;
  }
}
