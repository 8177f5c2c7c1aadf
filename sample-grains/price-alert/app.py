"""A realistic grain: people set thresholds, prices come in, alerts fire and are sent to inboxes.

A priced thing and an inbox are two interfaces of one kind: `price-alert/gold` is a thing, `price-alert/@ada` is Ada's inbox. The dataclasses
that are made of the WIT are kept in the state as they are.
"""

from dataclasses import replace

from granary import Err, Table, Value, calls, context
from wit_world import exports
from wit_world.exports.alerts import (
    Alert,
    Direction,
    Habits,
    Refusal_BadSubscriber,
    Refusal_NoPrice,
    Refusal_NoSuchThreshold,
    Refusal_TooMany,
    Threshold,
)

import rules

INBOX_ALERTS_MAX = 50

PRICE = Value("price", int)
UPDATES = Value("updates", int)
NEXT_ID = Value("next-id", int)
# One state key for each threshold: an update writes those that fire, and no others.
THRESHOLDS = Table("threshold/", Threshold)
INBOX = Value("inbox", list[Alert])


class Alerts(exports.Alerts):
    def watch(self, subscriber: str, direction: Direction, price: int, habits: Habits) -> Threshold:
        if not 1 <= len(subscriber) <= rules.NAME_CHARACTERS_MAX:
            raise Err(Refusal_BadSubscriber())
        if price == 0:
            raise Err(Refusal_NoPrice())
        if len(self.thresholds(subscriber)) >= rules.THRESHOLDS_MAX:
            raise Err(Refusal_TooMany(rules.THRESHOLDS_MAX))
        threshold = Threshold(NEXT_ID.get(1), subscriber, direction, price, habits, 0)
        NEXT_ID.set(threshold.id + 1)
        THRESHOLDS[row(threshold.id)] = threshold
        last = PRICE.get()
        if last is not None and Habits.AT_ONCE in habits and rules.is_there(threshold, last):
            fire(threshold, last)
        return threshold

    def forget(self, subscriber: str, id: int) -> None:
        threshold = THRESHOLDS.get(row(id))
        if threshold is None or threshold.subscriber != subscriber:
            raise Err(Refusal_NoSuchThreshold(id))
        del THRESHOLDS[row(id)]

    def thresholds(self, subscriber: str | None) -> list[Threshold]:
        return [each for each in THRESHOLDS.values() if subscriber in (None, each.subscriber)]

    def update(self, price: int) -> list[Alert]:
        if price == 0:
            raise Err(Refusal_NoPrice())
        before = PRICE.get()
        PRICE.set(price)
        UPDATES.set(UPDATES.get(0) + 1)
        return [fire(each, price) for each in list(THRESHOLDS.values()) if rules.fires(each, before, price)]

    def price(self) -> int | None:
        return PRICE.get()


class Inbox(exports.Inbox):
    def alerted(self, alert: Alert) -> None:
        caller = context.caller()
        if caller is None or caller != ("price-alert", alert.thing):
            raise Err("only the thing itself may alert")
        INBOX.set([alert, *INBOX.get([])][:INBOX_ALERTS_MAX])

    def received(self) -> list[Alert]:
        return INBOX.get([])


def fire(threshold: Threshold, price: int) -> Alert:
    """Counts, forgets what does not stay, and sends. The message leaves when this turn is committed."""
    threshold = replace(threshold, fired=threshold.fired + 1)
    if Habits.KEEP in threshold.habits:
        THRESHOLDS[row(threshold.id)] = threshold
    else:
        del THRESHOLDS[row(threshold.id)]
    alert = Alert(context.key(), threshold, price, UPDATES.get(0))
    calls.grain("price-alert", f"@{threshold.subscriber}").send("alerted", alert)
    return alert


def row(id: int) -> str:
    """Keys are listed in the order of their bytes: with leading zeros that is the order of the numbers."""
    return f"{id:010}"
