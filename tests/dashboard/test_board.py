"""Tiles: fresh, stale, gone, in trouble; bounded; in order."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.base import Value, ValueType
from hub.config.dashboard import Alarm
from hub.dashboard.alarms import Alarms
from hub.dashboard.board import MAX_NAME, MAX_TILES, MAX_TILES_OF_HUB, STALE_AFTER_S, Tiles
from hub.dashboard.view import TREND_POINTS, Freshness, HubLife, Key, Tile
from hub.things.model import Answer, Field, NodeRef, Quality, Reading, Trouble

HUB = "greenhouse@localhost"
KEY = Key(HUB, "air", "temperature")
NOW = 1_795_000_000.0


def moment(at: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(at, dt.UTC)


def reading(at: float, value: Value = Decimal("21.5"), thing: str = "air", field: str = "temperature",
            type_: ValueType = ValueType.NUMERIC, **more: object) -> Answer:  # fmt: skip
    made = Field(field, value, type_, **{"unit": "°C", **more})  # type: ignore[arg-type]  # tests know what they set
    return Answer("1", (Reading(NodeRef(thing), moment(at), (made,)),))


def trouble(at: float, text: str = "no answer", thing: str = "air") -> Answer:
    return Answer("1", troubles=(Trouble(NodeRef(thing), moment(at), text),))


def board(stale_after: float | None = None, *alarms: Alarm) -> Tiles:
    tiles = Tiles(Alarms(alarms), stale_after)
    tiles.add(HUB)
    tiles.life(HUB, HubLife.ONLINE, "", NOW)
    return tiles


def tile(tiles: Tiles, now: float, key: Key = KEY) -> Tile:
    found = tiles.tile(key, now)
    assert found is not None
    return found


def test_a_value_is_shown_as_it_came() -> None:
    tiles = board()
    tiles.take(HUB, reading(NOW, writable=True), NOW + 1)
    shown = tile(tiles, NOW + 1)
    assert (shown.text, shown.unit, shown.label, shown.writable) == ("21.5", "°C", "air", True)
    assert (shown.moment, shown.freshness, shown.quality_text) == (moment(NOW), Freshness.LIVE, "")
    assert shown.trend == ((NOW, 21.5),)
    tiles.labels(HUB, {"air": "Air", "other": "x"})
    tiles.take(HUB, reading(NOW + 2, unit=""), NOW + 2)  # telemetry may leave out what was said before
    assert (tile(tiles, NOW).label, tile(tiles, NOW).unit, tile(tiles, NOW).writable) == ("Air", "°C", True)


def test_a_switch_is_on_or_off() -> None:
    tiles = board()
    tiles.take(HUB, reading(NOW, True, type_=ValueType.BOOLEAN, unit=""), NOW)
    assert tile(tiles, NOW).text == "on" and tile(tiles, NOW).trend == ((NOW, 1.0),)


def test_old_values_are_stale_and_that_is_a_change() -> None:
    tiles = board()
    tiles.take(HUB, reading(NOW), NOW)
    tiles.changed.clear()
    tiles.tick(NOW + STALE_AFTER_S)
    assert tiles.changed == set() and not tiles.stale(HUB, NOW + STALE_AFTER_S)
    tiles.tick(NOW + STALE_AFTER_S + 1)
    assert tiles.changed == {KEY} and tiles.stale(HUB, NOW + STALE_AFTER_S + 1)
    assert tile(tiles, NOW + STALE_AFTER_S + 1).freshness is Freshness.STALE


def test_what_comes_seldom_is_stale_later() -> None:
    tiles = board()
    for number in range(4):
        tiles.take(HUB, reading(NOW + 600 * number), NOW + 600 * number)
    last = NOW + 1800
    assert tile(tiles, last + 1800).freshness is Freshness.LIVE
    assert tile(tiles, last + 1801).freshness is Freshness.STALE


def test_a_long_silence_does_not_make_silence_normal() -> None:
    tiles = board()
    for at in (0, 10, 20, 30, 40, 40_000, 40_010):
        tiles.take(HUB, reading(NOW + at), NOW + at)
    assert tile(tiles, NOW + 40_010 + STALE_AFTER_S + 1).freshness is Freshness.STALE


def test_the_configuration_may_say_when() -> None:
    tiles = board(5.0)
    tiles.take(HUB, reading(NOW), NOW)
    assert tile(tiles, NOW + 5).freshness is Freshness.LIVE
    assert tile(tiles, NOW + 6).freshness is Freshness.STALE


@pytest.mark.parametrize("ahead", [3600, 86_400 * 3650])
def test_a_value_from_the_future_grows_old_all_the_same(ahead: float) -> None:
    tiles = board()
    tiles.take(HUB, reading(NOW + ahead), NOW)
    assert tile(tiles, NOW).moment == moment(NOW)
    assert tile(tiles, NOW + STALE_AFTER_S + 1).freshness is Freshness.STALE


def test_a_moment_without_a_zone_is_utc() -> None:
    tiles = board()
    naive = Reading(NodeRef("air"), moment(NOW).replace(tzinfo=None), reading(NOW).readings[0].fields)
    tiles.take(HUB, Answer("1", (naive,)), NOW)
    assert tile(tiles, NOW).moment == moment(NOW)


@pytest.mark.parametrize("life", [HubLife.GONE, HubLife.REFUSED, HubLife.CONNECTING])
def test_without_its_hub_nothing_is_fresh(life: HubLife) -> None:
    tiles = board()
    tiles.take(HUB, reading(NOW), NOW)
    tiles.changed.clear()
    tiles.life(HUB, life, "why", NOW + 1)
    assert tiles.changed == {None, KEY} and tile(tiles, NOW + 1).freshness is Freshness.GONE
    assert tiles.hubs()[0].text == "why" and not tiles.hubs()[0].up
    tiles.life(HUB, HubLife.ONLINE, "", NOW + 2)
    assert tile(tiles, NOW + 2).freshness is Freshness.LIVE


def test_what_arrives_late_goes_into_the_past() -> None:
    tiles = board()
    tiles.take(HUB, reading(NOW, Decimal(3)), NOW)
    tiles.take(HUB, reading(NOW - 10, Decimal(1)), NOW)
    tiles.take(HUB, reading(NOW - 5, Decimal(2)), NOW)
    shown = tile(tiles, NOW)
    assert shown.text == "3" and [value for _, value in shown.trend] == [1, 2, 3]
    assert tiles.live(KEY) == [(NOW - 10, 1), (NOW - 5, 2), (NOW, 3)]


def test_trouble_holds_until_a_newer_reading() -> None:
    tiles = board()
    tiles.take(HUB, reading(NOW), NOW)
    tiles.take(HUB, trouble(NOW + 5), NOW + 5)
    assert tile(tiles, NOW + 5).trouble == "no answer" and tiles.stale(HUB, NOW + 5)
    tiles.take(HUB, reading(NOW, quality=Quality.MISSING), NOW + 6)  # the old value, as a readout brings it along
    shown = tile(tiles, NOW + 6)
    assert shown.trouble == "no answer" and shown.quality_text == "missing"
    tiles.take(HUB, reading(NOW + 7), NOW + 7)
    assert tile(tiles, NOW + 7).trouble == "" == tile(tiles, NOW + 7).quality_text


def test_a_thing_that_was_never_read_shows_its_trouble() -> None:
    tiles = board()
    tiles.take(HUB, trouble(NOW), NOW)
    (shown,) = tiles.tiles(NOW)
    assert (shown.key, shown.freshness, shown.trouble) == (Key(HUB, "air", ""), Freshness.NEVER, "no answer")
    assert tile(tiles, NOW, shown.key) == shown
    tiles.take(HUB, reading(NOW + 1), NOW + 1)
    assert [shown.key for shown in tiles.tiles(NOW + 1)] == [KEY] and tiles.tile(Key(HUB, "air", ""), NOW) is None


@pytest.mark.parametrize("quality", [Quality.MISSING, Quality.ERROR, Quality.ERROR | Quality.AUTOMATIC_READOUT])
def test_bad_values_are_not_drawn(quality: Quality) -> None:
    tiles = board()
    tiles.take(HUB, reading(NOW, quality=quality), NOW)
    assert tile(tiles, NOW).trend == () and tiles.live(KEY) == [] and tile(tiles, NOW).quality_text


def test_alarms_know_what_is_fresh() -> None:
    tiles = board(10.0, Alarm(thing="air", field="temperature", above=35.0))
    tiles.take(HUB, reading(NOW, Decimal(40)), NOW)
    assert tile(tiles, NOW).alarm == "above 35 °C"
    tiles.tick(NOW + 11)
    assert tile(tiles, NOW + 11).alarm == "above 35 °C when it was last known"
    tiles.take(HUB, reading(NOW + 12, Decimal(20)), NOW + 12)
    assert tile(tiles, NOW + 12).alarm == ""
    for spoiled in (trouble(NOW + 13), reading(NOW + 14, Decimal(20), quality=Quality.ERROR)):
        tiles.take(HUB, spoiled, NOW + 14)
        assert tile(tiles, NOW + 14).alarm == "not known whether it is above 35 °C"


def test_an_alarm_that_lasts_is_a_change_by_itself() -> None:
    tiles = board(1000.0, Alarm(thing="air", field="temperature", above=35.0, for_=30))  # type: ignore[arg-type]
    tiles.take(HUB, reading(NOW, Decimal(40)), NOW)
    tiles.changed.clear()
    tiles.tick(NOW + 29)
    assert tiles.changed == set()
    tiles.tick(NOW + 30)
    assert tiles.changed == {KEY}


def test_a_hub_cannot_flood_the_page() -> None:
    tiles = board()
    for number in range(MAX_TILES_OF_HUB + 5):
        tiles.take(HUB, reading(NOW, field=f"f{number}"), NOW)
    assert len(tiles.tiles(NOW)) == MAX_TILES_OF_HUB and "left out" in tiles.hubs()[0].text
    for number in range(10):
        tiles.add(f"hub{number}@localhost")
        for field in range(MAX_TILES_OF_HUB):
            tiles.take(f"hub{number}@localhost", reading(NOW, field=f"f{field}"), NOW)
    assert len(tiles.tiles(NOW)) == MAX_TILES
    tiles.drop(HUB)
    assert len(tiles.tiles(NOW)) == MAX_TILES - MAX_TILES_OF_HUB
    tiles.take("hub9@localhost", reading(NOW, field="new"), NOW)  # there is room again
    assert len(tiles.tiles(NOW)) == MAX_TILES - MAX_TILES_OF_HUB + 1


@pytest.mark.parametrize("name", ["", "x" * (MAX_NAME + 1)])
def test_names_that_nobody_can_show_are_left_out(name: str) -> None:
    tiles = board()
    tiles.take(HUB, reading(NOW, field=name), NOW)
    tiles.take(HUB, reading(NOW, thing=name), NOW)
    assert tiles.tiles(NOW) == ()


def test_long_texts_are_cut() -> None:
    tiles = board()
    tiles.take(HUB, reading(NOW, "x" * 60_000, type_=ValueType.STRING, unit="u" * 60_000), NOW)
    tiles.take(HUB, trouble(NOW + 1, "t" * 60_000), NOW)
    shown = tile(tiles, NOW)
    assert max(map(len, (shown.text, shown.unit, shown.trouble))) <= 1_000


def test_hubs_that_are_found_are_in_order() -> None:
    tiles = Tiles(Alarms(()), None)
    for jid in ("c@x", "a@x", "b@x"):
        tiles.add(jid)
        tiles.take(jid, reading(NOW), NOW)
    tiles.sort()
    assert [hub.jid for hub in tiles.hubs()] == ["a@x", "b@x", "c@x"]
    assert [shown.key.hub for shown in tiles.tiles(NOW)] == ["a@x", "b@x", "c@x"]


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(-5, 5), st.sampled_from(["t", "u"]), st.booleans())))
def test_whatever_comes_in_whatever_order_the_newest_stands(steps: list[tuple[int, int, str, bool]]) -> None:
    tiles, newest = board(), dict[str, tuple[int, int]]()
    for at, value, field, fails in steps:
        if fails:
            tiles.take(HUB, trouble(NOW + at), NOW + 1000)
            continue
        tiles.take(HUB, reading(NOW + at, Decimal(value), field=field), NOW + 1000)
        if field not in newest or at >= newest[field][0]:
            newest[field] = (at, value)
    for field, (at, value) in newest.items():
        shown = tile(tiles, NOW + 1000, Key(HUB, "air", field))
        assert (shown.moment, shown.value) == (moment(NOW + at), value)
        assert len(shown.trend) <= TREND_POINTS and shown.trend[-1] == (NOW + at, value)
