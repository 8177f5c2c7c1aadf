"""JSON as the host writes it, to and from Python types. State values and the arguments of calls are written by it.

| Python                                    | JSON                                              |
|-------------------------------------------|---------------------------------------------------|
| `bool`, `int`, `float`, `str`, `None`     | the same; `nan` and infinities as texts           |
| `bytes`                                   | base64                                            |
| `list`, `tuple`                           | array                                             |
| `dict` with texts as keys                 | object                                            |
| a dataclass                               | object; a field `in_cents` is named `in-cents`    |
| a dataclass named `Shape_Circle`          | a case of a variant: `{"circle": payload}`, or `"circle"` without fields |
| an `Enum`, a `Flag`                       | the member's name, a list of names: `dark-green`  |
| `Some`, `Ok`, `Err`                       | `{"some": …}`, `{"ok": …}`, `{"err": …}`          |

So the dataclasses that `componentize-py` makes of a WIT interface can be kept and sent as they are. On reading, a field may also have
its Python name, and an integer may be a text of its digits, which is how the host writes one beyond 2^53.
"""

import base64
import binascii
import dataclasses
import enum
import functools
import json
import math
import types
import typing

from granary._host import Err, Ok, Some

_FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_RESULTS = {Some: "some", Ok: "ok", Err: "err"}


class Misfit(TypeError):
    """A value that does not fit a type."""

    def __init__(self, path, expected, found):
        super().__init__(f"at {path or '/'}: expected {expected}, found {found}")
        #: Where: a JSON pointer, empty for the whole value.
        self.path = path
        #: What the type wants there.
        self.expected = expected
        #: What is there.
        self.found = found


def dumps(value):
    """JSON text of a value."""
    return json.dumps(to_json(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def loads(of, text):
    """A value of the type `of` from JSON text or bytes. Raises `Misfit`, or `ValueError` if it is no JSON."""
    return from_json(of, json.loads(text))


def to_json(value, path=""):
    """What `json.dumps` takes, for a value. Raises `Misfit` for one that has no form in JSON."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, enum.Flag):
        return [_kebab(member.name) for member in type(value) if member in value]
    if isinstance(value, enum.Enum):
        return _kebab(value.name)
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else next(k for k, v in _FLOATS.items() if repr(v) == repr(value))
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, (list, tuple)):
        return [to_json(item, f"{path}/{at}") for at, item in enumerate(value)]
    if isinstance(value, dict):
        return _object_to_json(value, path)
    if type(value) in _RESULTS:
        return {_RESULTS[type(value)]: to_json(value.value, path)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _dataclass_to_json(value, path)
    raise Misfit(path, "a value with a form in JSON", f"a {type(value).__name__}")


def _object_to_json(value, path):
    wrong = next((key for key in value if not isinstance(key, str)), None)
    if wrong is not None:
        raise Misfit(path, "texts as keys", repr(wrong))
    return {key: to_json(item, f"{path}/{key}") for key, item in value.items()}


def _dataclass_to_json(value, path):
    fields = [field.name for field in dataclasses.fields(value)]
    case = _case(type(value))
    if case is None:
        return {_kebab(name): to_json(getattr(value, name), f"{path}/{_kebab(name)}") for name in fields}
    if not fields:
        return case
    return {case: to_json(value.value, f"{path}/{case}")}


def from_json(of, data, path=""):
    """A value of the type `of` from what `json.loads` gave. Raises `Misfit`."""
    reader = _SCALARS.get(of)
    if reader is not None:
        return reader(data, path)
    if of is typing.Any or of is object:
        return data
    origin = typing.get_origin(of)
    if origin is typing.Union or origin is types.UnionType:
        return _union(of, data, path)
    if of in (list, tuple, dict) or origin in (list, tuple, dict):
        return _container(origin or of, typing.get_args(of), data, path)
    if (origin or of) in _RESULTS:
        return _tagged(origin or of, typing.get_args(of), data, path)
    if isinstance(of, type) and issubclass(of, enum.Enum):
        return _enum(of, data, path)
    if dataclasses.is_dataclass(of):
        return _dataclass(of, data, path)
    raise TypeError(f"{of!r} cannot be kept as JSON: use a dataclass, or dict, list, str, int, float, bool, bytes")


def _integer(data, path):
    if isinstance(data, int) and not isinstance(data, bool):
        return data
    if isinstance(data, str) and data.removeprefix("-").isdecimal() and data.isascii():
        return int(data)
    raise Misfit(path, "an integer", shape(data))


def _number(data, path):
    if isinstance(data, (int, float)) and not isinstance(data, bool):
        return float(data)
    if isinstance(data, str) and data in _FLOATS:
        return _FLOATS[data]
    raise Misfit(path, "a number", shape(data))


def _boolean(data, path):
    if isinstance(data, bool):
        return data
    raise Misfit(path, "true or false", shape(data))


def _text(data, path):
    if isinstance(data, str):
        return data
    raise Misfit(path, "a text", shape(data))


def _bytes(data, path):
    try:
        return base64.b64decode(_text(data, path), validate=True)
    except binascii.Error:
        raise Misfit(path, "base64", shape(data)) from None


def _nothing(data, path):
    if data is not None:
        raise Misfit(path, "null", shape(data))


_SCALARS = {
    int: _integer,
    float: _number,
    bool: _boolean,
    str: _text,
    bytes: _bytes,
    None: _nothing,
    type(None): _nothing,
}


def _union(of, data, path):
    members = typing.get_args(of)
    if data is None and type(None) in members:
        return None
    members = [member for member in members if member is not type(None)]
    if len(members) == 1:
        return from_json(members[0], data, path)
    cases = {_case(member): member for member in members if _case(member)}
    name = next(iter(data)) if isinstance(data, dict) and len(data) == 1 else data
    if isinstance(name, str) and name in cases:
        return _dataclass(cases[name], data, path)
    for member in members:
        if _case(member) is not None:
            continue
        try:
            return from_json(member, data, path)
        except Misfit:
            continue
    raise Misfit(path, describe(of), shape(data))


def _container(origin, parameters, data, path):
    if origin is dict:
        if not isinstance(data, dict):
            raise Misfit(path, "an object", shape(data))
        item = parameters[1] if parameters else typing.Any
        return {key: from_json(item, value, f"{path}/{key}") for key, value in data.items()}
    if not isinstance(data, list):
        raise Misfit(path, "an array", shape(data))
    if origin is tuple and parameters and parameters[-1] is not Ellipsis:
        if len(parameters) != len(data):
            raise Misfit(path, f"{len(parameters)} elements", f"{len(data)}")
        return tuple(from_json(of, item, f"{path}/{at}") for at, (of, item) in enumerate(zip(parameters, data)))
    of = parameters[0] if parameters else typing.Any
    return origin(from_json(of, item, f"{path}/{at}") for at, item in enumerate(data))


def _tagged(origin, parameters, data, path):
    name = _RESULTS[origin]
    if not isinstance(data, dict) or list(data) != [name]:
        raise Misfit(path, f'{{"{name}": …}}', shape(data))
    return origin(from_json(parameters[0] if parameters else typing.Any, data[name], f"{path}/{name}"))


def _enum(of, data, path):
    members = {_kebab(member.name): member for member in of}
    names = data if issubclass(of, enum.Flag) else [data]
    fits = isinstance(names, list) and all(isinstance(name, str) and name in members for name in names)
    if not fits:
        raise Misfit(path, describe(of), shape(data))
    if issubclass(of, enum.Flag):
        return functools.reduce(lambda all, name: all | members[name], names, of(0))
    return members[data]


@functools.lru_cache(maxsize=None)
def _fields(of):
    hints = typing.get_type_hints(of)
    return [(field, hints[field.name]) for field in dataclasses.fields(of)]


def _dataclass(of, data, path):
    case = _case(of)
    if case is not None:
        if not _fields(of):
            if data != case:
                raise Misfit(path, f'"{case}"', shape(data))
            return of()
        if not isinstance(data, dict) or list(data) != [case]:
            raise Misfit(path, f'{{"{case}": …}}', shape(data))
        return of(from_json(_fields(of)[0][1], data[case], f"{path}/{case}"))
    if not isinstance(data, dict):
        raise Misfit(path, describe(of), shape(data))
    values = {}
    left = dict(data)
    for field, hint in _fields(of):
        name = _kebab(field.name)
        if name not in left and field.name in left:
            name = field.name
        if name in left:
            values[field.name] = from_json(hint, left.pop(name), f"{path}/{name}")
        elif type(None) in typing.get_args(hint):
            values[field.name] = None
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise Misfit(f"{path}/{name}", describe(hint), "nothing")
    if left:
        raise Misfit(f"{path}/{next(iter(left))}", f"no such field in {of.__name__}", shape(next(iter(left.values()))))
    return of(**values)


def _kebab(name):
    return name.strip("_").lower().replace("_", "-")


def _case(of):
    """The case's name, if the class is one of a variant's: `Shape_TooLong` is `too-long`."""
    if not (isinstance(of, type) and dataclasses.is_dataclass(of) and "_" in of.__name__.strip("_")):
        return None
    name = of.__name__.strip("_").split("_", 1)[1]
    return "".join(f"-{c.lower()}" if c.isupper() and at else c.lower() for at, c in enumerate(name))


_NAMES = {int: "integer", float: "number", bool: "boolean", str: "text", bytes: "base64", type(None): "null", typing.Any: "anything", object: "anything"}


def describe(of, depth=3):
    """A type in the words of its JSON: `{id: integer, tag?: text}`."""
    if of is None or of in _NAMES:
        return _NAMES.get(of, "null")
    origin, parameters = typing.get_origin(of) or of, typing.get_args(of)
    if depth == 0:
        return "…"
    inner = lambda of: describe(of, depth - 1)  # noqa: E731
    if origin is typing.Union or origin is types.UnionType:
        return " | ".join(inner(member) for member in parameters)
    if origin is dict:
        return "{text: " + (inner(parameters[1]) if parameters else "anything") + "}"
    if origin in (list, tuple):
        return "[" + ", ".join("…" if of is Ellipsis else inner(of) for of in parameters) + "]"
    if origin in _RESULTS:
        return f"{{{_RESULTS[origin]}: {inner(parameters[0]) if parameters else 'anything'}}}"
    if isinstance(origin, type) and issubclass(origin, enum.Enum):
        names = " | ".join(f'"{_kebab(member.name)}"' for member in origin)
        return f"[{names}]" if issubclass(origin, enum.Flag) else names
    if dataclasses.is_dataclass(origin):
        return _describe_dataclass(origin, inner)
    return repr(of)


def _describe_dataclass(of, inner):
    case = _case(of)
    if case is not None:
        return f"{{{case}: {inner(_fields(of)[0][1])}}}" if _fields(of) else f'"{case}"'
    return "{" + ", ".join(f"{_kebab(field.name)}: {inner(hint)}" for field, hint in _fields(of)) + "}"


def shape(data, depth=3):
    """A JSON value in the same words as `describe`: what somebody has written."""
    if isinstance(data, bool):
        return "boolean"
    if isinstance(data, int):
        return "integer"
    if isinstance(data, float):
        return "number"
    if isinstance(data, str):
        return "text"
    if data is None:
        return "null"
    if depth == 0:
        return "…"
    if isinstance(data, list):
        return f"[{shape(data[0], depth - 1)}]" if data else "[]"
    return "{" + ", ".join(f"{key}: {shape(value, depth - 1)}" for key, value in data.items()) + "}"
