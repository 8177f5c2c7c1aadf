"""The grain's own durable state: keys of text, values of bytes or of anything that `granary.codec` writes as JSON.

A turn sees its own writes at once. All of them are committed when it ends, or none.

Up to 256 KiB of state lie in the host's memory, and nothing here waits. Of a larger state a value may have to come from the store, and the
component stands still until it is there, other turns that run beside this one included. In an `async func` what ends in `_async` does the same and
lets the others go on; the world has `include granary:grain/async-imports@0.1.0;`.
"""

import json
from typing import Any, AsyncIterator, Generic, Iterator, TypeVar

from granary import _host, codec

T = TypeVar("T")
D = TypeVar("D")

# How many entries one request to the host asks for.
_PAGE_ENTRIES = 256


class StateError(Exception):
    """The host refused. The turn goes on; nothing was changed."""

    def __init__(self, code: str, text: str):
        super().__init__(f"{code}: {text}")
        #: `bad-key`, `too-large`, `read-only` or `unavailable`.
        self.code = code
        #: Why.
        self.text = text


class StateTypeError(TypeError):
    """A value in the state and the type that this code keeps there do not fit. Nothing was changed.

    It names both versions: `expected` is what this revision's type looks like in JSON, `found` what the state holds (or what was to be
    written). A kind whose types change exports `granary:grain/migration` and rewrites the value there.
    """

    def __init__(self, key: str, expected: str, found: str, why: str, stored: bytes | None):
        revision = _host.context.revision()
        given = "given" if stored is None else "stored"
        super().__init__(f"state key '{key}': {why}; revision {revision} keeps {expected}, {given} is {found}")
        #: The state key.
        self.key = key
        #: The revision that is running.
        self.revision = revision
        #: The type of its code, in the words of its JSON.
        self.expected = expected
        #: The value that does not fit, in the same words.
        self.found = found
        #: What does not fit, and where.
        self.why = why
        #: The bytes in the state, or none if the value was refused before it was written.
        self.stored = stored


def get_bytes(key: str) -> bytes | None:
    """The bytes under a key, or none."""
    with _refusals():
        return _host.state.get(key)


def set_bytes(key: str, value: bytes) -> None:
    """Puts bytes under a key."""
    with _refusals():
        _host.state.set(key, bytes(value))


def delete(key: str) -> None:
    """Removes a key. Removing one that is not there is no error."""
    with _refusals():
        _host.state.delete(key)


async def get_bytes_async(key: str) -> bytes | None:
    """`get_bytes` for an `async func`: others go on while the store is asked."""
    with _refusals():
        return await _host.async_state.get(key)


async def set_bytes_async(key: str, value: bytes) -> None:
    """`set_bytes` for an `async func`. The turn sees the value from when this has been awaited."""
    with _refusals():
        await _host.async_state.set(key, bytes(value))


async def delete_async(key: str) -> None:
    """`delete` for an `async func`."""
    with _refusals():
        await _host.async_state.delete(key)


def version() -> int:
    """How many commits have changed this grain's state."""
    return _host.state.version()


def get(key: str, of: type[T]) -> T | None:
    """The value under a key, or none. Raises `StateTypeError` if what is there does not fit the type."""
    stored = get_bytes(key)
    return None if stored is None else _read(key, of, stored)


def set(key: str, value: Any, of: Any = Any) -> None:
    """Puts a value under a key, as JSON. With `of`, one that does not fit that type is refused by `StateTypeError`."""
    set_bytes(key, _written(key, value, of))


async def get_async(key: str, of: type[T]) -> T | None:
    """`get` for an `async func`."""
    stored = await get_bytes_async(key)
    return None if stored is None else _read(key, of, stored)


async def set_async(key: str, value: Any, of: Any = Any) -> None:
    """`set` for an `async func`."""
    await set_bytes_async(key, _written(key, value, of))


def _written(key, value, of):
    try:
        data = codec.to_json(value)
        # What `get` will read is what was given: a text of digits would come back as an integer.
        if codec.to_json(codec.from_json(of, data)) != data:
            raise codec.Misfit("", codec.describe(of), codec.shape(data))
    except codec.Misfit as misfit:
        raise StateTypeError(key, codec.describe(of), _given(value), str(misfit), None) from None
    return codec.dumps(value).encode()


def scan_bytes(prefix: str = "") -> Iterator[tuple[str, bytes]]:
    """Every key that starts with `prefix`, with its bytes, in the order of the keys. Pages are fetched as they are needed."""
    cursor = None
    while True:
        with _refusals():
            page = _host.state.scan(prefix, cursor, _PAGE_ENTRIES)
        for entry in page.entries:
            yield entry.key, entry.value
        cursor = page.cursor
        if cursor is None:
            return


async def scan_bytes_async(prefix: str = "") -> AsyncIterator[tuple[str, bytes]]:
    """`scan_bytes` for an `async func`, with `async for`."""
    cursor = None
    while True:
        with _refusals():
            page = await _host.async_state.scan(prefix, cursor, _PAGE_ENTRIES)
        for entry in page.entries:
            yield entry.key, entry.value
        cursor = page.cursor
        if cursor is None:
            return


def scan(prefix: str, of: type[T]) -> Iterator[tuple[str, T]]:
    """`scan_bytes` for values that `set` has written."""
    for key, stored in scan_bytes(prefix):
        yield key, _read(key, of, stored)


class Value(Generic[T]):
    """One key of the state and the type of its value, named once.

    >>> COUNT = Value("count", int)
    >>> COUNT.set(COUNT.get(0) + 1)     # in a method
    """

    def __init__(self, key: str, of: type[T] | Any):
        self.key = key
        self.of = of

    def get(self, default: D = None) -> T | D:
        """The value, or `default` if it was never set."""
        stored = get_bytes(self.key)
        return default if stored is None else _read(self.key, self.of, stored)

    def set(self, value: T) -> None:
        """Puts the value."""
        set(self.key, value, self.of)

    def delete(self) -> None:
        """Removes the value."""
        delete(self.key)

    async def get_async(self, default: D = None) -> T | D:
        """`get` for an `async func`."""
        stored = await get_bytes_async(self.key)
        return default if stored is None else _read(self.key, self.of, stored)

    async def set_async(self, value: T) -> None:
        """`set` for an `async func`."""
        await set_async(self.key, value, self.of)

    async def delete_async(self) -> None:
        """`delete` for an `async func`."""
        await delete_async(self.key)


class Table(Generic[T]):
    """Values of one type under a common prefix, one state key each: a change writes one row and not the whole table.

    >>> ITEMS = Table("item/", Item)
    >>> ITEMS["tea"] = Item("tea", 2)   # in a method
    """

    def __init__(self, prefix: str, of: type[T] | Any):
        self.prefix = prefix
        self.of = of

    def get(self, row: str, default: D = None) -> T | D:
        """The row's value, or `default`."""
        stored = get_bytes(self.prefix + row)
        return default if stored is None else _read(self.prefix + row, self.of, stored)

    async def get_async(self, row: str, default: D = None) -> T | D:
        """`get` for an `async func`."""
        stored = await get_bytes_async(self.prefix + row)
        return default if stored is None else _read(self.prefix + row, self.of, stored)

    async def set_async(self, row: str, value: T) -> None:
        """Sets a row in an `async func`."""
        await set_async(self.prefix + row, value, self.of)

    def __setitem__(self, row: str, value: T) -> None:
        set(self.prefix + row, value, self.of)

    def __delitem__(self, row: str) -> None:
        delete(self.prefix + row)

    def __contains__(self, row: str) -> bool:
        return get_bytes(self.prefix + row) is not None

    def items(self) -> Iterator[tuple[str, T]]:
        """Every row's name and value, in the order of the names."""
        for key, value in scan(self.prefix, self.of):
            yield key.removeprefix(self.prefix), value

    def values(self) -> Iterator[T]:
        """Every row's value, in the order of the names."""
        return (value for _, value in self.items())


def _read(key, of, stored):
    try:
        return codec.loads(of, stored)
    except codec.Misfit as misfit:
        raise StateTypeError(key, codec.describe(of), codec.shape(json.loads(stored)), str(misfit), stored) from None
    except ValueError:
        raise StateTypeError(key, codec.describe(of), f"{len(stored)} bytes", "it is no JSON", stored) from None


def _given(value):
    try:
        return codec.shape(codec.to_json(value))
    except codec.Misfit:
        return f"a {type(value).__name__}"


class _refusals:
    """Makes the host's `err` an exception of this module. It does not touch other exceptions."""

    def __enter__(self):
        return self

    def __exit__(self, kind, failed, traceback):
        if kind is not None and issubclass(kind, _host.Err):
            raise StateError(codec.to_json(failed.value.code), failed.value.text) from None
