"""Async functions in Python: calls from one turn overlap, and so do turns of one activation."""

import asyncio

from granary import CallError, Err, Value, calls
from wit_world import exports

COUNT = Value("count", int)


async def meet(gate: str) -> int:
    """Comes back when two are at the gate."""
    return await calls.grain("async-reader", gate).call_async("meet", 2, returns=int)


class Turns(exports.Turns):
    async def gather(self, gate: str) -> tuple[int, int]:
        first, second = await asyncio.gather(meet(gate), meet(gate))
        return first, second

    async def count_around(self, gate: str) -> int:
        COUNT.set(COUNT.get(0) + 1)
        await meet(gate)
        COUNT.set(COUNT.get(0) + 1)
        return COUNT.get(0)

    async def ask(self, kind: str) -> int:
        try:
            return await calls.grain(kind, "any").call_async("get", returns=int)
        except CallError as failed:
            raise Err(failed.code) from None

    async def throw(self, gate: str) -> None:
        COUNT.set(1000)
        await meet(gate)
        raise ValueError("the milk is sour")

    async def get(self) -> int:
        return COUNT.get(0)

    def plain(self) -> int:
        return COUNT.get(0)
