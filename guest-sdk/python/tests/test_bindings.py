"""What `granary build` has left is found."""

import importlib
import sys
import tempfile
import unittest
from pathlib import Path

from granary import testing


class BindingsTest(unittest.TestCase):
    def setUp(self):
        self._path = list(sys.path)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.made = Path(folder.name)

    def tearDown(self):
        sys.path[:] = self._path
        sys.modules.pop("wit_world", None)
        importlib.invalidate_caches()

    def build(self, kind):
        world = self.made / kind / "python" / "wit_world"
        world.mkdir(parents=True)
        (world / "__init__.py").write_text(f"KIND = {kind!r}\n")

    def test_the_bindings_of_the_only_kind_can_be_imported(self):
        self.build("cart")
        testing._find_bindings(self.made)
        self.assertEqual(importlib.import_module("wit_world").KIND, "cart")

    def test_of_several_kinds_none_is_guessed(self):
        self.build("cart")
        self.build("shop")
        testing._find_bindings(self.made)
        with self.assertRaises(ModuleNotFoundError):
            importlib.import_module("wit_world")


if __name__ == "__main__":
    unittest.main()
