"""Pattern facets → restricted character sets (section 7.1.10.1).

A set is the characters that a regular expression of XML Schema can match anywhere. There is none if the
expression holds a wildcard, a category or block escape, a multi-character escape other than \\s, characters
beyond the basic plane, or if 256 characters or more are in it. `^` and `$` outside a class are ordinary
characters in XML Schema.
"""

from __future__ import annotations

from typing import Final

LARGEST_SET: Final = 255
_SPACES: Final = frozenset("\t\n\r ")
_SINGLE: Final = {"n": "\n", "r": "\r", "t": "\t"}
_PLAIN_ESCAPES: Final = frozenset("\\|.-^?*+{}()[]$/#&'\"!%,:;<=>@`~_ ")
_BEYOND_BMP: Final = 0xFFFF


class _NoSet(Exception):
    """The expression has no restricted set."""


def restricted_set(patterns: list[str]) -> list[str] | None:
    """The characters of alternative patterns in code point order, or None."""
    found: set[str] = set()
    try:
        for pattern in patterns:
            found |= _Pattern(pattern).characters()
    except (_NoSet, IndexError):
        return None
    if not found or len(found) > LARGEST_SET or any(ord(each) > _BEYOND_BMP for each in found):
        return None
    return sorted(found)


class _Pattern:
    """Walks over one regular expression and gathers its characters."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def characters(self) -> set[str]:
        """All characters outside and inside of classes."""
        found: set[str] = set()
        text = self.text
        while self.at < len(text):
            character = text[self.at]
            if character == "[":
                found |= self.char_class()
            elif character == "\\":
                found |= self.escape()
            elif character == ".":
                raise _NoSet
            elif character == "{":
                self.at = text.index("}", self.at) + 1 if "}" in text[self.at :] else len(text)
            else:
                if character not in "()|?*+":
                    found.add(character)
                self.at += 1
        return found

    def escape(self) -> set[str]:
        """A backslash and what it escapes."""
        code = self.text[self.at + 1]
        self.at += 2
        if code == "s":
            return set(_SPACES)
        if code in _SINGLE:
            return {_SINGLE[code]}
        if code in _PLAIN_ESCAPES:
            return {code}
        raise _NoSet

    def char_class(self) -> set[str]:
        """[…] with ranges, escapes and a subtracted class."""
        self.at += 1
        if self.text[self.at] == "^":
            # The complement of a class is never small; what is subtracted from it cannot change that.
            raise _NoSet
        found: set[str] = set()
        while self.text[self.at] != "]":
            if self.text[self.at] == "-" and self.text[self.at + 1] == "[":
                self.at += 1
                found -= self.subtracted()
                continue
            found |= self.class_item()
            if len(found) > 4 * LARGEST_SET:
                raise _NoSet
        self.at += 1
        return found

    def subtracted(self) -> set[str]:
        """The class after a minus sign."""
        return self.char_class()

    def class_item(self) -> set[str]:
        """One character, range or escape of a class."""
        first = self.one()
        if len(first) > 1:
            return first
        following = self.text[self.at]
        if following == "-" and self.text[self.at + 1] not in "[]":
            self.at += 1
            low, high = ord(min(first)), ord(min(self.one()))
            if high - low > 4 * LARGEST_SET:
                raise _NoSet
            return {chr(point) for point in range(low, high + 1)}
        return first

    def one(self) -> set[str]:
        """One character or escape."""
        if self.text[self.at] == "\\":
            return self.escape()
        self.at += 1
        return {self.text[self.at - 1]}
