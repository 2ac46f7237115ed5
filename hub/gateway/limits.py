"""What the gateway bears, as one value; the defaults are safe for one that faces the internet.

Times in seconds, sizes in bytes. What a set-up may cost is in `bounds`.
"""

from __future__ import annotations

from dataclasses import dataclass

from hub import exi
from hub.gateway.xmlreader import Bounds


@dataclass(frozen=True, kw_only=True)
class Limits:
    connections: int = 4_000
    connections_per_address: int = 400  # many nodes stand behind one router; of IPv6, a network of 64 bits
    backlog: int = 1_024  # connections that the kernel holds until they are let in
    stanza_size: int = 262_144  # from a client
    stanza_size_before_login: int = 32_768
    server_stanza_size: int = 1_048_576
    depth: int = 100  # elements inside each other, the stream included
    attributes: int = 100  # of one element
    table_entries: int = 10_000  # names and values in the tables of one direction of one stream
    read_ahead: int = 65_536  # that came and nobody has taken; then the socket is not read
    write_ahead: int = 65_536  # that wait for the socket; then the other side is not read
    open_timeout: float = 15.0  # until the first tag of a stream, each time one is due
    tls_timeout: float = 15.0
    connect_timeout: float = 15.0  # to the server: TCP, its stream, TLS
    login_timeout: float = 60.0
    stanza_timeout: float = 120.0  # for which we wait for a client to finish what it has begun
    stall_timeout: float = 60.0  # for which a peer may take nothing that we have for it
    drain_timeout: float = 10.0  # in which clients are told that we stop
    keepalive: float = 60.0  # silence before the kernel asks whether the other end is there, which takes as long again
    ack_delay: float = 10.0  # for which a server's requests for acknowledgements wait for each other
    metrics_timeout: float = 5.0  # until somebody who wants to see the figures has them
    metrics_request_size: int = 8_192

    def xml(self, size: int) -> Bounds:
        """`size`: bytes that a stanza may have."""
        return Bounds(size=size, depth=self.depth, attributes=self.attributes)

    def exi(self, size: int) -> exi.Limits:
        """`size`: bytes that a stanza may have as XML; nothing has more characters than that once it is decoded, or
        so."""
        return exi.Limits(
            depth=self.depth,
            attributes=self.attributes,
            string_length=size,
            decoded_size=4 * size,
            table_entries=self.table_entries,
            table_size=4 * size,
        )
