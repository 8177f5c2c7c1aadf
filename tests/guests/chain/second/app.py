"""The second stop: it calls the third by its types."""

from componentize_py_types import Err
from granary import calls, context
from wit_world import exports
from wit_world.imports import hop


class Hop(exports.Hop):
    def onward(self, word: str) -> str:
        try:
            return hop.Ref.with_options(context.key(), calls.options(timeout=15)).onward(word)
        except Err as failed:
            raise Err(words(failed.value)) from None


def words(failed) -> str:
    if isinstance(failed, hop.StringOrCall_App):
        return failed.value
    return f"{failed.value.code.name}: {failed.value.text}"
