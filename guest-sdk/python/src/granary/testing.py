"""A host for unit tests of a grain's code with plain `python -m unittest`, without a node.

>>> from granary import testing                     # first: it finds `wit_world`, which `granary build` has left
>>> import app

>>> with testing.Host(key="tea") as host:
...     host.answers["stock/tea take"] = 4          # or a function of the arguments; raise CallError(...) inside to fail
...     buy(3)
...     assert host.state == {"bought": b"3"}
...     assert host.sent == [("audit/2031", "taken", ["tea", 3], 0.0)]

What the code prints goes where `print` always goes. `granary test` runs the built component instead.

`granary build` leaves this package in `target/granary/sdk/python/src`, and the bindings of each kind in `target/granary/KIND/python`. With this
package on the module path, say by `PYTHONPATH`, the bindings are found where there is one kind in Python; of several, put the one that is
meant on the path, too.
"""

import bisect
import enum
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

from granary import _host
from granary.calls import CallError
from granary.codec import to_json

# The part of the runtime that bindings of an `async func` import; nothing of it is reached here.
_RUNTIME = "componentize_py_runtime"


def _find_bindings(made: Path) -> None:
    """Makes `wit_world` of the one kind that was built beside this package a module."""
    sys.modules.setdefault(_RUNTIME, ModuleType(_RUNTIME))
    if importlib.util.find_spec("wit_world") is not None:
        return
    built = [world.parent for world in made.glob("*/python/wit_world")]
    if len(built) == 1:
        sys.path.append(str(built[0]))


# Of `target/granary/sdk/python/src/granary/testing.py`.
_find_bindings(Path(__file__).resolve().parents[4])


class Host:
    """State, calls and context in memory. Use it in a `with`, one at a time."""

    def __init__(self, kind="grain", key="test", revision=1, caller=None, baggage=None, read_only=False, seconds_left=30.0):
        #: The state: keys and bytes.
        self.state = {}
        #: What `send` has sent: target, method, arguments, delay in seconds.
        self.sent = []
        #: What `call` has called: target, method, arguments.
        self.called = []
        #: Answers to calls, by `"kind/key method"`: a value, or a function that takes the arguments.
        self.answers = {}
        #: The call's baggage.
        self.baggage = dict(baggage or {})
        #: Whether writing is refused, as in a `read` method.
        self.read_only = read_only
        self._id = SimpleNamespace(kind=kind, key=key)
        self._caller = caller and SimpleNamespace(**dict(zip(("kind", "key"), caller.split("/", 1))))
        self._revision = revision
        self._left = seconds_left

    def __enter__(self):
        self._kept = (_host.state, _host.async_state, _host.calls, _host.async_calls, _host.context, _host.types)
        _host.state = SimpleNamespace(get=self.state.get, set=self._set, delete=self._delete, scan=self._scan, version=lambda: 0)
        _host.async_state = SimpleNamespace(**{name: _awaited(getattr(_host.state, name)) for name in ("get", "set", "delete", "scan")})
        _host.calls = SimpleNamespace(
            call=self._call, send=self._send, CallOptions=_options("timeout", "idempotency_key"), SendOptions=_options("delay"), Payload_Json=_options("value")
        )
        _host.async_calls = SimpleNamespace(call=_awaited(self._call))
        _host.context = SimpleNamespace(
            self_id=lambda: self._id,
            caller=lambda: self._caller,
            call_chain=lambda: [self._caller] if self._caller else [],
            revision=lambda: self._revision,
            activation_epoch=lambda: 1,
            principal=lambda: None,
            deadline_remaining=lambda: round(self._left * 1e9),
            idempotency_key=lambda: None,
            baggage=self.baggage.get,
            set_baggage=self.baggage.__setitem__,
            is_cancelled=lambda: False,
        )
        _host.types = SimpleNamespace(GrainId=_options("kind", "key"))
        return self

    def __exit__(self, *_):
        _host.state, _host.async_state, _host.calls, _host.async_calls, _host.context, _host.types = self._kept

    def json(self, key):
        """The JSON value under a state key, or none."""
        return json.loads(self.state[key]) if key in self.state else None

    def _set(self, key, value):
        self._check(key)
        self.state[key] = value

    def _delete(self, key):
        self._check(key)
        self.state.pop(key, None)

    def _check(self, key):
        if self.read_only:
            raise _refused("read-only", "a `read` method may not write")
        if not 1 <= len(key.encode()) <= 512:
            raise _refused("bad-key", f"a key has 1 to 512 bytes, not {len(key.encode())}")

    def _scan(self, prefix, cursor, limit):
        keys = sorted(key for key in self.state if key.startswith(prefix))
        start = 0 if cursor is None else bisect.bisect_right(keys, cursor)
        page = keys[start : start + limit]
        more = page[-1] if start + limit < len(keys) else None
        return SimpleNamespace(entries=[SimpleNamespace(key=key, value=self.state[key]) for key in page], cursor=more)

    def _call(self, target, method, payload, options):
        name, arguments = f"{target.kind}/{target.key}", json.loads(payload.value)
        self.called.append((name, method, arguments))
        try:
            answer = self.answers[f"{name} {method}"]
        except KeyError:
            raise _refused("not-found", f"no answer is set for '{name} {method}'") from None
        try:
            answer = answer(*arguments) if callable(answer) else answer
        except CallError as failed:
            raise _refused(failed.code, failed.text, failed.circle) from None
        return SimpleNamespace(value=json.dumps(to_json(answer)))

    def _send(self, target, method, payload, options):
        self.sent.append((f"{target.kind}/{target.key}", method, json.loads(payload.value), (options.delay or 0) / 1e9))


def _awaited(function):
    async def awaited(*arguments):
        return function(*arguments)

    return awaited


def _options(*names):
    return lambda *values: SimpleNamespace(**dict(zip(names, values)))


def _refused(code, text, circle=()):
    # Codes are enums, as `componentize-py` writes them.
    codes = enum.Enum("Code", [code.upper().replace("-", "_")])
    return _host.Err(SimpleNamespace(code=next(iter(codes)), text=text, circle=circle))
