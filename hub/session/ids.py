"""Short stanza ids that come again, so that EXI's tables know them.

An id that is new costs its length on every wire it crosses, twice; one that was there before costs two bytes. So an id
is given again once its answer has come, and only then: what was never answered is never given again. RFC 6120 section
8.1.3 lets the sender choose whether ids are unique in a stream; here they are unique among what is under way.
"""

from __future__ import annotations

from collections import deque
from typing import Final

DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


class Ids:
    """The ids of one account."""

    def __init__(self) -> None:
        self._given = 0
        self._free: deque[str] = deque()
        self._awaited: dict[str, str] = {}  # id → whom it was sent to, "" for our own server

    def new(self) -> str:
        if self._free:
            return self._free.popleft()
        self._given += 1
        return base36(self._given)

    def sent(self, identifier: str, to: str) -> None:
        """A request has gone out under this id."""
        self._awaited[identifier] = to

    def answered(self, identifier: str, sender: str, own: frozenset[str]) -> None:
        """An answer has come. One from somebody else is none: nobody but whom we asked makes an id free. `own`:
        who may answer what was sent to nobody, that is the account itself and its server (RFC 6120, 8.1.2.1)."""
        to = self._awaited.get(identifier)
        if to is not None and (sender in own if not to else to == sender):
            del self._awaited[identifier]
            self._free.append(identifier)


def base36(number: int) -> str:
    """A positive number in as few letters and digits as it takes."""
    text = ""
    while number:
        number, digit = divmod(number, len(DIGITS))
        text = DIGITS[digit] + text
    return text
