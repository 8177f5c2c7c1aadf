/** What `componentize-qjs` makes of `granary:grain` and of the WASI that comes with it. The other modules of this package are written on top. */

declare module "granary:grain/state@0.1.0" {
  interface Page {
    entries: { key: string; value: Uint8Array }[];
    cursor: string | null;
  }
  const state: {
    get(key: string): Uint8Array | null;
    set(key: string, value: Uint8Array): void;
    delete(key: string): void;
    scan(prefix: string, cursor: string | null, limit: number): Page;
    version(): number;
  };
  export default state;
}

declare module "granary:grain/calls@0.1.0" {
  interface Target {
    kind: string;
    key: string;
  }
  type Payload = { tag: "json"; val: string } | { tag: "cbor" | "raw"; val: Uint8Array };
  const calls: {
    call(target: Target, method: string, payload: Payload, options: { timeout: number | null; idempotencyKey: string | null }): Payload;
    send(target: Target, method: string, payload: Payload, options: { delay: number | null }): void;
  };
  export default calls;
}

declare module "granary:grain/context@0.1.0" {
  interface Id {
    kind: string;
    key: string;
  }
  const context: {
    selfId(): Id;
    revision(): number;
    activationEpoch(): number;
    caller(): Id | null;
    callChain(): Id[];
    principal(): string | null;
    deadlineRemaining(): number;
    idempotencyKey(): string | null;
    baggage(name: string): string | null;
    setBaggage(name: string, value: string): void;
    isCancelled(): boolean;
  };
  export default context;
}

declare module "wasi:cli/exit@0.2.6" {
  const exit: { exit(status: { tag: "ok" } | { tag: "err" }): never };
  export default exit;
}

declare module "wasi:cli/stdout@0.2.6" {
  const stdout: { getStdout(): { blockingWriteAndFlush(bytes: Uint8Array): void } };
  export default stdout;
}

declare module "wasi:cli/stderr@0.2.6" {
  const stderr: { getStderr(): { blockingWriteAndFlush(bytes: Uint8Array): void } };
  export default stderr;
}
