"""What a running turn may know about itself. Every function answers at once."""

from typing import NamedTuple

from granary import _host


class GrainId(NamedTuple):
    """The identity of a grain. As text it is `kind/key`."""

    kind: str
    key: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.key}"


def _own(id):
    return None if id is None else GrainId(id.kind, id.key)


def self_id() -> GrainId:
    """The grain whose code is running."""
    return _own(_host.context.self_id())


def key() -> str:
    """The key of the grain whose code is running."""
    return _host.context.self_id().key


def revision() -> int:
    """The revision of the kind that is running: 1, 2, 3, …"""
    return _host.context.revision()


def activation_epoch() -> int:
    """The fencing number of this activation. It grows with each activation of the grain."""
    return _host.context.activation_epoch()


def caller() -> GrainId | None:
    """The grain that called, or none when the call came from outside."""
    return _own(_host.context.caller())


def call_chain() -> list[GrainId]:
    """The grains that wait for this turn, the first caller first."""
    return [_own(id) for id in _host.context.call_chain()]


def principal() -> str | None:
    """Who called from outside, as authentication named them."""
    return _host.context.principal()


def seconds_left() -> float:
    """How long the caller still waits; 0 when it has given up."""
    return _host.context.deadline_remaining() / 1e9


def idempotency_key() -> str | None:
    """The call's idempotency key, if it carries one."""
    return _host.context.idempotency_key()


def baggage(name: str) -> str | None:
    """A value that an earlier caller in the chain attached, or none."""
    return _host.context.baggage(name)


def set_baggage(name: str, value: str) -> None:
    """Attaches a value that travels with every call that this turn makes. Raises `ValueError` when the baggage grows over 8 KiB."""
    try:
        _host.context.set_baggage(name, value)
    except _host.Err as refused:
        raise ValueError(refused.value) from None


def is_cancelled() -> bool:
    """Whether the caller has given up."""
    return _host.context.is_cancelled()
