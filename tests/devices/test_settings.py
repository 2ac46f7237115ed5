"""Settings as a person writes them, against the annotations of drivers."""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import devices
from devices.base import Config, Driver, Duration, InvalidValue, Matches, ParameterSpec, ValueType, Within
from devices.settings import accept_setting, make_config, meaning, misfits, parse_setting, parse_value, settings_of
from tests.devices.vector import Vector

PIN = Annotated[int, Within(0, 27)]
SERIAL = Annotated[str, Matches(r"28-[0-9a-f]{12}", 'a serial number, like "28-0316a4be59ff"')]
DEBOUNCE = Annotated[Duration, Within(0, 10, "s")]

VECTORS = [
    Vector(("pin", PIN, "17"), 17, "decimal"),
    Vector(("address", Literal[0x76, 0x77], "0x77"), 0x77, "hexadecimal"),
    Vector(("address", Literal[0x76, 0x77], "118"), 0x76, "the same in decimal"),
    Vector(("mask", int, "0b101"), 5, "binary"),
    Vector(("offset", int, "-3"), -3, "negative"),
    Vector(("vref", Annotated[float, Within(0, 5.5, "V")], "3.3"), 3.3, "with a point"),
    Vector(("vref", float, "5"), 5.0, "a whole number is a number"),
    Vector(("active_high", bool, "false"), False, "as TOML writes it"),
    Vector(("active_high", bool, "On"), True, "as people write it"),
    Vector(("debounce", DEBOUNCE, "20ms"), Duration(0.02), "with its unit"),
    Vector(("pull", Literal["up", "down"], "up"), "up", "one of a list"),
    Vector(("serial", SERIAL, "28-0316a4be59ff"), "28-0316a4be59ff", "of the form"),
    Vector(("channels", tuple[int, ...], "0,2, 5"), (0, 2, 5), "a list, with commas"),
    Vector(("channels", tuple[Annotated[int, Within(0, 7)], ...], "[3]"), (3,), "a list, as TOML writes it"),
    Vector(("pair", tuple[int, float], "1,2"), (1, 2.0), "each of its own kind"),
    Vector(("names", list[str], "a,b"), ["a", "b"], "a list of texts"),
    Vector(("limit", int | None, "none"), None, "nothing"),
    Vector(("limit", int | None, "7"), 7, "or a number"),
    Vector(("path", str, "/srv/data"), "/srv/data", "a text is taken as it is"),
]


@dataclass(frozen=True, kw_only=True)
class Example(Config):
    pin: PIN
    pull: Literal["up", "down"] = "up"
    debounce: DEBOUNCE = Duration(0.02)  # noqa: RUF009  # immutable
    low: float = 0.0
    high: float = 1.0

    def problems(self) -> dict[str, str]:
        return {"low": "a number below high"} if self.low >= self.high else {}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"{v.arguments[0]}={v.arguments[2]}")
def test_a_text_is_read_as_its_annotation_says(vector: Vector) -> None:
    read = parse_setting(*vector.arguments)
    assert read == vector.expected and type(read) is type(vector.expected), vector.source


@pytest.mark.parametrize(
    ("key", "annotation", "text", "said"),
    [
        ("pin", PIN, "28", "pin: 28 is not a whole number from 0 to 27"),
        ("pin", PIN, "GPIO17", "pin: 'GPIO17' is not a whole number from 0 to 27"),
        ("pin", PIN, "", "pin: '' is not a whole number from 0 to 27"),
        ("address", Literal[0x76, 0x77], "0x78", "address: '0x78' is not one of 0x76, 0x77"),
        ("debounce", DEBOUNCE, "20", 'debounce: \'20\' is not a duration with its unit, like "200ms", "30s"'),
        ("debounce", DEBOUNCE, "20s", "from 0 to 10 s"),
        ("pull", Literal["up", "down"], "left", "pull: 'left' is not one of \"up\", \"down\""),
        ("active_high", bool, "maybe", "active_high: 'maybe' is not true or false"),
        ("serial", SERIAL, "28-1", "serial: '28-1' is not a serial number, like \"28-0316a4be59ff\""),
        ("vref", float, "nan", "vref: nan is not a number"),
        ("vref", Annotated[float, Within(0.25, None, "V")], "0.1", "a number of at least 0.25 V"),
        ("vref", Annotated[float, Within(None, 5.5, "V")], "6", "a number of at most 5.5 V"),
        ("channels", tuple[Annotated[int, Within(0, 7)], ...], "0,8", "a list, each a whole number from 0 to 7"),
        ("channels", Annotated[tuple[int, ...], Within(0, 7)], "8", "a list, each a whole number from 0 to 7"),
        ("pair", tuple[int, float], "1", "a list, each a whole number and a number"),
        ("limit", int | None, "x", "limit: 'x' is not a whole number"),
    ],
)
def test_a_wrong_setting_names_its_key_and_what_would_be_right(key: str, annotation: Any, text: str, said: str) -> None:
    with pytest.raises(InvalidValue) as error:
        parse_setting(key, annotation, text)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [(int, True), (int, 1.0), (int, "1"), (bool, 1), (str, 5), (float, "1.5"), (Duration, 5), (tuple[int, ...], 3)],
)
def test_what_a_file_gives_must_be_of_the_type(annotation: Any, value: object) -> None:
    with pytest.raises(InvalidValue, match="key: "):
        accept_setting("key", annotation, value)


def test_what_a_file_gives_is_taken() -> None:
    assert accept_setting("key", tuple[int, ...], [1, 2]) == (1, 2)
    assert accept_setting("key", DEBOUNCE, "5s") == Duration(5)
    assert accept_setting("key", float, 3) == 3.0


@given(st.text(max_size=20))
@settings(deadline=None)  # a busy machine is no failure
def test_any_text_is_a_setting_or_refused(text: str) -> None:
    for annotation in (PIN, DEBOUNCE, SERIAL, bool, float, tuple[int, ...], Literal[1, 2], int | None):
        try:
            parse_setting("key", annotation, text)
        except InvalidValue as error:
            assert str(error).startswith("key: ")


def test_a_config_is_made_of_texts_and_of_values() -> None:
    expected = Example(pin=17, debounce=Duration(0.05))
    assert make_config(Example, {"pin": "17", "debounce": "50ms"}, texts=True) == expected
    assert make_config(Example, {"pin": 17, "debounce": "50ms"}) == expected


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "pin: must be given: a whole number from 0 to 27"),
        ({"pin": 1, "pul": "up"}, "pul: there is no such setting; did you mean pull?"),
        ({"pin": 1, "zzz": "up"}, "zzz: there is no such setting; known: pin, pull, debounce, low, high"),
        ({"pin": 1, "low": 2.0}, "low: 2.0 does not fit; it should be a number below high"),
    ],
)
def test_a_config_that_cannot_be_made_says_why(given: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidValue) as error:
        make_config(Example, given)
    assert str(error.value) == said


@pytest.mark.parametrize("driver", list(devices.drivers()), ids=lambda d: d.NAMES[0])
def test_every_drivers_settings_are_understood(driver: type[Driver]) -> None:
    defaults = {f.name: f.default for f in dataclasses.fields(driver.Config) if f.default is not dataclasses.MISSING}
    for key, annotation in settings_of(driver.Config).items():
        assert meaning(annotation, key)
        if key in defaults:
            assert accept_setting(key, annotation, defaults[key]) == defaults[key]


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        (ValueType.BOOLEAN, "on", True),
        (ValueType.COLOR, "3399FF", "3399FF"),
        (ValueType.DATE, "2026-03-01", dt.date(2026, 3, 1)),
        (ValueType.DATETIME, "2026-03-01T12:00:00+00:00", dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)),
        (ValueType.DURATION, "1m30s", dt.timedelta(seconds=90)),
        (ValueType.INT, "0x10", 16),
        (ValueType.LONG, "5000000000", 5_000_000_000),
        (ValueType.NUMERIC, "21.50", Decimal("21.50")),
        (ValueType.STRING, "hello", "hello"),
        (ValueType.TIME, "08:00", dt.time(8)),
    ],
)
def test_a_parameters_value_is_read_as_its_type(type_: ValueType, text: str, value: object) -> None:
    assert parse_value(ParameterSpec("p", type_), text) == value


@pytest.mark.parametrize(
    ("spec", "text", "said"),
    [
        (ParameterSpec("on"), "perhaps", "on: 'perhaps' is not right; it should be true or false"),
        (ParameterSpec("duty", ValueType.NUMERIC, "%", 0, 100), "half", "it should be 0 to 100 %"),
        (ParameterSpec("duty", ValueType.NUMERIC, "%", 0, 100), "101", "duty: 101 is outside 0 to 100 %"),
        (ParameterSpec("mode", ValueType.STRING, options=("a", "b")), "c", "mode: 'c' is not one of a, b"),
    ],
)
def test_a_wrong_value_of_a_parameter_says_what_would_be_right(spec: ParameterSpec, text: str, said: str) -> None:
    with pytest.raises(InvalidValue) as error:
        parse_value(spec, text)
    assert said in str(error.value)


# --------------------------------------------------------------------------- tables in tables


@dataclass(frozen=True)
class Inner:
    size: Annotated[int, Within(0, 9)]
    unit: str = ""


TABLES = dict[str, Inner]


def test_a_table_becomes_the_dataclass_of_its_keys() -> None:
    assert accept_setting("parts", TABLES, {"a": {"size": 3}, "b": {"size": 0, "unit": "m"}}) == {
        "a": Inner(3), "b": Inner(0, "m"),
    }  # fmt: skip
    assert accept_setting("part", Inner, Inner(4)) == Inner(4)
    assert meaning(TABLES) == "a table of names, each with a table with size, unit"


@pytest.mark.parametrize(("value", "wrong"), [
    ({"a": {"size": 10}}, [("parts.a.size", 10, "a whole number from 0 to 9")]),
    ({"a": {"size": 1, "units": "m"}}, [("parts.a.units", "units", "one of size, unit")]),
    ({"a": {}}, [("parts.a", {}, "a table with size, unit")]),
    ({"a": {"size": True}, "b": {"size": 1, "unit": 5}, "c": {"size": 1}},
     [("parts.a.size", True, "a whole number from 0 to 9"), ("parts.b.unit", 5, "a text")]),
    ({"a": 5}, [("parts.a", 5, "a table with size, unit")]),
    (5, [("parts", 5, "a table of names, each with a table with size, unit")]),
    ({}, []),
])  # fmt: skip
def test_what_does_not_fit_is_named_where_it_stands(value: Any, wrong: list[tuple[str, Any, str]]) -> None:
    assert misfits("parts", TABLES, value) == wrong
    if wrong:
        with pytest.raises(InvalidValue):
            accept_setting("parts", TABLES, value)
