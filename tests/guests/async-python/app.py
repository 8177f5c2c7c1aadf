"""Async functions in Python: calls from one turn overlap, and so do turns of one activation."""

import asyncio

from granary import CallError, Err, Table, Value, calls, state
from wit_world import exports

COUNT = Value("count", int)
ROWS = Table("row/", str)


async def meet(gate: str) -> int:
    """Comes back when two are at the gate."""
    return await calls.grain("async-reader", gate).call_async("meet", 2, returns=int)


class Turns(exports.Turns):
    async def gather(self, gate: str) -> tuple[int, int]:
        first, second = await asyncio.gather(meet(gate), meet(gate))
        return first, second

    async def count_around(self, gate: str) -> int:
        await COUNT.set_async(await COUNT.get_async(0) + 1)
        await meet(gate)
        COUNT.set(COUNT.get(0) + 1)
        return COUNT.get(0)

    async def awaited(self, rows: int, size: int) -> int:
        """Writes rows all at once, takes one away, and gives the letters of those that it finds."""
        await asyncio.gather(*(ROWS.set_async(str(row), "x" * size) for row in range(rows)))
        await state.delete_async(ROWS.prefix + "0")
        names = [key.removeprefix(ROWS.prefix) async for key, _ in state.scan_bytes_async(ROWS.prefix)]
        found = await asyncio.gather(*(ROWS.get_async(name) for name in names))
        return sum(len(text) for text in found)

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
