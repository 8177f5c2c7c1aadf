"""What `granary build` has left is found."""

import importlib
import sys
import tempfile
import unittest
from pathlib import Path

from granary import testing


class BindingsTest(unittest.TestCase):
    def setUp(self):
        self._path, self._meta_path = list(sys.path), list(sys.meta_path)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.project = Path(folder.name).resolve()
        self.made = self.project / "target" / "granary"
        sys.meta_path.append(testing._Bindings(self.made))

    def tearDown(self):
        sys.path[:], sys.meta_path[:] = self._path, self._meta_path
        self.forget()

    def forget(self):
        for name in ("wit_world", "beside", "user"):
            sys.modules.pop(name, None)
        importlib.invalidate_caches()

    def build(self, kind, folder="."):
        bindings = self.made / kind / "python"
        (bindings / "wit_world").mkdir(parents=True)
        (bindings / "wit_world" / "__init__.py").write_text("from beside import KIND\n")
        (bindings / "beside.py").write_text(f"KIND = {kind!r}\n")
        (bindings / "source").write_text(str(self.project / folder))

    def imported_in(self, folder):
        """The kind whose bindings a module in a folder is given."""
        self.forget()
        place = self.project / folder
        place.mkdir(parents=True, exist_ok=True)
        (place / "user.py").write_text("from wit_world import KIND\n")
        sys.path.insert(0, str(place))
        try:
            return importlib.import_module("user").KIND
        finally:
            sys.path.pop(0)

    def test_the_bindings_of_the_only_kind_can_be_imported(self):
        self.build("cart")
        self.assertEqual(importlib.import_module("wit_world").KIND, "cart")

    def test_of_several_kinds_a_module_is_given_those_of_its_own(self):
        self.build("all", ".")
        self.build("cart", "cart")
        self.build("shop", "shop")
        for folder, kind in {"cart": "cart", "shop/src": "shop", "tests": "all"}.items():
            self.assertEqual(self.imported_in(folder), kind, folder)

    def test_of_several_kinds_none_is_guessed(self):
        self.build("cart", "cart")
        self.build("shop", "shop")
        with self.assertRaisesRegex(ModuleNotFoundError, "which kind.*tests/user.py lies in the folder of none of cart, shop"):
            self.imported_in("tests")
        with self.assertRaisesRegex(ModuleNotFoundError, "which kind"):
            importlib.import_module("wit_world")

    def test_what_is_on_the_path_comes_first(self):
        self.build("cart", "cart")
        self.build("shop", "shop")
        sys.path.append(str(self.made / "shop" / "python"))
        self.assertEqual(self.imported_in("cart"), "shop")

    def test_another_name_is_no_business_of_bindings(self):
        self.build("cart")
        with self.assertRaisesRegex(ModuleNotFoundError, "no_such_module"):
            importlib.import_module("no_such_module")


if __name__ == "__main__":
    unittest.main()
