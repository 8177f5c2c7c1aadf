// Every type of WIT there and back, and every way to fail.

import { CallError, calls, context, Err, grain, type Lifecycle, type Migration, state } from "@granary/sdk";
import process from "wasi:cli/exit@0.2.6";

function assert(holds: boolean, words: string): asserts holds {
  if (!holds) throw new Error(`Assertion failed: ${words}`);
}

const same = <T>(value: T): T => value;

export const types = grain({
  boolean: same<boolean>,
  unsigned8: same<number>,
  unsigned16: same<number>,
  unsigned32: same<number>,
  unsigned64: same<number>,
  signed8: same<number>,
  signed16: same<number>,
  signed32: same<number>,
  signed64: same<number>,
  float32: same<number>,
  float64: same<number>,
  character: same<string>,
  text: same<string>,
  bytes: same<Uint8Array>,
  numbers: same<number[]>,
  texts: same<string[]>,
  pair: same<[number, string]>,
  maybe: same<number | null>,
  maybeMaybe: same<{ tag: "none" } | { tag: "some"; val: number | null }>,
  aRecord: same<Order>,
  aVariant: same<Shape>,
  anEnum: same<Color>,
  someFlags: same<{ read: boolean; write: boolean; lookAround: boolean }>,
  outcomes: same<({ tag: "ok"; val: number } | { tag: "err"; val: string })[]>,
});

type Color = "red" | "dark-green";
type Item = { id: number; name: string; tag: string | null };
type Order = { customer: string; items: Item[]; paid: Color | null };
type Shape = { tag: "nothing" } | { tag: "circle"; val: number } | { tag: "named"; val: Item } | { tag: "many"; val: string[] };

// What `hoard` holds on to.
const hoarded: Uint8Array[] = [];

export const trouble = grain({
  fail(words: string): number {
    state.set("failed", true);
    throw new Err(words);
  },

  throw(words: string): void {
    state.set("thrown", true);
    throw new Error(words);
  },

  exit(status: number): void {
    process.exit({ tag: status === 0 ? "ok" : "err" });
  },

  // The language has nothing of that kind.
  abort(): void {
    state.set("aborted", true);
    process.exit({ tag: "err" });
  },

  check(words: string): void {
    state.set("checked", true);
    assert(words === "", words);
  },

  spin(): void {
    for (;;);
  },

  hoard(): void {
    for (;;) hoarded.push(new Uint8Array(1024 * 1024));
  },

  speak(line: string): void {
    console.log(line);
    console.error(line);
  },

  has: (key: string): boolean => state.getBytes(key) !== undefined,
});

export const lifecycle = grain<Lifecycle>({
  activate(reason): void {
    if (state.getBytes("locked") !== undefined) throw new Err("it is locked");
    state.set("activated", reason);
  },
  deactivate(): void {},
});

export const migration = grain<Migration>({
  migrate(from): void {
    state.set("migrated", from);
  },
});

function ask(kind: string, key: string, method: string, text: string): string {
  try {
    return calls.grain(kind, key).call<string>(method, [text]);
  } catch (error) {
    if (error instanceof CallError) throw new Err(error.message);
    throw error;
  }
}

export const journey = grain({
  call: (kind: string, key: string, text: string): string => ask(kind, key, "text", text),

  who(): [string, string | null, number] {
    const [self, caller] = [context.selfId(), context.caller()];
    return [`${self.kind}/${self.key}`, caller ? `${caller.kind}/${caller.key}` : null, context.callChain().length];
  },

  timeLeft: (): number => Math.floor(context.millisecondsLeft()),

  baggage: (name: string): string | null => context.baggage(name) ?? null,

  onward(path: string): string {
    const [first, ...rest] = path.split(" ");
    const [kind, key] = first.split("/");
    if (key !== undefined) return ask(kind, key, "onward", rest.join(" "));
    const [self, caller] = [context.selfId(), context.caller()];
    const waiting = context.callChain().length;
    const left = Math.floor(context.millisecondsLeft());
    return `${self.kind}/${self.key} ${caller ? `${caller.kind}/${caller.key}` : ""} ${waiting} ${left} ${context.baggage("trip") ?? ""}`;
  },
});
