/// <reference path="./bindings.d.ts" />

/**
 * What a JavaScript or TypeScript grain uses of its host: state, calls, context, hooks. All of it is optional: a component that exports its
 * own interface is a grain, without this package.
 *
 * # From nothing to a grain
 *
 * A grain's API is an interface in WIT, in `wit/counter.wit`. Each function becomes a method that is called over HTTP with JSON, from the
 * command line, and from other grains. The documentation comments go into the kind's OpenAPI page.
 *
 * ```wit
 * package demo:counter@0.1.0;
 *
 * interface counter {
 *   /// Adds `by` to the number and answers the new one.
 *   increment: func(by: u64) -> u64;
 *   get: func() -> u64;
 * }
 *
 * world grain {
 *   include granary:grain/imports@0.1.0;
 *   export counter;
 * }
 * ```
 *
 * The code is the module `grain.ts` or `grain.js`. It exports one object for each interface, named after it, with a function for each of the
 * interface's. Names become camelCase: `increment-memory` is `incrementMemory`.
 *
 * ```ts
 * import { grain, integer, Value } from "@granary/sdk";
 *
 * const count = new Value("count", integer);
 *
 * export const counter = grain({
 *   increment(by: number): number {
 *     count.set(count.get(0) + by);
 *     return count.get(0);
 *   },
 *   get(): number {
 *     return count.get(0);
 *   },
 * });
 * ```
 *
 * `granary.toml` makes a kind of it. `get` is a `read` method: it may not write, and can be called with `GET`.
 *
 * ```toml
 * [kinds.counter]
 * build = "."
 * language = "ts"
 *
 * [kinds.counter.methods.get]
 * mode = "read"
 * ```
 *
 * `granary dev` builds it, runs it, and builds it again when a file changes.
 *
 * # What a turn is
 *
 * One call is one *turn*. A grain has one turn at a time, so plain code without locks is right. What the turn writes to the `state` and the
 * messages that it sends are committed together when it ends, and the answer leaves after that. When it throws, nothing of it is left, and
 * the caller is told the error and its stack.
 *
 * A method whose WIT type is a `result` returns the value of `ok`, and answers its `err` by `throw new Err(value)`: that is an answer, and its
 * turn is committed. Wrap the methods in {@link grain}: without it the runtime takes *any* error for an answer where `err` is a text.
 *
 * Variables of the module are the activation's own memory. They are fast, and gone when the grain goes to rest. The module is run once, when
 * the component is built: what it computes then is part of the component, and the host cannot be asked yet.
 *
 * # What the runtime has
 *
 * The language up to ES2023, `Date`, `Math`, `JSON`, `Promise`, typed arrays. This package adds `console` (it writes the grain's log),
 * `TextEncoder` and `TextDecoder`. There are no timers, no `fetch`, no `URL`, no `crypto`, no `Intl`, and no modules of Node.
 *
 * # What types become
 *
 * | WIT                                | JavaScript                                        |
 * |------------------------------------|---------------------------------------------------|
 * | integers and floats                | `number`; see below for `u64` and `s64`           |
 * | `list<u8>`                         | `Uint8Array`                                      |
 * | `option<T>`                        | the value or `null`; within an option `{ tag: "some", val }` or `{ tag: "none" }` |
 * | `variant`                          | `{ tag: "too-long", val: 1000 }`                  |
 * | `enum`                             | the case's name: `"dark-green"`                   |
 * | `flags`                            | `{ lookAround: true, write: false }`              |
 * | `record`                           | an object, names in camelCase                     |
 * | `result` within a value            | `{ tag: "ok", val }` or `{ tag: "err", val }`     |
 * | `char`                             | a text of one character                           |
 *
 * QuickJS hands `u64` and `s64` over as numbers, which are exact up to 2^53. Beyond that nothing is rounded, it is refused. So is a number that
 * goes out and is not whole or not within its type, from `u8` to `s64`. `granary build` names the functions that pass integers of 64 bits.
 *
 * | such an integer in                        | what happens                                                                     |
 * |-------------------------------------------|----------------------------------------------------------------------------------|
 * | an argument of a method                   | the method is not run; its caller is told `guest-trap`, with the place           |
 * | what a method returns, or its `err`       | the turn leaves no trace; its caller is told `guest-trap`, with the place        |
 * | an argument of an imported function       | a `RangeError` names function and place; nothing was called                      |
 * | the answer of an imported function        | a `RangeError` names function and place; what was called has done its work        |
 *
 * An item of a stream that does not fit ends the stream and the activation. What is written to a `wit.Stream` or `wit.Future` is not looked at.
 *
 * Imported functions are the methods of typed clients and those of other interfaces. Where an integer goes out it may be a `bigint`; beyond
 * 2^53 that is taken within a list only, where `BigUint64Array` and `BigInt64Array` will do, too. Where such integers have to come in, or go
 * out alone, let the WIT say `string`, or two `u32`.
 *
 * # Types from the WIT
 *
 * `granary build` writes what the WIT says to `target/granary/KIND/wit.d.ts`, a module for each interface, and checks the types of a
 * TypeScript kind against it: each method of an exported interface, and everything that is imported. A type with 64-bit integers is there
 * twice: `Item` comes in with numbers, `Out.Item` goes out and may have `bigint`s. Types can be taken from there:
 *
 * ```ts
 * import type { Exports } from "demo:counter/counter@0.1.0";
 *
 * export const counter = grain<Exports>({ … });
 * ```
 *
 * @packageDocumentation
 */

/** What a value looks like in JSON. It is checked when it is read, and before it is written. */
export interface Shape<T> {
  /** The shape in words: `{id: integer, tag?: text}`. */
  readonly words: string;
  /** Gives the value, or throws {@link Misfit}. */
  check(value: unknown, path?: string): T;
}

/** The type of a shape's values: `type Item = Of<typeof item>`. */
export type Of<S> = S extends Shape<infer T> ? T : never;

/** A shape of a field that may be missing. */
export interface OptionalShape<T> extends Shape<T> {
  readonly mayMiss: true;
}

type Fields = Record<string, Shape<unknown>>;
type Needed<F extends Fields> = { [N in keyof F as F[N] extends OptionalShape<unknown> ? never : N]: Of<F[N]> };
type Missable<F extends Fields> = { [N in keyof F as F[N] extends OptionalShape<unknown> ? N : never]?: Of<F[N]> };

export const text: Shape<string>;
export const boolean: Shape<boolean>;
export const number: Shape<number>;
/** Whole numbers that JavaScript holds exactly, up to 2^53. */
export const integer: Shape<number>;
/** Anything that JSON can hold. */
export const anything: Shape<any>;
/** One of these texts. */
export function oneOf<const N extends string>(...names: N[]): Shape<N>;
/** The shape, or null. */
export function nullable<T>(inner: Shape<T>): Shape<T | null>;
/** Marks a field of a record that may be missing. */
export function optional<T>(inner: Shape<T>): OptionalShape<T>;
/** An array. */
export function list<T>(inner: Shape<T>): Shape<T[]>;
/** An object with any names, and values of one shape. */
export function dictionary<T>(inner: Shape<T>): Shape<Record<string, T>>;
/** An object with these fields and no others. */
export function record<F extends Fields>(fields: F): Shape<Needed<F> & Missable<F>>;

/** A value that does not fit a shape. */
export class Misfit extends TypeError {
  /** Where: a JSON pointer, empty for the whole value. */
  readonly path: string;
  /** What the shape wants there. */
  readonly expected: string;
  /** What is there. */
  readonly found: string;
}

/** The grain's own durable state. A turn sees its own writes at once; all of them are committed when it ends, or none. */
export const state: {
  /** The bytes under a key. */
  getBytes(key: string): Uint8Array | undefined;
  /** Puts bytes under a key. */
  setBytes(key: string, bytes: Uint8Array): void;
  /** The value under a key, which is kept as JSON. Throws {@link StateTypeError} if what is there does not fit. */
  get<T = unknown>(key: string, shape?: Shape<T>): T | undefined;
  /** Puts a value under a key, as JSON. */
  set<T>(key: string, value: T, shape?: Shape<T>): void;
  /** Removes a key. Removing one that is not there is no error. */
  delete(key: string): void;
  /** Every key that starts with `prefix`, with its bytes, in the order of the keys. Pages are fetched as they are needed. */
  scanBytes(prefix?: string): Generator<[string, Uint8Array]>;
  /** The same for values that `set` has written. */
  scan<T = unknown>(prefix?: string, shape?: Shape<T>): Generator<[string, T]>;
  /** How many commits have changed this grain's state. */
  version(): number;
};

/** One key of the state and the shape of its value, named once. */
export class Value<T> {
  constructor(key: string, shape: Shape<T>);
  readonly key: string;
  /** The value, or `otherwise` if it was never set. */
  get(): T | undefined;
  get(otherwise: T): T;
  /** Puts the value. */
  set(value: T): void;
  /** Removes the value. */
  delete(): void;
}

/** Values of one shape under a common prefix, one state key each: a change writes one row and not the whole table. */
export class Table<T> {
  constructor(prefix: string, shape: Shape<T>);
  readonly prefix: string;
  get(row: string): T | undefined;
  has(row: string): boolean;
  set(row: string, value: T): void;
  delete(row: string): void;
  /** Every row's name and value, in the order of the names' bytes. */
  entries(): Generator<[string, T]>;
  values(): Generator<T>;
}

/** The host refused. The turn goes on; nothing was changed. */
export class StateError extends Error {
  readonly code: "bad-key" | "too-large" | "read-only" | "unavailable";
  readonly text: string;
}

/**
 * A value in the state and the shape that this code keeps there do not fit. Nothing was changed. It names both versions: what this
 * revision keeps, and what the state holds (or what was to be written). A kind whose shapes change exports `granary:grain/migration` and
 * rewrites the value there.
 */
export class StateTypeError extends TypeError {
  readonly key: string;
  /** The revision that is running. */
  readonly revision: number;
  /** The shape of its code, in words. */
  readonly expected: string;
  /** The value that does not fit, in the same words. */
  readonly found: string;
  /** What does not fit, and where. */
  readonly why: string;
  /** The bytes in the state, or none if the value was refused before it was written. */
  readonly stored: Uint8Array | undefined;
}

/** The identity of a grain. */
export interface GrainId {
  readonly kind: string;
  readonly key: string;
}

/** Another grain, and how to call it. */
export interface Remote {
  readonly id: GrainId;
  /** Calls a method and waits. Arguments in the order of the parameters, as JSON; the answer is the method's result or the value of its `ok`. */
  call<T = unknown>(method: string, values?: unknown[], shape?: Shape<T>): T;
  /** Sends a message without waiting. It leaves only if this turn commits, and is handled once. */
  send(method: string, values?: unknown[], options?: { delayMs?: number }): void;
}

/** Calls to other grains by name. JSON is the host's: names as they are in the WIT, an integer beyond 2^53 as a text of its digits. */
export const calls: {
  /** The grain `kind/key`; it need not exist yet. No call outlives the deadline of the turn that makes it. */
  grain(kind: string, key: string, options?: CallOptions): Remote;
  /** What `Ref.withOptions` of a client takes: `Ref.withOptions("b", calls.options({ timeoutMs: 2000 }))`. */
  options(options?: CallOptions): { timeout: number | null; idempotencyKey: string | null };
};

/** What may be said about a call. Everything left out has its usual value. */
export interface CallOptions {
  /** How long to wait at most. */
  timeoutMs?: number;
  /** A second call of the same method with the same key gets the first one's answer. */
  idempotencyKey?: string;
}

/** What went wrong with a call: a case of `call-error-code` in `granary:grain/types`, which says what became of the called grain's turn. */
export type CallErrorCode =
  | "overloaded"
  | "deadlock"
  | "timeout"
  | "cancelled"
  | "denied"
  | "not-found"
  | "invalid"
  | "guest-trap"
  | "limit-exceeded"
  | "conflict"
  | "unavailable"
  | "unknown-outcome"
  | "app";

/** The call gave no answer, or the method answered `err`. */
export class CallError extends Error {
  constructor(code: CallErrorCode, text: string, circle?: string[]);
  readonly code: CallErrorCode;
  /** Why; with `app` the JSON text of the method's `err`. */
  readonly text: string;
  /** With `deadlock` the grains that would have waited for each other. */
  readonly circle: string[];
  /** Whether the called grain is certainly unchanged, so that the call may simply be repeated. */
  get hadNoEffect(): boolean;
  /** The value of the method's `err`. */
  app(): unknown;
}

/** The method ran, but its answer does not fit the shape. */
export class AnswerError extends TypeError {}

/** What a running turn may know about itself. Every function answers at once. */
export const context: {
  selfId(): GrainId;
  /** The key of the grain whose code is running. */
  key(): string;
  revision(): number;
  activationEpoch(): number;
  /** The grain that called, unless the call came from outside. */
  caller(): GrainId | undefined;
  /** The grains that wait for this turn, the first caller first. */
  callChain(): GrainId[];
  principal(): string | undefined;
  /** How long the caller still waits; 0 when it has given up. */
  millisecondsLeft(): number;
  idempotencyKey(): string | undefined;
  baggage(name: string): string | undefined;
  setBaggage(name: string, value: string): void;
  isCancelled(): boolean;
};

/** Throw it to answer a method's `err`. */
export class Err<E = unknown> extends Error {
  constructor(payload: E);
  readonly payload: E;
}

/**
 * Wraps the methods of an interface. An error that is no {@link Err} ends the turn: it leaves no trace, and the caller is told the error
 * and its stack. Takes an object with functions, or an instance of a class.
 */
export function grain<T extends object>(methods: T): T;

/** Hooks around an activation: `export const lifecycle = grain<Lifecycle>({ … })`, and `export granary:grain/lifecycle@0.1.0;` in the world. */
export interface Lifecycle {
  /** Runs as a turn before the first message. `throw new Err("why")` refuses that message; the next one tries again. */
  activate(reason: "message" | "recovery" | "upgrade"): void;
  /** Runs as a turn after the last message. Do not rely on it. */
  deactivate(reason: "idle" | "pressure" | "upgrade" | "shutdown" | "requested"): void;
}

/** Code that takes over state which another revision wrote: `export const migration = grain<Migration>({ … })`. */
export interface Migration {
  migrate(fromRevision: number): void;
}

declare global {
  /**
   * Writes lines to the grain's log: `log`, `info`, `debug` to its output stream, `warn`, `error` to its error stream. `assert` writes one to the
   * error stream if its condition does not hold, and goes on, as everywhere: what is to end the turn throws.
   */
  var console: Record<"log" | "info" | "debug" | "trace" | "warn" | "error", (...values: unknown[]) => void> & {
    assert(holds: unknown, ...values: unknown[]): void;
  };
}
