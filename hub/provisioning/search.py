"""Searches of the registry: the operators of XEP-0347 section 3.13, and `strRegEx` of its successors.

Rules of this file
* A thing is found when every term holds. A term holds only for a tag that is there and of the operator's type: a
  `strNEq` finds no thing without the tag, a `num…` none whose tag is a string.
* Strings are compared by the code points of Unicode: letter case counts, "10" lies before "9", and no locale of any
  engine has a say. Numbers are compared by value: 1.20 is 1.2.
* A mask and a regular expression describe the whole value. A mask's wildcard stands for any text, also for none.
* Whoever searches chooses the pattern, so its length and the time of all its matches together are bounded.
"""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from hub.errors import BadRequest
from hub.provisioning.model import KEY, Tags
from hub.stanzas.provisioning import SearchQuery, SearchTerm

MAX_TERMS: Final = 32
MAX_PATTERN: Final = 200  # characters
PATTERN_TIME_S: Final = 0.25  # of all matches of one search

Compare = Callable[[Any, Any], bool]
Test = Callable[[Any], bool]

_COMPARISONS: Mapping[str, Compare] = {
    "Eq": operator.eq, "NEq": operator.ne, "Gt": operator.gt, "GtEq": operator.ge, "Lt": operator.lt,
    "LtEq": operator.le,
}  # fmt: skip
_TYPES: Mapping[str, type] = {"str": str, "num": Decimal}


@dataclass(frozen=True, slots=True)
class Condition:
    """One term, ready to be tried. `equal`: the only value that can pass, where there is one, for a store's index."""

    name: str
    type: type
    test: Test
    equal: str | None = None


@dataclass(slots=True)
class Search:
    """A search that is well-formed. `hopeless`: it names KEY, so it finds nothing (section 3.13)."""

    conditions: tuple[Condition, ...]
    hopeless: bool = False

    def finds(self, tags: Tags) -> bool:
        """Raises BadRequest when a regular expression takes too long."""
        return not self.hopeless and all(
            isinstance(tags.get(each.name), each.type) and each.test(tags[each.name]) for each in self.conditions
        )


def prepared(search: SearchQuery) -> Search:
    """Raises BadRequest for what no search can be: no terms or too many, an unknown operator, a wrong pattern."""
    if not search.terms:
        raise BadRequest("A search needs at least one comparison.")
    if len(search.terms) > MAX_TERMS:
        raise BadRequest(f"A search has at most {MAX_TERMS} comparisons.")
    budget = _Budget()
    conditions = tuple(_condition(term, budget) for term in search.terms)
    return Search(conditions, hopeless=any(condition.name == KEY for condition in conditions))


def _condition(term: SearchTerm, budget: _Budget) -> Condition:
    name, kind, comparison = term.name.upper(), term.operator[:3], term.operator[3:]
    if kind not in _TYPES:
        raise BadRequest(f"There is no operator {term.operator}.")
    for bound in (term.value, term.high):
        if bound is not None and not isinstance(bound, _TYPES[kind]):
            raise BadRequest(f"{term.operator} of {name} compares with a {'number' if kind == 'num' else 'string'}.")
        if isinstance(bound, Decimal) and bound.is_nan():
            raise BadRequest(f"{term.operator} of {name}: not a number.")
    if comparison in ("Range", "NRange"):
        inside = _range(term)
        outside: Test = lambda value: not inside(value)  # noqa: E731  # a name for the negation
        return Condition(name, _TYPES[kind], inside if comparison == "Range" else outside)
    if term.value is None:
        raise BadRequest(f"{term.operator} of {name} has no value.")
    value = term.value
    if isinstance(value, str) and comparison == "Mask":
        return Condition(name, str, _mask(value, term.wildcard))
    if isinstance(value, str) and comparison == "RegEx":
        return Condition(name, str, _expression(value, budget))
    if comparison not in _COMPARISONS:
        raise BadRequest(f"There is no operator {term.operator}.")
    compare = _COMPARISONS[comparison]
    equal = value if isinstance(value, str) and comparison == "Eq" else None
    return Condition(name, _TYPES[kind], lambda tag: compare(tag, value), equal)


def _range(term: SearchTerm) -> Test:
    low, high = term.value, term.high
    above: Compare = operator.ge if term.low_included else operator.gt
    below: Compare = operator.le if term.high_included else operator.lt
    return lambda value: (low is None or above(value, low)) and (high is None or below(value, high))


def _mask(mask: str, wildcard: str) -> Test:
    if len(mask) > MAX_PATTERN:
        raise BadRequest(f"A mask has at most {MAX_PATTERN} characters.")
    first, *rest = mask.split(wildcard) if wildcard else [mask]
    if not rest:
        return lambda value: bool(value == mask)
    middle, last = rest[:-1], rest[-1]

    def test(value: str) -> bool:
        if not value.startswith(first) or len(value) < len(first) + len(last) or not value.endswith(last):
            return False
        at, end = len(first), len(value) - len(last)
        for part in middle:
            at = value.find(part, at, end)
            if at < 0:
                return False
            at += len(part)
        return True

    return test


# --------------------------------------------------------------------------- regular expressions


@dataclass(slots=True)
class _Budget:
    """Time that is left for the regular expressions of one search, in seconds."""

    left: float = field(default_factory=lambda: PATTERN_TIME_S)


def _expression(pattern: str, budget: _Budget) -> Test:
    import regex  # only the service has it, and only a search needs it

    if len(pattern) > MAX_PATTERN:
        raise BadRequest(f"A regular expression has at most {MAX_PATTERN} characters.")
    if regex.search(r"\(\?(?:R|&|P>|\(DEFINE|[+-]?\d)", pattern):
        raise BadRequest("A regular expression that calls itself is not supported.")  # its memory has no bound
    try:
        compiled = regex.compile(pattern)
    except (regex.error, ValueError, RecursionError, OverflowError) as error:
        raise BadRequest(f"Not a regular expression: {error}.") from None

    def test(value: str) -> bool:
        began = time.monotonic()
        try:
            # concurrent: others run meanwhile
            return compiled.fullmatch(value, timeout=max(budget.left, 1e-6), concurrent=True) is not None
        except TimeoutError:
            raise BadRequest("The regular expression takes too long: make it simpler, or add comparisons.") from None
        finally:
            budget.left -= time.monotonic() - began

    return test
