// A realistic grain: chat rooms with limits and a history by pages, and inboxes that rooms send to.
//
// A room and an inbox are two interfaces of one kind. `chat-room/lobby` is a room, `chat-room/@ada` is Ada's inbox.

import { calls, context, Err, grain } from "@granary/sdk";

import * as rules from "./rules";
import { history, inboxes, members, next, type Member, type Message } from "./stored";

const MEMBERS_MAX = 100;
const HISTORY_MESSAGES_MAX = 1000;
const PAGE_MESSAGES_MAX = 100;
const INBOX_MENTIONS_MAX = 50;

export const room = grain({
  join(name: string): number {
    if (!rules.isName(name)) throw rules.refusal("bad-name");
    if (members.has(name)) throw rules.refusal("name-taken");
    const count = [...members.values()].length;
    if (count >= MEMBERS_MAX) throw rules.refusal("full", MEMBERS_MAX);
    members.set(name, { joined: Date.now(), messages: 0, recent: [] });
    return count + 1;
  },

  leave(name: string): void {
    present(name);
    members.delete(name);
  },

  members: () => [...members.entries()].map(([name, { joined, messages }]) => ({ name, joined, messages })),

  post(author: string, text: string): number {
    const member = present(author);
    const now = Date.now();
    const recent = rules.checkPost(text, member.recent, now);
    const number = next.get(1);
    const mentions = rules.named(text).filter((name) => name !== author && members.has(name));
    const message = { number, author, text, at: now, mentions };
    members.set(author, { joined: member.joined, messages: member.messages + 1, recent });
    history.set(row(number), message);
    history.delete(row(number - HISTORY_MESSAGES_MAX));
    next.set(number + 1);
    for (const name of mentions) {
      // It leaves when this turn is committed, and is handled once: a refused post notifies nobody.
      calls.grain("chat-room", `@${name}`).send("notify", [{ room: context.key(), message }]);
    }
    return number;
  },

  history(before: number | null, limit: number): { messages: Message[]; older: number | null } {
    const newest = Math.min(before ?? Infinity, next.get(1)) - 1;
    const count = Math.min(Math.max(limit, 1), PAGE_MESSAGES_MAX);
    const messages: Message[] = [];
    for (let number = newest; number > newest - count && number > 0; number--) {
      const message = history.get(row(number));
      if (message === undefined) break;
      messages.push(message);
    }
    const last = messages.at(-1)?.number ?? 0;
    return { messages, older: history.has(row(last - 1)) ? last : null };
  },
});

export const inbox = grain({
  notify(mention: { room: string; message: Message }): void {
    const caller = context.caller();
    if (caller?.kind !== "chat-room" || caller.key !== mention.room) throw new Err("only a room may notify");
    inboxes.set([mention, ...inboxes.get([])].slice(0, INBOX_MENTIONS_MAX));
  },

  mentions: () => inboxes.get([]),

  clear(): number {
    const count = inboxes.get([]).length;
    inboxes.delete();
    return count;
  },
});

function present(name: string): Member {
  const member = members.get(name);
  if (member === undefined) throw rules.refusal("not-a-member");
  return member;
}

// Keys are listed in the order of their bytes: with leading zeros that is the order of the numbers.
function row(number: number): string {
  return String(number).padStart(10, "0");
}
