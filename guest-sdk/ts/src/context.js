// What a running turn may know about itself.
import host from "granary:grain/context@0.1.0";

export const context = {
  selfId: () => host.selfId(),
  key: () => host.selfId().key,
  revision: () => host.revision(),
  activationEpoch: () => host.activationEpoch(),
  caller: () => host.caller() ?? undefined,
  callChain: () => host.callChain(),
  principal: () => host.principal() ?? undefined,
  millisecondsLeft: () => host.deadlineRemaining() / 1e6,
  idempotencyKey: () => host.idempotencyKey() ?? undefined,
  baggage: (name) => host.baggage(name) ?? undefined,
  setBaggage: (name, value) => host.setBaggage(name, value),
  isCancelled: () => host.isCancelled(),
};
