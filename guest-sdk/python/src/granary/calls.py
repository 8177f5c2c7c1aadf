"""Calls to other grains by name.

>>> stock = calls.grain("stock", "tea", timeout=2)
>>> calls.grain("audit", "2031").send("taken", "tea", 3)    # leaves only if this turn commits, and is handled once
>>> left = stock.call("take", 3, returns=int)

In an `async func` several calls can be under way at once:

>>> left, price = await asyncio.gather(stock.call_async("left", returns=int), prices.call_async("of", "tea", returns=int))

Arguments are given in the order of the parameters and written by `granary.codec`, and so is the answer read: the value of the method's
`ok`, or its result.
"""

from typing import Any

from granary import _host, codec
from granary.context import GrainId

# With these codes it is certain that the called grain is unchanged.
_NO_EFFECT = {
    "overloaded",
    "deadlock",
    "cancelled",
    "denied",
    "not-found",
    "invalid",
    "guest-trap",
    "limit-exceeded",
    "conflict",
    "unavailable",
}


class CallError(Exception):
    """The call gave no answer, or the method answered `err`."""

    def __init__(self, code: str, text: str, circle: tuple[GrainId, ...] = ()):
        super().__init__(f"{code}: {text}")
        #: `deadlock`, `timeout`, `app` …: a case of `call-error-code` in `granary:grain/types`.
        self.code = code
        #: Why; with `app` the JSON text of the method's `err`.
        self.text = text
        #: With `deadlock` the grains that would have waited for each other.
        self.circle = circle

    @property
    def had_no_effect(self) -> bool:
        """Whether the called grain is certainly unchanged, so that the call may simply be repeated."""
        return self.code in _NO_EFFECT

    def app(self, of: Any = Any) -> Any:
        """The value of the method's `err`, read as the type `of`; none if something else went wrong."""
        return codec.loads(of, self.text) if self.code == "app" else None


class AnswerError(TypeError):
    """The method ran, but its answer does not fit the type in `returns`."""


class Remote:
    """Another grain, and how to call it. `calls.grain` makes one."""

    def __init__(self, id: GrainId, timeout: float | None, idempotency_key: str | None):
        self.id = id
        self._timeout = timeout
        self._key = idempotency_key

    def call(self, method: str, *arguments: Any, returns: Any = Any) -> Any:
        """Calls a method and waits for its answer. Raises `CallError`, or `AnswerError`."""
        try:
            answer = _host.calls.call(*self._request(method, arguments))
        except _host.Err as failed:
            raise _error(failed.value) from None
        return self._read(method, answer, returns)

    async def call_async(self, method: str, *arguments: Any, returns: Any = Any) -> Any:
        """The same in a method that is an `async func`: the turn goes on until it awaits the answer, so that `asyncio.gather` makes several
        calls at once. The world has `include granary:grain/async-imports@0.1.0;`."""
        try:
            answer = await _host.async_calls.call(*self._request(method, arguments))
        except _host.Err as failed:
            raise _error(failed.value) from None
        return self._read(method, answer, returns)

    def _request(self, method, arguments):
        said = options(timeout=self._timeout, idempotency_key=self._key)
        return self._target(), method, _payload(arguments), said

    def _read(self, method, answer, returns):
        try:
            # A method without a result answers with nothing at all.
            return codec.loads(returns, answer.value or "null")
        except (codec.Misfit, ValueError) as misfit:
            raise AnswerError(f"{self.id} {method}: {misfit}") from None

    def send(self, method: str, *arguments: Any, delay: float = 0) -> None:
        """Sends a message without waiting, held back for `delay` seconds after the commit. It leaves only if this turn commits."""
        host = _host.calls
        try:
            host.send(self._target(), method, _payload(arguments), host.SendOptions(_nanoseconds(delay or None)))
        except _host.Err as failed:
            raise _error(failed.value) from None

    def _target(self):
        return _host.types.GrainId(self.id.kind, self.id.key)


def grain(kind: str, key: str, *, timeout: float | None = None, idempotency_key: str | None = None) -> Remote:
    """The grain `kind/key`; it need not exist yet. `timeout` is in seconds, and no call outlives the deadline of the turn that makes it.
    A second call of a method with the same idempotency key gets the first one's answer."""
    return Remote(GrainId(kind, key), timeout, idempotency_key)


def options(*, timeout: float | None = None, idempotency_key: str | None = None):
    """What `Ref.with_options` of a client takes: `hop.Ref.with_options("b", calls.options(timeout=2))`. The timeout is in seconds."""
    return _host.calls.CallOptions(_nanoseconds(timeout), idempotency_key)


def _payload(arguments):
    return _host.calls.Payload_Json(codec.dumps(arguments))


def _nanoseconds(seconds):
    return None if seconds is None else max(0, round(seconds * 1e9))


def _error(failed):
    circle = tuple(GrainId(id.kind, id.key) for id in failed.circle)
    return CallError(codec.to_json(failed.code), failed.text, circle)


__all__ = ["AnswerError", "CallError", "Remote", "grain", "options"]
