import enum
import math
import unittest
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Tuple, Union

from granary import Err, Ok, Some, codec


# As componentize-py writes them.
@dataclass
class Item:
    id: int
    name: str
    in_cents: Optional[int]


class Color(enum.Enum):
    RED = 0
    DARK_GREEN = 1


class Rights(enum.Flag):
    READ = enum.auto()
    LOOK_AROUND = enum.auto()


@dataclass
class Shape_Nothing:
    pass


@dataclass
class Shape_TooLong:
    value: float


@dataclass
class Shape_Named:
    value: Item


Shape = Union[Shape_Nothing, Shape_TooLong, Shape_Named]


@dataclass
class Order:
    items: List[Item] = field(default_factory=list)
    paid: Color | None = None


class ThereAndBack(unittest.TestCase):
    def test_every_type_is_written_as_the_host_writes_it_and_read_again(self):
        for of, value, text in [
            (int, 2**64 - 1, "18446744073709551615"),
            (int, -7, "-7"),
            (float, 0.5, "0.5"),
            (float, math.inf, '"Infinity"'),
            (bool, True, "true"),
            (str, 'ä"\n', '"ä\\"\\n"'),
            (bytes, b"\x00\xff", '"AP8="'),
            (List[int], [], "[]"),
            (Tuple[int, str], (7, "x"), '[7,"x"]'),
            (tuple[int, ...], (1, 2), "[1,2]"),
            (Dict[str, int], {"a_b": 1}, '{"a_b":1}'),
            (Optional[int], None, "null"),
            (Item, Item(1, "n", None), '{"id":1,"name":"n","in-cents":null}'),
            (Order, Order([Item(1, "n", 2)], Color.DARK_GREEN), '{"items":[{"id":1,"name":"n","in-cents":2}],"paid":"dark-green"}'),
            (Rights, Rights.READ | Rights.LOOK_AROUND, '["read","look-around"]'),
            (Rights, Rights(0), "[]"),
            (Shape, Shape_Nothing(), '"nothing"'),
            (Shape, Shape_TooLong(1.5), '{"too-long":1.5}'),
            (Shape, Shape_Named(Item(1, "n", None)), '{"named":{"id":1,"name":"n","in-cents":null}}'),
            (Optional[Some[Optional[int]]], Some(None), '{"some":null}'),
            (List[Union[Ok[int], Err[str]]], [Ok(1), Err("no")], '[{"ok":1},{"err":"no"}]'),
            (Any, {"free": [1, None]}, '{"free":[1,null]}'),
        ]:
            with self.subTest(text):
                self.assertEqual(codec.dumps(value), text)
                self.assertEqual(codec.loads(of, text), value)

    def test_not_a_number_is_a_text(self):
        self.assertEqual(codec.dumps(math.nan), '"NaN"')
        self.assertTrue(math.isnan(codec.loads(float, '"NaN"')))

    def test_an_integer_may_be_a_text_of_its_digits(self):
        self.assertEqual(codec.loads(int, '"18446744073709551615"'), 2**64 - 1)
        self.assertEqual(codec.loads(int, '"-5"'), -5)

    def test_a_field_may_have_its_python_name_and_an_option_may_be_left_out(self):
        self.assertEqual(codec.loads(Item, '{"id":1,"name":"n","in_cents":5}'), Item(1, "n", 5))
        self.assertEqual(codec.loads(Item, '{"id":1,"name":"n"}'), Item(1, "n", None))
        self.assertEqual(codec.loads(Order, "{}"), Order([], None))


class Misfits(unittest.TestCase):
    def test_a_misfit_names_the_place(self):
        for of, text, path in [
            (int, "true", ""),
            (int, '"seven"', ""),
            (int, "1.0", ""),
            (str, "1", ""),
            (bytes, '"%"', ""),
            (Item, '{"id":1}', "/name"),
            (Item, '{"id":1,"name":"n","colour":1}', "/colour"),
            (Order, '{"items":[{"id":"x","name":"n"}]}', "/items/0/id"),
            (Tuple[int, str], "[1]", ""),
            (Shape, '{"circle":1}', ""),
            (Shape, '{"named":{"id":1}}', "/named/name"),
            (Color, '"blue"', ""),
            (Rights, '["read","fly"]', ""),
            (Dict[str, int], '{"a":"b"}', "/a"),
            (List[int], "{}", ""),
        ]:
            with self.subTest(text), self.assertRaises(codec.Misfit) as caught:
                codec.loads(of, text)
            self.assertEqual(caught.exception.path, path)

    def test_what_has_no_form_in_json_is_refused(self):
        for value, path in [({"a": [object()]}, "/a/0"), ({1: 2}, "")]:
            with self.assertRaises(codec.Misfit) as caught:
                codec.to_json(value)
            self.assertEqual(caught.exception.path, path)
        with self.assertRaises(TypeError):
            codec.from_json(complex, "1")

    def test_types_and_values_are_described_in_the_same_words(self):
        self.assertEqual(codec.describe(Order), '{items: [{id: integer, name: text, in-cents: …}], paid: "red" | "dark-green" | null}')
        self.assertEqual(codec.describe(Shape), '"nothing" | {too-long: number} | {named: {id: integer, name: text, in-cents: …}}')
        self.assertEqual(codec.shape({"items": [{"id": 1, "name": "n"}], "paid": None}), "{items: [{id: integer, name: text}], paid: null}")


if __name__ == "__main__":
    unittest.main()
