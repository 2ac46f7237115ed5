"""The life of one client's connection, as a table.

    OPENING ──header──▶ SECURING ──starttls──▶ HANDSHAKE ──secured──▶ ARRIVING ──header──▶ REACHING ──reached──▶ LOGIN
                                                                                                               │ login
      any of them, by a fault, an end or a loss ──▶ OVER        SESSION ◀──────────────────────────────────────┘
                                                            compressed ▼ ▲ header
                                                                  SWITCHING

Rules of this file
* Every transition is a row; what has none ends the stream. The dedicated port begins at HANDSHAKE: TLS comes first.
* ENDING: one side has closed its stream, and the other's closing tag is awaited.
* A state that waits for somebody has a time limit, named as in `limits`. SESSION has none: how long a client may be
  silent is the server's business. What a client has begun it has to finish, in every state (`stanza_timeout`).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final


class State(enum.Enum):
    OPENING = "opening"
    SECURING = "securing"
    HANDSHAKE = "handshake"
    ARRIVING = "arriving"
    REACHING = "reaching"
    LOGIN = "login"
    SESSION = "session"
    SWITCHING = "switching"
    ENDING = "ending"
    OVER = "over"


class Event(enum.Enum):
    HEADER = "header"
    STARTTLS = "starttls"
    SECURED = "secured"
    REACHED = "reached"
    LOGIN = "login"
    COMPRESSED = "compressed"
    END = "end"
    OVER = "over"


TRANSITIONS: Final[Mapping[tuple[State, Event], State]] = {
    (State.OPENING, Event.HEADER): State.SECURING,
    (State.SECURING, Event.STARTTLS): State.HANDSHAKE,
    (State.HANDSHAKE, Event.SECURED): State.ARRIVING,
    (State.ARRIVING, Event.HEADER): State.REACHING,
    (State.REACHING, Event.REACHED): State.LOGIN,
    (State.LOGIN, Event.HEADER): State.LOGIN,
    (State.LOGIN, Event.LOGIN): State.SESSION,
    (State.SESSION, Event.HEADER): State.SESSION,
    (State.SESSION, Event.COMPRESSED): State.SWITCHING,
    (State.SWITCHING, Event.HEADER): State.SESSION,
    **{(state, Event.END): State.ENDING for state in (State.LOGIN, State.SESSION)},
    **{(state, Event.OVER): State.OVER for state in State},
}

TIME_LIMITS: Final[Mapping[State, str]] = {
    State.OPENING: "open_timeout",
    State.SECURING: "open_timeout",
    State.HANDSHAKE: "tls_timeout",
    State.ARRIVING: "open_timeout",
    State.REACHING: "connect_timeout",
    State.LOGIN: "login_timeout",
    State.SWITCHING: "open_timeout",
    State.ENDING: "open_timeout",
}

TALKING: Final = frozenset({State.LOGIN, State.SESSION})
"""Stanzas go both ways."""
