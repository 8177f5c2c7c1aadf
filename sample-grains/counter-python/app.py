"""State: a number that survives. The same grain as `counter`, in Python."""

from granary import Value
from wit_world import exports

# The number's place in the state.
COUNT = Value("count", int)

# The number's type in the WIT is u64.
MOST = 2**64 - 1

# The memory of one activation: fast, and gone when the grain goes to rest.
in_memory = 0


class Counter(exports.Counter):
    def increment(self, by: int) -> int:
        count = min(self.get() + by, MOST)
        COUNT.set(count)
        return count

    def get(self) -> int:
        return COUNT.get(0)

    def increment_memory(self, by: int) -> int:
        global in_memory
        in_memory += by
        return in_memory
