"""When an alert fires. Nothing here knows that it runs in a grain."""

from wit_world.exports.alerts import Direction, Threshold

THRESHOLDS_MAX = 20
NAME_CHARACTERS_MAX = 64


def is_there(threshold: Threshold, price: int) -> bool:
    """Whether a price is on the far side of a threshold."""
    if threshold.direction == Direction.RISES_TO:
        return price >= threshold.price
    return price <= threshold.price


def fires(threshold: Threshold, before: int | None, price: int) -> bool:
    """Whether the step from one price to the next crosses the threshold. The first price of all counts as a step from nowhere."""
    return is_there(threshold, price) and (before is None or not is_there(threshold, before))
