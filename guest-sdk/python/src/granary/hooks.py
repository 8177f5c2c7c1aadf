"""Hooks around an activation. Write `export granary:grain/lifecycle@0.1.0;` or `export granary:grain/migration@0.1.0;` into the world, and
a class of the hook's name beside the grain's:

>>> class Lifecycle(granary.Lifecycle):
...     def activate(self, reason):
...         print("awake:", reason.name)     # goes to the grain's log

A hook refuses by `raise Err("why")`.
"""


class Lifecycle:
    """Code before the first message of an activation and after its last. Either method may be left out."""

    def activate(self, reason) -> None:
        """Runs as a turn before the first message: it may read and write state. `raise Err("why")` refuses that message; the next one
        tries again. `reason` is MESSAGE, RECOVERY or UPGRADE of the generated enum."""

    def deactivate(self, reason) -> None:
        """Runs as a turn after the last message. Do not rely on it: after a trap, or when a node loses power, nothing is called."""


class Migration:
    """Code that takes over state which another revision wrote."""

    def migrate(self, from_revision: int) -> None:
        """Runs once for each grain, as a turn of its own, before the first message reaches the new code. An exception leaves the state
        untouched, keeps the grain on its old revision and halts the rollout."""
        raise NotImplementedError
