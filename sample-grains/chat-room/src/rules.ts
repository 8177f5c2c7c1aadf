// What a room allows. Nothing here knows that it runs in a grain.

import { Err } from "@granary/sdk";

const TEXT_CHARACTERS_MAX = 500;

/** At most this many messages of one member in so many milliseconds. */
const BURST_MESSAGES_MAX = 20;
const BURST_MS = 10_000;

export type Refusal =
  | { tag: "bad-name" | "name-taken" | "not-a-member" | "empty" }
  | { tag: "full" | "too-long" | "too-fast"; val: number };

/** The `err` that a method answers. */
export function refusal(tag: Refusal["tag"], val?: number): Err<Refusal> {
  return new Err({ tag, val } as Refusal);
}

export function isName(name: string): boolean {
  return /^[\p{Letter}\p{Number}_-]{1,32}$/u.test(name);
}

/** The names in a text, each once: `@ada` and `@ada, @ben`. */
export function named(text: string): string[] {
  const found = [...text.matchAll(/@([\p{Letter}\p{Number}_-]{1,32})/gu)];
  return [...new Set(found.map((match) => match[1]!))];
}

/** Refuses a text, or gives the times of the member's latest messages with this one. */
export function checkPost(text: string, recent: number[], now: number): number[] {
  if (text.trim() === "") throw refusal("empty");
  if ([...text].length > TEXT_CHARACTERS_MAX) throw refusal("too-long", TEXT_CHARACTERS_MAX);
  const within = recent.filter((at) => now - at < BURST_MS);
  if (within.length >= BURST_MESSAGES_MAX) throw refusal("too-fast", Math.max(1, within[0]! + BURST_MS - now));
  return [...within, now];
}
