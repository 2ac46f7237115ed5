"""What of a hub is subscribed to, out of what a person names."""

from __future__ import annotations

from decimal import Decimal

from hub.services.peer_events import Wish
from hub.things.model import NodeRef
from hub.things.subscription import Condition

AIR, SOIL = NodeRef("air"), NodeRef("soil")
KNOWN = {AIR: {"temperature": Decimal("0.2"), "pressure": Decimal("0.01")}, SOIL: {"moisture": Decimal("0.1")}}


def conditions(wish: Wish) -> dict[NodeRef, tuple[Condition, ...]]:
    return {n: each.conditions for each in wish.subscriptions([AIR, SOIL]) for n in each.request.nodes or ()}


def test_where_a_field_is_named_the_others_of_its_thing_call_for_no_event() -> None:
    found = conditions(Wish({("air", "temperature"): Decimal("0.2")}, known=KNOWN))
    assert found[AIR] == (Condition("temperature", Decimal("0.2"), Decimal("0.2")), Condition("pressure"))
    assert found[SOIL] == (Condition("moisture", Decimal("0.1"), Decimal("0.1")),)


def test_where_none_is_named_any_change_counts() -> None:
    found = conditions(Wish(known=KNOWN))
    assert [(each.name, each.up) for each in found[AIR]] == list(KNOWN[AIR].items())
