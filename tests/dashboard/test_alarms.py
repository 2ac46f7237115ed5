"""Thresholds: when an alarm begins and ends, and what is not known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.base import Duration
from hub.config.dashboard import Alarm
from hub.dashboard.alarms import Alarms
from hub.dashboard.view import Key

KEY = Key("greenhouse@localhost", "air", "temperature")


class Judged:
    """One alarm, asked again and again."""

    def __init__(self, **keys: object) -> None:
        keys = {"thing": "air", "field": "temperature", **keys}
        self.alarms = Alarms([Alarm(**keys)])  # type: ignore[arg-type]  # tests know what they set
        self.now = 1_000.0

    def __call__(self, value: float | None, after: float = 1.0, fresh: bool = True) -> str:
        self.now += after
        return self.alarms.judge(self.alarms.about(KEY), KEY, value, self.now, "°C", fresh)


def test_above_and_back() -> None:
    said = Judged(above=35.0)
    assert [said(value) for value in (34, 35, 35.1, 40, 35, 20)] == [
        "", "", "above 35 °C", "above 35 °C", "", ""
    ]  # fmt: skip


def test_it_is_over_only_when_it_is_back_by_the_hysteresis() -> None:
    said = Judged(below=5.0, hysteresis=1.0)
    assert [said(value) for value in (5, 4.9, 5.5, 5.9, 6, 5.5)] == [
        "", "below 5 °C", "below 5 °C", "below 5 °C", "", ""
    ]  # fmt: skip


def test_it_has_to_last() -> None:
    said = Judged(above=35.0, for_=Duration(30))
    assert [said(40, 10) for _ in range(5)] == ["", "", "", "above 35 °C", "above 35 °C"]
    said = Judged(above=35.0, for_=Duration(30))
    assert said(40) == said(40, 29) == said(34) == said(40) == said(40, 29) == ""  # it begins anew each time
    assert said(40, 1) == "above 35 °C"


def test_a_band() -> None:
    said = Judged(above=30.0, below=10.0)
    assert [said(value) for value in (20, 31, 9, 20)] == ["", "above 30 °C", "below 10 °C", ""]


@pytest.mark.parametrize(("value", "fresh"), [(20, False), (None, True), (50, False)])
def test_what_is_not_fresh_is_not_known(value: float | None, fresh: bool) -> None:
    said = Judged(above=35.0, below=5.0)
    assert said(value, fresh=fresh) == "not known whether it is above 35 °C or below 5 °C"
    assert said(20) == ""
    assert said(40) == "above 35 °C"
    assert said(value, fresh=fresh) == "above 35 °C when it was last known"
    assert said(20) == ""


def test_it_does_not_begin_by_a_value_that_is_not_fresh() -> None:
    said = Judged(above=35.0, for_=Duration(10))
    assert said(40) == ""
    assert "not known" in said(40, 100, fresh=False)


def test_without_a_hub_it_is_about_all_of_them() -> None:
    everywhere = Alarm(thing="air", field="temperature", above=1.0)
    here = Alarm(thing="air", field="temperature", hub="Greenhouse@localhost", above=1.0)
    elsewhere = Alarm(thing="air", field="temperature", hub="cellar@localhost", above=1.0)
    assert Alarms([everywhere, here, elsewhere]).about(KEY) == (0, 1)
    assert Alarms([everywhere]).about(Key(KEY.hub, "air", "humidity")) == ()


@given(st.lists(st.tuples(st.floats(-100, 100), st.floats(0, 100), st.booleans())), st.floats(0, 10), st.floats(0, 60))
def test_it_is_raised_exactly_while_the_values_say_so(
    steps: list[tuple[float, float, bool]], hysteresis: float, wait: float
) -> None:
    """Against the rule in words, written another way."""
    said = Judged(above=30.0, hysteresis=hysteresis, for_=Duration(wait))
    raised, since = False, None
    for value, after, fresh in steps:
        told = said(value, after, fresh)
        if not fresh:
            assert told == ("above 30 °C when it was last known" if raised else "not known whether it is above 30 °C")
            continue
        if value <= 30:
            since = None
            raised = raised and value > 30 - hysteresis
        elif since is None:
            since = said.now
        raised = raised or (since is not None and said.now - since >= wait)
        assert told == ("above 30 °C" if raised else "")
