"""What the gateway bears, as one value; the defaults are safe for one that faces the internet.

Times in seconds, sizes in bytes. What a set-up may cost is in `bounds`.
"""

from __future__ import annotations

from dataclasses import dataclass

from hub import exi

MOST_NAMES = 10_000  # and values, in the tables of one direction of one stream


@dataclass(frozen=True, kw_only=True)
class Limits:
    connections: int = 4_000
    connections_per_address: int = 400  # many nodes stand behind one router
    stanza_size: int = 262_144  # from a client
    stanza_size_before_login: int = 32_768
    server_stanza_size: int = 1_048_576
    open_timeout: float = 15.0  # until the first tag of a stream, each time one is due
    tls_timeout: float = 15.0
    connect_timeout: float = 15.0  # to the server: TCP, its stream, TLS
    login_timeout: float = 60.0
    stall_timeout: float = 60.0  # for which a peer may take nothing that we have for it
    drain_timeout: float = 10.0  # in which clients are told that we stop
    ack_delay: float = 10.0  # for which a server's requests for acknowledgements wait for each other

    @property
    def exi(self) -> exi.Limits:
        """What a client may send in EXI."""
        return exi_limits(self.stanza_size)


def exi_limits(size: int) -> exi.Limits:
    """`size`: bytes that a stanza may have as XML; nothing has more characters than that once it is decoded, or so."""
    return exi.Limits(
        depth=100,
        attributes=100,
        string_length=size,
        decoded_size=4 * size,
        table_entries=MOST_NAMES,
        table_size=4 * size,
    )
