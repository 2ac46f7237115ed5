"""The node's side of the EXI set-up (XEP-0322, "Stream Compression"), sans-IO: elements in, elements out.

    START ──▶ RECALLED ──agreed──────────────────────────────────▶ COMPRESSING ──compressed──▶ DONE
      │          └──forgotten──▶ PROPOSED ──agreed──────────────────▲ │ ▲
      └──────────────────────────▲  ├──missing schemas──▶ UPLOADED ───┘ │
                                    └──lowered──────────▶ LOWERED ──────┘     refused, from anywhere ──▶ FAILED

Rules of this file
* Every transition is a row of TRANSITIONS; there is no way back to PROPOSED, so no server keeps us busy for ever
  (XEP-0322 section "Security Considerations": missing schemas are uploaded once).
* An answer that raises a limit, adds a schema or names an agreement that is not ours is a refusal: what we do not
  understand is never spoken.
* The first stanza after DONE is the stream's start, and not our business.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final
from xml.etree.ElementTree import Element

from hub.errors import PeerConfused
from hub.session import exi_setup as setup
from hub.session.exi_setup import Response, SchemaFile, Settings, Setup, Upload


class State(enum.Enum):
    START = "start"
    RECALLED = "recalled"
    PROPOSED = "proposed"
    UPLOADED = "uploaded"
    LOWERED = "lowered"
    COMPRESSING = "compressing"
    DONE = "done"
    FAILED = "failed"


class Event(enum.Enum):
    RECALL = "recall"
    PROPOSE = "propose"
    AGREED = "agreed"
    MISSING = "missing"
    LOWER = "lower"
    COMPRESSED = "compressed"
    REFUSED = "refused"


TRANSITIONS: Final[Mapping[tuple[State, Event], State]] = {
    (State.START, Event.RECALL): State.RECALLED,
    (State.START, Event.PROPOSE): State.PROPOSED,
    (State.RECALLED, Event.AGREED): State.COMPRESSING,
    (State.RECALLED, Event.PROPOSE): State.PROPOSED,
    (State.PROPOSED, Event.AGREED): State.COMPRESSING,
    (State.PROPOSED, Event.MISSING): State.UPLOADED,
    (State.PROPOSED, Event.LOWER): State.LOWERED,
    (State.UPLOADED, Event.AGREED): State.COMPRESSING,
    (State.UPLOADED, Event.LOWER): State.LOWERED,
    (State.LOWERED, Event.AGREED): State.COMPRESSING,
    (State.COMPRESSING, Event.COMPRESSED): State.DONE,
    **{(state, Event.REFUSED): State.FAILED for state in State if state not in (State.DONE, State.FAILED)},
}


@dataclass(frozen=True)
class Agreement:
    """What the stream will speak, and the name under which the server remembers it ("" when it gave none)."""

    settings: Settings
    schemas: tuple[SchemaFile, ...]
    configuration_id: str = ""


class Negotiation:
    """`remembered`: an earlier agreement to try first. `file_of`: an XSD file's bytes, for a server that lacks it; None
    where we may or can not upload. `agreement` is set when the state is DONE, `failure` when it is FAILED."""

    def __init__(
        self,
        proposal: Setup,
        remembered: Agreement | None = None,
        file_of: Callable[[SchemaFile], bytes] | None = None,
    ) -> None:
        self.state = State.START
        self.agreement: Agreement | None = None
        self.failure = ""
        self.forgotten = False
        """The server did not remember what we did: the caller may drop it."""
        self._proposal = proposal
        self._remembered = remembered
        self._file_of = file_of
        self._pending: Agreement | None = None

    def start(self) -> list[Element]:
        """What to send first."""
        if self._remembered is not None:
            self._go(Event.RECALL)
            return [setup.setup_element(Setup(configuration_id=self._remembered.configuration_id))]
        return self._propose(Event.PROPOSE, self._proposal)

    def receive(self, element: Element) -> list[Element]:
        """What to send upon an answer. What has nothing to do with the set-up is no answer, and changes nothing."""
        if element.tag == setup.SETUP_RESPONSE:
            try:
                return self._answered(setup.read_response(element))
            except PeerConfused as error:
                return self._refuse(f"its answer makes no sense: {error}")
        if element.tag == setup.COMPRESS_FAILURE:
            return self._refuse("it does not begin: " + ", ".join(local_names(element)))
        if element.tag == setup.COMPRESSED:
            if not self._go(Event.COMPRESSED):
                return self._refuse("it begins before we have agreed")
            self.agreement = self._pending
        return []

    # ------------------------------------------------------------------ answers

    def _answered(self, response: Response) -> list[Element]:
        if self.state is State.RECALLED:
            assert self._remembered is not None
            if response.agreement and response.configuration_id == self._remembered.configuration_id:
                return self._compress(self._remembered)
            self.forgotten = True
            return self._propose(Event.PROPOSE, self._proposal)
        if response.settings is None:
            return self._refuse("it refuses, and says nothing more")
        if not self._proposal.settings.allows(response.settings):
            return self._refuse("it raises or changes what we proposed")
        known = set(self._proposal.schemas)
        if not known.issuperset(response.schemas) or not known.issuperset(response.missing):
            return self._refuse("it names schemas that we did not propose")
        if response.missing and self._file_of is not None and (self.state, Event.MISSING) in TRANSITIONS:
            again = self._propose(Event.MISSING, replace(self._proposal, settings=response.settings))
            return [*map(self._upload, response.missing), *again]
        if not response.agreement:
            return self._lower(response)
        if response.missing or set(response.schemas) != known:
            missing = ", ".join(sorted(each.namespace for each in known - set(response.schemas))[:3])
            return self._refuse(f"it lacks schemas ({missing} …) that we cannot give it")
        return self._compress(Agreement(response.settings, self._proposal.schemas, response.configuration_id))

    def _lower(self, response: Response) -> list[Element]:
        """Propose what the answer would accept: its settings, and only if every schema is there."""
        if response.missing or (self.state, Event.LOWER) not in TRANSITIONS:
            return self._refuse("it does not agree")
        assert response.settings is not None
        return self._propose(Event.LOWER, replace(self._proposal, settings=response.settings))

    def _upload(self, schema: SchemaFile) -> Element:
        assert self._file_of is not None
        return setup.upload_element(Upload(self._file_of(schema)))

    def _propose(self, event: Event, proposal: Setup) -> list[Element]:
        self._go(event)
        self._proposal = proposal
        return [setup.setup_element(proposal)]

    def _compress(self, agreement: Agreement) -> list[Element]:
        if not self._go(Event.AGREED):
            return self._refuse("it agrees to what nobody asked")
        self._pending = agreement
        return [setup.compress_element()]

    def _refuse(self, why: str) -> list[Element]:
        if self._go(Event.REFUSED):
            self.failure = why
        return []

    def _go(self, event: Event) -> bool:
        after = TRANSITIONS.get((self.state, event))
        if after is not None:
            self.state = after
        return after is not None


def local_names(element: Element) -> list[str]:
    """The conditions in a `<failure/>`."""
    return [child.tag.rpartition("}")[2][:40] for child in element if isinstance(child.tag, str)] or ["no reason"]
