"""Rules as TOML: what is written is read back the same, and what is wrong is said with its line and key."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import ConfigError
from hub.provisioning.model import Hours, Rule, RuleBook
from hub.provisioning.plain import TYPE_NAMES
from hub.provisioning.rulefile import load, parse, written
from hub.things.model import FieldTypes, NodeRef
from hub.things.questions import Right

EXAMPLE = """\
[groups]
family = ["Ann@example.org", "*@home.example.org"]
"Åke's \\"men\\"" = []

[[rules]]
right = "control"
allow = false
nodes = ["pump", { node = "imc1", source = "MeteringTopology", cache = "c" }, ""]

[[rules]]
right = "read"
allow = true
order = 5
owner = "Owner@example.org"
who = ["bob@example.org", "*"]
groups = ["family"]
tokens = ["T1"]
things = ["hub@example.org"]
names = ["temperature"]
types = ["momentary", "historical"]
note = "at \\"night\\" \\\\ åäö"

[rules.hours]
from = 22:00:00
to = "06:30"
days = ["sat", "fri"]
zone = "Europe/Stockholm"
"""

BOOK = RuleBook(
    (
        Rule(Right.CONTROL, False, nodes=(NodeRef("pump"), NodeRef("imc1", "MeteringTopology", "c"), NodeRef(""))),
        Rule(
            Right.READ, True, order=5, owner="owner@example.org", who=("bob@example.org", "*"), groups=("family",),
            tokens=("T1",), things=("hub@example.org",), names=("temperature",),
            types=FieldTypes.MOMENTARY | FieldTypes.HISTORICAL, note='at "night" \\ åäö',
            hours=Hours(dt.time(22), dt.time(6, 30), frozenset({5, 6}), "Europe/Stockholm"),
        ),
    ),
    {"family": ("ann@example.org", "*@home.example.org")},
)  # fmt: skip


def test_an_example_is_read(tmp_path: Path) -> None:
    assert parse(EXAMPLE) == BOOK
    file = tmp_path / "rules.toml"
    file.write_text(EXAMPLE, encoding="utf-8")
    assert load(file) == BOOK
    assert parse("") == RuleBook()


def test_what_is_written_is_meant_for_people() -> None:
    text = written(replace(BOOK, rules=(replace(BOOK.rules[0], id=7), BOOK.rules[1])))
    assert "# rule 7\n[[rules]]\n" in text
    assert 'nodes = ["pump", { node = "imc1", source = "MeteringTopology", cache = "c" }, ""]\n' in text
    assert 'hours = { from = "22:00", to = "06:30", days = ["fri", "sat"], zone = "Europe/Stockholm" }\n' in text
    assert 'types = ["historical", "momentary"]\n' in text


# --------------------------------------------------------------------------- there and back

printable = st.text("aZ9 -_\"'\\#=[]{}.,:%åÅ€𝒳\u00a0\u2028\u3000", min_size=1, max_size=12)
address = st.builds("{}@{}".format, st.text("az9.\"'\\-åö", min_size=1), st.text("az9.-", min_size=1))
pattern = address | st.sampled_from(["*", "*@x", "example.org"])
times = st.times()
hours = st.builds(
    Hours, times, times, st.frozensets(st.integers(1, 7), min_size=1), st.sampled_from(["UTC", "Europe/Stockholm"])
)


def listed(values: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(values, max_size=3).map(tuple)


nodes = st.lists(
    st.builds(NodeRef, printable | st.just(""), printable | st.just(""), printable | st.just("")), max_size=3
)
rules = st.builds(
    Rule, right=st.sampled_from([Right.READ, Right.CONTROL]), allow=st.booleans(), order=st.integers(0, 10**9),
    owner=address | st.just(""), who=listed(pattern), groups=listed(printable), tokens=listed(printable),
    things=listed(address), nodes=nodes.map(tuple), names=listed(printable), hours=st.none() | hours,
    note=printable | st.just(""),
)  # fmt: skip
kinds = st.sets(st.sampled_from(list(TYPE_NAMES.values())), min_size=1)


@st.composite
def with_types(draw: st.DrawFn) -> Rule:
    rule = draw(rules)
    types = FieldTypes(0)
    for kind in draw(kinds):
        types |= kind
    return replace(rule, types=types) if rule.right is Right.READ else rule


@given(st.lists(with_types(), max_size=4), st.dictionaries(printable, listed(pattern), max_size=3))
def test_there_and_back(made: list[Rule], groups: dict[str, tuple[str, ...]]) -> None:
    book = RuleBook(tuple(made), groups)
    again = parse(written(book))
    assert again.rules == tuple(made)
    assert again.groups == {name: members for name, members in groups.items() if members}


# --------------------------------------------------------------------------- faults

RULE = '[[rules]]\nright = "read"\nallow = true\n'
WRONG: list[tuple[str, str]] = [
    ("[[rules]]\nallow = true", "line 1: rules[1].right: found nothing; right would be"),
    ('[[rules]]\nright = "write"\nallow = true', 'line 2: rules[1].right: found \'write\'; right would be "friend"'),
    ('[[rules]]\nright = "read"', "line 1: rules[1].allow: found nothing; right would be true or false"),
    (RULE + "allowed = 1", 'line 4: rules[1].allowed: found an unknown key allowed; right would be "allow"'),
    (RULE + RULE + 'who = ["a b"]', "line 7: rules[2].who: found a b; right would be a list of patterns"),
    (RULE + 'who = "ann@x"', "line 4: rules[1].who: found 'ann@x'; right would be a list of at most 256"),
    (RULE + "order = 1.5", "line 4: rules[1].order: found 1.5; right would be a whole number"),
    (RULE + "order = true", "line 4: rules[1].order: found True"),
    (RULE + 'owner = "owner@x/phone"', "line 4: rules[1].owner: found 'owner@x/phone'; right would be a bare"),
    (RULE + 'things = ["*@x"]', "line 4: rules[1].things: found '*@x'"),
    (RULE + 'nodes = [{ nod = "a" }]', "line 4: rules[1].nodes: found {'nod': 'a'}; right would be a list of node ids"),
    (RULE + 'nodes = [{ node = "a", source = 1 }]', "line 4: rules[1].nodes"),
    (RULE + 'types = ["momentry"]', "line 4: rules[1].types: found 'momentry'; right would be a list of types: mom"),
    (RULE + "types = []", "line 4: rules[1].types: found []"),
    (RULE + 'groups = ["family"]', "line 4: rules[1].groups: found 'family'; right would be a group that stands under"),
    (RULE + 'hours = "8-17"', "line 4: rules[1].hours: found '8-17'; right would be a table like"),
    (RULE + 'hours = { from = "8", to = "17:00" }', "line 4: rules[1].hours.from: found '8'; right would be a time"),
    (RULE + 'hours = { from = "08:00" }', "line 4: rules[1].hours.to: found nothing"),
    (RULE + 'hours = { from = "08:00", to = "17:00+02:00" }', "rules[1].hours.to: found '17:00+02:00'"),
    (RULE + '[rules.hours]\nfrom = 08:00:00\nto = 17:00:00\ndays = ["montag"]', "line 7: rules[1].hours.days: found"),
    (RULE + '[rules.hours]\nfrom = 08:00:00\nto = 17:00:00\ndays = []', "line 7: rules[1].hours.days: found []"),
    (RULE + '[rules.hours]\nfrom = 08:00:00\nto = 17:00:00\nzone = "Mars"', "line 7: rules[1].hours.zone: found 'Mar"),
    (RULE + '[rules.hours]\nfrom = 08:00:00\nto = 17:00:00\nzone = 1', "line 7: rules[1].hours.zone: found 1"),
    (RULE + '[rules.hours]\nfrom = 08:00:00\ntoo = 17:00:00', 'line 6: rules[1].hours.too: found an unknown key too'),
    (RULE + 'note = "a\\u0000b"', "line 4: rules[1].note"),
    (RULE + f'note = "{"x" * 1024}"', "line 4: rules[1].note: found 'xxx"),
    ('[[rules]]\nright = "friend"\nallow = true\nnames = ["a"]', "line 4: rules[1].names: found ['a']; right"),
    ('[[rules]]\nright = "control"\nallow = true\ntypes = ["peak"]', "line 4: rules[1].types: found ['peak']"),
    ('[groups]\nfamily = "ann@x"', "line 2: groups.family: found 'ann@x'; right would be a list"),
    ('[groups]\nfamily = ["a b"]', "line 2: groups.family: found a b; right would be a list of patterns"),
    ("groups = 1", "line 1: groups: found 1; right would be a table [groups]"),
    ("[rules]\nright = 1", "line 1: rules: found {'right': 1}; right would be tables [[rules]]"),
    ("rules = [1]", "line 1: rules: found [1]"),
    ("[rule]", "line 1: rule: found an unknown key 'rule'; right would be [groups] or [[rules]]"),
    ("[[rules]", "(file): found a syntax error"),
    ("a = " + "[" * 5000, "(file): found a syntax error"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), WRONG)
def test_faults_name_line_and_key(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, "rules.toml")
    assert said in str(caught.value) and str(caught.value).startswith("rules.toml: ")


def test_every_fault_is_told_at_once_in_the_order_of_the_file() -> None:
    with pytest.raises(ConfigError) as caught:
        parse('[groups]\na = 1\n\n[[rules]]\nright = "x"\n\n[[rules]]\nright = "read"\nallow = "yes"\nwho = ["a b"]\n')
    assert [(fault.line, fault.path) for fault in caught.value.faults] == [
        (2, "groups.a"), (4, "rules[1].allow"), (5, "rules[1].right"), (9, "rules[2].allow"), (10, "rules[2].who"),
    ]  # fmt: skip


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a readable TOML file"):
        load(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b"\xe4")
    with pytest.raises(ConfigError, match="a readable TOML file"):
        load(tmp_path / "latin.toml")
    with (tmp_path / "huge.toml").open("wb") as file:
        file.truncate(10_000_001)
    with pytest.raises(ConfigError, match="more than 10 MB"):
        load(tmp_path / "huge.toml")
