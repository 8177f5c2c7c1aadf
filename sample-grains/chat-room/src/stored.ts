// What is kept, and where: a key for each member and each message, so that a post writes two of them and not the whole room.

import { integer, list, record, Table, text, Value, type Of } from "@granary/sdk";

const member = record({ joined: integer, messages: integer, recent: list(integer) });
export type Member = Of<typeof member>;

const message = record({ number: integer, author: text, text, at: integer, mentions: list(text) });
export type Message = Of<typeof message>;

export const members = new Table("member/", member);
export const history = new Table("message/", message);
/** The number of the next message. */
export const next = new Value("next", integer);

/** An inbox is small, and one value. */
export const inboxes = new Value("inbox", list(record({ room: text, message })));
