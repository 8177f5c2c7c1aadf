"""A host for unit tests of a grain's code with plain `python -m unittest`, without a node.

>>> from granary import testing                     # first: it finds `wit_world`, which `granary build` has left
>>> import app

>>> with testing.Host(key="tea") as host:
...     host.answers["stock/tea take"] = 4          # or a function of the arguments; raise CallError(...) inside to fail
...     buy(3)
...     assert host.state == {"bought": b"3"}
...     assert host.sent == [("audit/2031", "taken", ["tea", 3], 0.0)]

What the code prints goes where `print` always goes. `granary test` runs the built component instead.

`granary build` leaves this package in `target/granary/sdk/python/src`, and the bindings of each kind in `target/granary/KIND/python`. The
`[test]` command of `granary test` finds this package; elsewhere put it on the module path, say by `PYTHONPATH`. A module that imports
`wit_world` is given that of the kind in whose folder it lies. Python keeps one module of a name, and `wit_world` and `app` are the same names
in every kind: test each kind in a process of its own, as in `python3 -m unittest discover -s cart && python3 -m unittest discover -s shop`.
"""

import bisect
import enum
import importlib
import importlib.abc
import importlib.machinery
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

from granary import _host
from granary.calls import CallError
from granary.codec import to_json

# The part of the runtime that bindings of an `async func` import; nothing of it is reached here.
_RUNTIME = "componentize_py_runtime"


# What the path of a kind's folder is written to, beside its bindings.
_SOURCE = "source"


class _Bindings(importlib.abc.MetaPathFinder):
    """Finds `wit_world` where it is not on the path: that of the kind whose module imports it, or of the only one."""

    def __init__(self, made: Path):
        self._made = made
        self._chosen = None

    def find_spec(self, name, path=None, target=None):
        if name == "wit_world":
            self._chosen = self._choose()
        # The modules beside it are those that it imports.
        return self._chosen and importlib.machinery.PathFinder.find_spec(name, [str(self._chosen)])

    def _choose(self):
        kinds = sorted(world.parent for world in self._made.glob("*/python/wit_world"))
        if not kinds:
            return None
        importer = _importer()
        own = [kind for kind in kinds if _source(kind) in importer.parents]
        if not own and len(kinds) > 1:
            names = ", ".join(kind.parent.name for kind in kinds)
            raise ModuleNotFoundError(
                f"wit_world of which kind? {importer} lies in the folder of none of {names}: import it from a kind's own module, "
                f"or put target/granary/KIND/python on the module path",
                name="wit_world",
            )
        # Of folders within each other the inner one.
        return max(own, key=lambda kind: len(_source(kind).parts)) if own else kinds[0]


def _source(bindings: Path) -> "Path | None":
    file = bindings / _SOURCE
    return Path(file.read_text(encoding="utf-8")).resolve() if file.is_file() else None


def _importer() -> Path:
    """The file whose import is going on."""
    between = (__file__, importlib.__file__)
    frame = sys._getframe(1)
    while frame is not None and (frame.f_code.co_filename in between or frame.f_code.co_filename.startswith("<frozen importlib")):
        frame = frame.f_back
    return Path(frame.f_code.co_filename if frame else "").resolve()


# Asked after the path. This file is `target/granary/sdk/python/src/granary/testing.py`.
sys.modules.setdefault(_RUNTIME, ModuleType(_RUNTIME))
sys.meta_path.append(_Bindings(Path(__file__).resolve().parents[4]))


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
