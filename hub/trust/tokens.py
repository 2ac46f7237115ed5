"""Which token went to whom in the last minute, and so whose challenges are answered and by whom (XEP-0324 section
3.1.3.2). Sans-IO: time comes in as seconds that only grow.

Rules of this file
* A challenge is answered only for those that the token was sent to within the last minute; all others are refused.
* A token that we passed on in a question was shown by somebody: only he can answer for it, and is asked.
* A challenge does not say about whom. When two have shown the same token within a minute, or somebody has shown our
  own, nobody is asked and nothing is answered: the answer of the one would count for the other.
* What is remembered is bounded; what was used least lately goes first, and is then refused.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, TypeVar

from hub.errors import Forbidden
from hub.things.model import Tokens
from hub.things.questions import bare

WINDOW_S: Final = 60.0
MAX_REMEMBERED: Final = 5_000  # pairs of a token and who showed it, or was sent it
MAX_ORIGINS: Final = 4  # of one token at one receiver; two are one too many already

OURSELVES: Final = ""

V = TypeVar("V")


def each_of(tokens: Tokens) -> tuple[str, ...]:
    """Every token once; an attribute may have several (section 3.1.5)."""
    return tuple(dict.fromkeys(" ".join((tokens.service, tokens.device, tokens.user)).split()))


class TokenTraffic:
    def __init__(self) -> None:
        self._sent: OrderedDict[tuple[str, str], dict[str, float]] = OrderedDict()
        """(token, bare JID of the receiver) → when, by bare JID of whom it is from."""
        self._shown: OrderedDict[tuple[str, str], tuple[str, float]] = OrderedDict()
        """(token, bare JID of who showed it) → his full JID, and when."""

    def arrived(self, tokens: Tokens, sender: str, now: float) -> None:
        """`sender`, a full JID, has shown us these."""
        for token in each_of(tokens):
            _put(self._shown, (token, bare(sender)), (sender, now))

    def passed_on(self, tokens: Tokens, about: str, to: str, now: float) -> None:
        """We have sent `to` these, which `about` has shown us."""
        for token in each_of(tokens):
            self._note(token, bare(about), to, now)

    def sent(self, tokens: Tokens, to: str, now: float) -> None:
        """We have sent `to` these, which are ours."""
        for token in each_of(tokens):
            self._note(token, OURSELVES, to, now)

    def _note(self, token: str, origin: str, to: str, now: float) -> None:
        key = (token, bare(to))
        origins = {each: then for each, then in self._sent.get(key, {}).items() if now - then <= WINDOW_S}
        if len(origins) < MAX_ORIGINS or origin in origins:
            origins[origin] = now
        _put(self._sent, key, origins)

    def answerer(self, token: str, challenger: str, now: float) -> str:
        """Who answers a challenge of `token`: a full JID, or OURSELVES. Raises Forbidden."""
        sent = self._sent.get((token, bare(challenger)), {})
        origins = [origin for origin, then in sent.items() if now - then <= WINDOW_S]
        if not origins:
            raise Forbidden("This token was not sent to you within the last minute.")
        if len(origins) > 1:
            raise Forbidden("More than one has shown this token within the last minute: it proves nothing.")
        if origins[0] == OURSELVES:
            return OURSELVES
        full, then = self._shown.get((token, origins[0]), ("", 0.0))
        if not full or now - then > 2 * WINDOW_S or origins[0] == bare(challenger):
            raise Forbidden("Whoever has shown this token cannot be asked any more.")
        return full


def _put(kept: OrderedDict[tuple[str, str], V], key: tuple[str, str], value: V) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > MAX_REMEMBERED:
        kept.popitem(last=False)
