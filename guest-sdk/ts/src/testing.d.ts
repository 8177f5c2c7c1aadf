import type { CallErrorCode, GrainId } from "./index.js";

/** A host for unit tests of a grain's code with plain Node: `node --import .../src/testing.js --test`. */
export class Host {
  constructor(options?: {
    kind?: string;
    key?: string;
    revision?: number;
    caller?: string | null;
    baggage?: Record<string, string>;
    readOnly?: boolean;
    millisecondsLeft?: number;
  });
  /** The state: keys and their text. */
  readonly state: Map<string, string>;
  /** What was sent: target, method, arguments, delay in milliseconds. */
  readonly sent: [string, string, unknown[], number][];
  /** What was called: target, method, arguments. */
  readonly called: [string, string, unknown[]][];
  /** Answers to calls, by `"kind/key method"`: a value, or a function of the arguments. */
  readonly answers: Record<string, unknown>;
  /** Lines that the code has written. */
  readonly lines: { stdout: string[]; stderr: string[] };
  /** Whether the code has trapped. */
  readonly trapped: boolean;
  /** The error by which an answer says that a call failed. */
  failure(code: CallErrorCode, text: string, circle?: GrainId[]): Error;
}
