"""What a Python grain uses of its host: state, calls, context, hooks. All of it is optional: a component that exports its own interface
is a grain, without this package.

From nothing to a grain
=======================

A grain's API is an interface in WIT, in `wit/counter.wit`. Each function becomes a method that is called over HTTP with JSON, from the
command line, and from other grains. The documentation comments go into the kind's OpenAPI page::

    package demo:counter@0.1.0;

    interface counter {
      /// Adds `by` to the number and answers the new one.
      increment: func(by: u64) -> u64;
      get: func() -> u64;
    }

    world grain {
      include granary:grain/imports@0.1.0;
      export counter;
    }

The code is the module `app.py`. It has one class for each exported interface, named after it; `componentize-py` makes `exports` from
the WIT, with a class to derive from and a dataclass for each record::

    from granary import Value
    from wit_world import exports

    COUNT = Value("count", int)

    class Counter(exports.Counter):
        def increment(self, by: int) -> int:
            count = self.get() + by
            COUNT.set(count)
            return count

        def get(self) -> int:
            return COUNT.get(0)

`granary.toml` makes a kind of it. `get` is a `read` method: it may not write, and can be called with `GET`::

    [kinds.counter]
    build = "."
    language = "python"

    [kinds.counter.methods.get]
    mode = "read"

`granary dev` builds it, runs it, and builds it again when a file changes::

    $ curl -d 5 localhost:7420/g/counter/visits/increment
    5

What a turn is
==============

One call is one *turn*. A grain has one turn at a time, so plain code without locks is right. What the turn writes to the `state` and the
messages that it sends are committed together when it ends, and the answer leaves after that. When an exception is not caught, nothing of
it is left, and the caller is told the exception and its traceback. A method whose WIT type is a `result` answers its `err` by
`raise Err(value)`; that is an answer, and its turn is committed.

Variables of a module are the activation's own memory. They are fast, and gone when the grain goes to rest. The module is run once, when
the component is built: what it computes then is part of the component, and the host cannot be asked yet.

A component whose interface has an `async func` is asynchronous: the method is an `async def`, waits with `await`, and makes several calls
at once with `asyncio.gather` (see `calls`). Its `read` and `interleave` methods run side by side where they wait. The event loop is the
component's own: there are no timers in it (`asyncio.sleep`, `wait_for`), no threads and no sockets. `state` is the same in such methods:
up to 256 KiB it is in memory and never waits; of a larger one a read may wait for the store, and the component with it, unless it is one of
those that end in `_async`.

`print` goes to the grain's log, and to its error stream with `file=sys.stderr`. `os.abort` ends the turn as an exception does that is not caught,
and nothing is cleaned up.

What is there
=============

- `state`: `Value` and `Table` keep typed values; a value that does not fit its type is a `StateTypeError` and never a wrong value.
- `calls`: other grains by name.
- `context`: who calls, until when, in which chain.
- `hooks`: code around an activation, and code that takes over the state of an older revision.
- `codec`: how types are written as JSON; the dataclasses that are made of WIT types can be kept and sent as they are.
- `testing`: a host for unit tests of a grain with plain `python`.
"""

from granary import calls, codec, context, hooks, state
from granary._host import Err, HostMissing, Ok, Some
from granary.calls import AnswerError, CallError
from granary.context import GrainId
from granary.hooks import Lifecycle, Migration
from granary.state import StateError, StateTypeError, Table, Value

__all__ = [
    "AnswerError",
    "CallError",
    "Err",
    "GrainId",
    "HostMissing",
    "Lifecycle",
    "Migration",
    "Ok",
    "Some",
    "StateError",
    "StateTypeError",
    "Table",
    "Value",
    "calls",
    "codec",
    "context",
    "hooks",
    "state",
]
