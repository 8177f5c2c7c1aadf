"""The one place that looks for what `componentize-py` generates from the world: the modules of `granary:grain`, and its `Err`.

On a desk, where nothing is generated, `granary.testing` puts its fakes here.
"""

import importlib

from granary import _ending


class HostMissing(RuntimeError):
    """The component does not import this interface, or the code runs outside a grain."""


class _Missing:
    def __init__(self, interface, world):
        self._interface = interface
        self._world = world

    def __getattr__(self, name):
        raise HostMissing(
            f"granary:grain/{self._interface} is not imported here: write `include granary:grain/{self._world}@0.1.0;` "
            "into the world, or use granary.testing outside a grain"
        )


def _find(interface, mark, world="imports"):
    module_name = interface.replace("-", "_")
    # Two interfaces of one name in a world get longer names.
    for name in (module_name, f"granary_grain_{module_name}"):
        try:
            module = importlib.import_module(f"wit_world.imports.{name}")
        except ImportError:
            continue
        if hasattr(module, mark):
            return module
    return _Missing(interface, world)


state = _find("state", "StateError")
async_state = _find("async-state", "scan", "async-imports")
calls = _find("calls", "Payload_Json")
async_calls = _find("async-calls", "call", "async-imports")
context = _find("context", "activation_epoch")
types = _find("types", "GrainId")

try:
    from componentize_py_types import Err, Ok, Some

    _ending.speak_up()
except ImportError:
    from granary._results import Err, Ok, Some

__all__ = ["Err", "HostMissing", "Ok", "Some", "async_calls", "async_state", "calls", "context", "state", "types"]
