"""Every type of WIT there and back, and every way to fail."""

import os
import sys

import granary
from granary import CallError, Err, calls, context, state
from wit_world import exports

# What `hoard` holds on to.
hoarded = []


class Types(exports.Types):
    def boolean(self, value):
        return value

    def unsigned8(self, value):
        return value

    def unsigned16(self, value):
        return value

    def unsigned32(self, value):
        return value

    def unsigned64(self, value):
        return value

    def signed8(self, value):
        return value

    def signed16(self, value):
        return value

    def signed32(self, value):
        return value

    def signed64(self, value):
        return value

    def float32(self, value):
        return value

    def float64(self, value):
        return value

    def character(self, value):
        return value

    def text(self, value):
        return value

    def bytes(self, value):
        return value

    def numbers(self, value):
        return value

    def texts(self, value):
        return value

    def pair(self, value):
        return value

    def maybe(self, value):
        return value

    def maybe_maybe(self, value):
        return value

    def a_record(self, value):
        return value

    def a_variant(self, value):
        return value

    def an_enum(self, value):
        return value

    def some_flags(self, value):
        return value

    def outcomes(self, value):
        return value


class Trouble(exports.Trouble):
    def fail(self, words: str) -> int:
        state.set("failed", True)
        raise Err(words)

    def throw(self, words: str) -> None:
        state.set("thrown", True)
        raise ValueError(words)

    def exit(self, status: int) -> None:
        sys.exit(status)

    def abort(self) -> None:
        state.set("aborted", True)
        os.abort()

    def check(self, words: str) -> None:
        state.set("checked", True)
        assert words == "", words

    def spin(self) -> None:
        while True:
            pass

    def hoard(self) -> None:
        while True:
            hoarded.append(bytearray(1024 * 1024))

    def speak(self, line: str) -> None:
        print(line)
        print(line, file=sys.stderr)

    def has(self, key: str) -> bool:
        return state.get_bytes(key) is not None


class Lifecycle(granary.Lifecycle):
    def activate(self, reason) -> None:
        if state.get_bytes("locked") is not None:
            raise Err("it is locked")
        state.set("activated", reason.name.lower())


class Migration(granary.Migration):
    def migrate(self, from_revision: int) -> None:
        state.set("migrated", from_revision)


class Journey(exports.Journey):
    def call(self, kind: str, key: str, text: str) -> str:
        try:
            return calls.grain(kind, key).call("text", text, returns=str)
        except CallError as error:
            raise Err(str(error)) from None

    def who(self):
        caller = context.caller()
        return str(context.self_id()), caller and str(caller), len(context.call_chain())

    def time_left(self) -> int:
        return int(context.seconds_left() * 1000)

    def baggage(self, name: str):
        return context.baggage(name)

    def onward(self, path: str) -> str:
        first, _, rest = path.partition(" ")
        if "/" in first:
            try:
                return calls.grain(*first.split("/", 1)).call("onward", rest, returns=str)
            except CallError as error:
                raise Err(str(error)) from None
        me, caller, waiting = self.who()
        return f"{me} {caller or ''} {waiting} {self.time_left()} {context.baggage('trip') or ''}"
