import asyncio
import unittest
from dataclasses import dataclass

from granary import AnswerError, CallError, Err, GrainId, HostMissing, StateError, StateTypeError, Table, Value, calls, context, state, testing

COUNT = Value("count", int)


@dataclass
class Item:
    name: str
    count: int


ITEMS = Table("item/", Item)


class State(unittest.TestCase):
    def test_a_counter_is_kept_as_a_plain_number(self):
        with testing.Host() as host:
            self.assertIsNone(COUNT.get())
            COUNT.set(COUNT.get(0) + 5)
            self.assertEqual(host.state, {"count": b"5"})
            self.assertEqual(COUNT.get(), 5)
            COUNT.delete()
            self.assertEqual(COUNT.get(7), 7)

    def test_a_stored_value_that_does_not_fit_is_a_typed_error_with_both_versions(self):
        with testing.Host(revision=3) as host:
            stored = b'{"name":"tea","pieces":2}'
            host.state["item/tea"] = stored
            with self.assertRaises(StateTypeError) as caught:
                ITEMS.get("tea")
            error = caught.exception
            self.assertEqual((error.key, error.revision, error.stored), ("item/tea", 3, stored))
            self.assertEqual(error.expected, "{name: text, count: integer}")
            self.assertEqual(error.found, "{name: text, pieces: integer}")
            self.assertIn("at /count", str(error))
            self.assertEqual(host.state, {"item/tea": stored})

    def test_bytes_that_are_no_json_are_a_typed_error_too(self):
        with testing.Host() as host:
            host.state["count"] = b"\xff\x00"
            with self.assertRaises(StateTypeError) as caught:
                COUNT.get()
            self.assertEqual(caught.exception.found, "2 bytes")

    def test_a_value_that_does_not_fit_its_type_is_not_written(self):
        with testing.Host() as host:
            for wrong in ["5", None, object(), 1.5]:
                with self.assertRaises(StateTypeError) as caught:
                    COUNT.set(wrong)
                self.assertIsNone(caught.exception.stored)
            self.assertEqual(host.state, {})

    def test_a_table_lists_its_rows_over_many_pages(self):
        with testing.Host() as host:
            for at in range(600):
                ITEMS[f"{at:04}"] = Item("n", at)
            host.state["other"] = b"1"
            rows = list(ITEMS.items())
            self.assertEqual(len(rows), 600)
            self.assertEqual(rows[599], ("0599", Item("n", 599)))
            del ITEMS["0000"]
            self.assertNotIn("0000", ITEMS)
            self.assertEqual(next(ITEMS.values()), Item("n", 1))

    def test_a_refusal_of_the_host_is_an_exception_with_its_code(self):
        with testing.Host(read_only=True):
            with self.assertRaises(StateError) as caught:
                COUNT.set(1)
            self.assertEqual(caught.exception.code, "read-only")
        with testing.Host():
            with self.assertRaises(StateError) as caught:
                state.set_bytes("", b"")
            self.assertEqual(caught.exception.code, "bad-key")


class Calls(unittest.TestCase):
    def test_arguments_and_answers_are_json(self):
        with testing.Host() as host:
            host.answers["stock/tea take"] = lambda item: {"name": item["name"], "count": 3}
            answer = calls.grain("stock", "tea", timeout=2).call("take", Item("tea", 1), returns=Item)
            self.assertEqual(answer, Item("tea", 3))
            self.assertEqual(host.called, [("stock/tea", "take", [{"name": "tea", "count": 1}])])

    def test_an_answer_of_another_type_is_a_typed_error(self):
        with testing.Host() as host:
            host.answers["stock/tea take"] = "many"
            with self.assertRaises(AnswerError):
                calls.grain("stock", "tea").call("take", returns=int)

    def test_a_failed_call_says_whether_it_had_an_effect(self):
        def fail(*_):
            raise CallError("app", '{"short-of":2}')

        with testing.Host() as host:
            with self.assertRaises(CallError) as caught:
                calls.grain("stock", "tea").call("take")
            self.assertEqual((caught.exception.code, caught.exception.had_no_effect), ("not-found", True))
            host.answers["stock/tea take"] = fail
            with self.assertRaises(CallError) as caught:
                calls.grain("stock", "tea").call("take")
            self.assertEqual(caught.exception.app(), {"short-of": 2})
            self.assertFalse(caught.exception.had_no_effect)

    def test_a_deadlock_has_its_circle(self):
        circle = (GrainId("cart", "7"), GrainId("stock", "tea"), GrainId("cart", "7"))

        def fail(*_):
            raise CallError("deadlock", "cart/7 → stock/tea → cart/7", circle)

        with testing.Host() as host:
            host.answers["stock/tea take"] = fail
            with self.assertRaises(CallError) as caught:
                calls.grain("stock", "tea").call("take")
            self.assertEqual((caught.exception.code, caught.exception.circle), ("deadlock", circle))
            self.assertEqual(str(caught.exception), "deadlock: cart/7 → stock/tea → cart/7")

    def test_options_say_only_what_is_given(self):
        with testing.Host():
            said = calls.options()
            self.assertEqual((said.timeout, said.idempotency_key), (None, None))
            said = calls.options(timeout=2, idempotency_key="k")
            self.assertEqual((said.timeout, said.idempotency_key), (2_000_000_000, "k"))

    def test_the_state_may_be_awaited(self):
        count, rows = Value("count", int), Table("row/", int)

        async def turn():
            await count.set_async(await count.get_async(2) + 1)
            await rows.set_async("a", 5)
            found = [key async for key, _ in state.scan_bytes_async()]
            await state.delete_async("row/a")
            return await count.get_async(), await rows.get_async("a", 0), found

        with testing.Host() as host:
            self.assertEqual(asyncio.run(turn()), (3, 0, ["count", "row/a"]))
            self.assertEqual(host.state, {"count": b"3"})
            with self.assertRaises(StateTypeError):
                asyncio.run(count.set_async("three"))
        with self.assertRaisesRegex(HostMissing, "granary:grain/async-imports@0.1.0"):
            asyncio.run(count.get_async())

    def test_an_async_call_is_the_same_call_awaited(self):
        async def both():
            stock = calls.grain("stock", "tea")
            return await asyncio.gather(stock.call_async("left", returns=int), stock.call_async("take", 2, returns=int))

        with testing.Host() as host:
            host.answers.update({"stock/tea left": 5, "stock/tea take": lambda count: 5 - count})
            self.assertEqual(asyncio.run(both()), [5, 3])
            self.assertEqual(host.called, [("stock/tea", "left", []), ("stock/tea", "take", [2])])
            with self.assertRaises(CallError):
                asyncio.run(calls.grain("stock", "milk").call_async("left"))
        with self.assertRaisesRegex(HostMissing, "granary:grain/async-imports@0.1.0"):
            asyncio.run(calls.grain("stock", "tea").call_async("left"))

    def test_a_send_may_be_delayed(self):
        with testing.Host() as host:
            calls.grain("audit", "2031").send("taken", "tea", 3, delay=1.5)
            self.assertEqual(host.sent, [("audit/2031", "taken", ["tea", 3], 1.5)])


class Context(unittest.TestCase):
    def test_a_turn_knows_itself(self):
        with testing.Host(kind="cart", key="ada", caller="shop/1", baggage={"colour": "blue"}, seconds_left=2.5):
            self.assertEqual(str(context.self_id()), "cart/ada")
            self.assertEqual(context.caller(), GrainId("shop", "1"))
            self.assertEqual(context.call_chain(), [GrainId("shop", "1")])
            self.assertEqual(context.seconds_left(), 2.5)
            self.assertEqual((context.baggage("colour"), context.baggage("size")), ("blue", None))

    def test_outside_a_grain_the_host_is_missing_and_says_so(self):
        with self.assertRaises(HostMissing):
            context.self_id()

    def test_an_err_is_raised_and_keeps_its_value(self):
        with self.assertRaises(Err) as caught:
            raise Err({"empty": None})
        self.assertEqual(caught.exception.value, {"empty": None})


if __name__ == "__main__":
    unittest.main()
