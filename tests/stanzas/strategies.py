"""Random words of the model, for property tests: everything a dialect can carry, and nothing that XML cannot."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from devices.base import Value, ValueType
from hub.stanzas.provisioning import MAX_TAG_NAME, FoundThing, SearchQuery, SearchTerm
from hub.things.model import (
    Answer,
    Assignment,
    Command,
    Field,
    FieldTypes,
    NodeRef,
    Quality,
    Reading,
    ReadoutRequest,
    Tokens,
    Trouble,
)
from hub.things.questions import AS_ASKED, Question, Right, Verdict

quick = settings(max_examples=60, deadline=None)
thorough = settings(max_examples=300, deadline=None)

# XML 1.0 cannot carry controls, surrogates and non-characters, and folds \r; attributes fold \n and \t as well.
texts = st.text(
    st.characters(blacklist_categories=("Cs", "Cc", "Cn"), blacklist_characters="\ufffe\uffff"), max_size=20
)
names = texts.filter(bool)

zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes)))
moments = st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1), timezones=zones)
durations = st.timedeltas()
decimals = st.decimals(allow_nan=False, allow_infinity=False, places=None).filter(
    lambda d: -390 < d.adjusted() < 390 and len(format(d, "f")) <= 400
)

VALUES: dict[ValueType, st.SearchStrategy[Value]] = {
    ValueType.BOOLEAN: st.booleans(),
    ValueType.COLOR: st.from_regex(r"[0-9a-fA-F]{6}([0-9a-fA-F]{2})?", fullmatch=True),
    ValueType.DATE: st.dates(),
    ValueType.DATETIME: st.datetimes(timezones=st.none() | zones),
    ValueType.DURATION: durations,
    ValueType.ENUM: texts,
    ValueType.INT: st.integers(-(2**31), 2**31 - 1),
    ValueType.LONG: st.integers(-(2**63), 2**63 - 1),
    ValueType.NUMERIC: decimals | st.decimals(-1000, 1000, places=2),
    ValueType.STRING: texts,
    ValueType.TIME: st.times(timezones=st.none() | zones),
}
FIELD_TYPES = [type_ for type_ in ValueType if type_ is not ValueType.COLOR]


def flags(kind: Any) -> st.SearchStrategy[Any]:
    """At least one flag of `kind`."""

    def union(chosen: set[Any]) -> Any:
        result = kind(0)
        for flag in chosen:
            result |= flag
        return result

    return st.sets(st.sampled_from(list(kind)), min_size=1).map(union)


@st.composite
def fields(draw: st.DrawFn) -> Field:
    type_ = draw(st.sampled_from(FIELD_TYPES))
    return Field(
        name=draw(names),
        value=draw(VALUES[type_]),
        type=type_,
        types=draw(flags(FieldTypes)),
        quality=draw(flags(Quality)),
        unit=draw(texts) if type_ is ValueType.NUMERIC else "",
        writable=draw(st.none() | st.booleans()),
        data_type=draw(texts) if type_ is ValueType.ENUM else "",
        module=draw(texts),
        string_ids=draw(texts),
    )


nodes = st.builds(NodeRef, names, texts, texts)
tokens = st.builds(Tokens, texts, texts, texts)
readings = st.builds(Reading, nodes, moments, st.lists(fields(), min_size=1, max_size=3).map(tuple))
troubles = st.builds(Trouble, nodes, moments, texts.map(str.strip))
numbers = st.integers(-(2**31), 2**31 - 1).map(str)


def tuples(strategy: st.SearchStrategy[Any], minimum: int = 0) -> st.SearchStrategy[Any]:
    return st.lists(strategy, min_size=minimum, max_size=3).map(tuple)


answers = st.builds(Answer, numbers, tuples(readings), tuples(troubles), st.booleans())


@st.composite
def requests(draw: st.DrawFn, zero_nodes: bool) -> ReadoutRequest:
    """`zero_nodes`: no nodes are none (the new dialect), not all."""
    chosen = draw(tuples(nodes))
    return ReadoutRequest(
        draw(numbers),
        chosen if chosen or zero_nodes else None,
        draw(st.lists(names, unique=True, max_size=3).map(tuple)),
        draw(flags(FieldTypes)),
        draw(st.none() | moments),
        draw(st.none() | moments),
        draw(st.none() | moments),
        draw(tokens),
    )


@st.composite
def commands(draw: st.DrawFn, types: list[ValueType]) -> Command:
    def typed(type_: ValueType) -> st.SearchStrategy[Assignment]:
        return st.builds(Assignment, names, VALUES[type_], st.just(type_))

    from_form = st.builds(Assignment, names.filter(lambda n: n not in ("xdd session", "FORM_TYPE")), texts, st.none())
    assignments = draw(tuples(from_form) | tuples(st.sampled_from(types).flatmap(typed)))
    return Command(draw(tuples(nodes)) or None, assignments, draw(tokens))


# --------------------------------------------------------------------------- provisioning and discovery

jids = st.from_regex(r"([a-z0-9._-]{1,8}@)?[a-z0-9-]{1,8}(\.[a-z]{2,4})?", fullmatch=True)
several_nodes = st.lists(nodes, unique=True, max_size=3).map(tuple)
several_names = st.lists(names, unique=True, max_size=3).map(tuple)


@st.composite
def questions(draw: st.DrawFn) -> Question:
    right = draw(st.sampled_from(Right))
    if right is Right.FRIEND:
        return Question(right, draw(jids))
    types = draw(flags(FieldTypes)) if right is Right.READ else AS_ASKED
    return Question(right, draw(jids), draw(several_nodes) or None, draw(several_names), types, draw(tokens))


@st.composite
def verdicts(draw: st.DrawFn, question: Question) -> Verdict:
    """Any answer: with parts of what was asked, and with what was not."""
    if question.right is Right.FRIEND:
        return Verdict(draw(st.booleans()), secondary_trust=draw(st.booleans()))
    some_nodes = nodes | st.sampled_from(question.nodes) if question.nodes else nodes
    some_names = names | st.sampled_from(question.names) if question.names else names
    return Verdict(
        draw(st.booleans()),
        draw(st.none() | st.lists(some_nodes, unique=True, max_size=3).map(tuple)),
        draw(st.lists(some_names, unique=True, max_size=3).map(tuple)),
        draw(st.just(AS_ASKED) | flags(FieldTypes)) if question.right is Right.READ else AS_ASKED,
    )


tag_names = names.map(str.upper).filter(
    lambda name: len(name) <= MAX_TAG_NAME and name == name.upper() and not re.search(r"[:#\s]", name)
)
tag_numbers = st.decimals(-1_000_000, 1_000_000, places=3) | st.integers().map(lambda n: Decimal(n % 10**12))
tag_values = texts | tag_numbers
tags = st.dictionaries(tag_names, tag_values, max_size=4)
addresses = st.just(NodeRef("")) | nodes


@st.composite
def terms(draw: st.DrawFn, operators: list[str]) -> SearchTerm:
    operator = draw(st.sampled_from(operators))
    values: st.SearchStrategy[Any] = tag_numbers if operator.startswith("num") else texts
    if not operator.endswith("Range"):
        wildcard = draw(names)[:16] if operator == "strMask" else ""
        return SearchTerm(operator, draw(tag_names), draw(values), wildcard=wildcard)
    low, high = draw(values | st.none()), draw(values)
    included = (draw(st.booleans()) if low is not None else True, draw(st.booleans()))
    return SearchTerm(operator, draw(tag_names), low, high, *included)


def searches(operators: list[str]) -> st.SearchStrategy[SearchQuery]:
    return st.builds(
        SearchQuery, tuples(terms(operators), 1), st.integers(0, 2**31 - 1), st.none() | st.integers(1, 2**31 - 1)
    )


found_things = tuples(st.builds(FoundThing, jids, jids, addresses, tags))
