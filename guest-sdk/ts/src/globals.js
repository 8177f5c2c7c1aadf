// What QuickJS does not bring along and nearly every program wants: `console`, `TextEncoder`, `TextDecoder`. What is there already stays.
import stdout from "wasi:cli/stdout@0.2.6";
import stderr from "wasi:cli/stderr@0.2.6";
import { trace } from "./trace.js";

/** UTF-8 of a text. A half of a surrogate pair becomes U+FFFD. */
export function encode(text) {
  const bytes = [];
  for (const character of text) {
    let code = character.codePointAt(0);
    if (code >= 0xd800 && code <= 0xdfff) code = 0xfffd;
    if (code < 0x80) bytes.push(code);
    else if (code < 0x800) bytes.push(0xc0 | (code >> 6), 0x80 | (code & 63));
    else if (code < 0x10000) bytes.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
    else bytes.push(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 63), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
  }
  return Uint8Array.from(bytes);
}

/** The text of UTF-8. With `fatal`, bytes that are none throw a TypeError; otherwise each becomes U+FFFD. */
export function decode(bytes, fatal = false) {
  const parts = [];
  for (let at = 0; at < bytes.length; ) {
    const [code, length] = character(bytes, at);
    if (code < 0 && fatal) throw new TypeError(`byte ${at} is no UTF-8`);
    parts.push(code < 0 ? "\ufffd" : String.fromCodePoint(code));
    at += length;
  }
  return parts.join("");
}

// The code point at a place and its length in bytes; -1 for a byte that begins none.
function character(bytes, at) {
  const first = bytes[at];
  if (first < 0x80) return [first, 1];
  const more = first >= 0xf0 && first < 0xf5 ? 3 : first >= 0xe0 && first < 0xf0 ? 2 : first >= 0xc2 && first < 0xe0 ? 1 : 0;
  let code = first & (0x3f >> more);
  for (let next = 1; next <= more; next++) {
    const byte = bytes[at + next];
    if (byte === undefined || (byte & 0xc0) !== 0x80) return [-1, 1];
    code = (code << 6) | (byte & 63);
  }
  const least = [Infinity, 0x80, 0x800, 0x10000][more];
  const fits = code >= least && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
  return fits ? [code, more + 1] : [-1, 1];
}

/** A value as the console shows it: texts as they are, errors with their stack and causes, the rest as JSON. */
export const show = (value) => (value instanceof Uint8Array ? `Uint8Array(${value.length})` : trace(value));

// What one write of WASI takes.
const WRITE_BYTES_MAX = 4096;

function line(stream, values) {
  const bytes = encode(`${values.map(show).join(" ")}\n`);
  for (let at = 0; at < bytes.length; at += WRITE_BYTES_MAX) stream.blockingWriteAndFlush(bytes.slice(at, at + WRITE_BYTES_MAX));
}

/** Writes lines to the grain's log: `log`, `info`, `debug` to its output stream, `warn`, `error` to its error stream. */
export const out = (...values) => line(stdout.getStdout(), values);
export const err = (...values) => line(stderr.getStderr(), values);

/** Writes a line to the error stream if a condition does not hold, and goes on. */
export function check(holds, ...values) {
  if (!holds) err(values.length === 0 ? "Assertion failed" : "Assertion failed:", ...values);
}

globalThis.console ??= { log: out, info: out, debug: out, trace: out, warn: err, error: err, assert: check };
globalThis.TextEncoder ??= class TextEncoder {
  encoding = "utf-8";
  encode(text = "") {
    return encode(String(text));
  }
};
globalThis.TextDecoder ??= class TextDecoder {
  encoding = "utf-8";
  constructor(label = "utf-8", { fatal = false } = {}) {
    if (!/^utf-?8$/i.test(label)) throw new RangeError(`only UTF-8 is known here, not ${label}`);
    this.fatal = fatal;
  }
  decode(bytes = new Uint8Array()) {
    const view = ArrayBuffer.isView(bytes) ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength) : new Uint8Array(bytes);
    return decode(view, this.fatal);
  }
};
