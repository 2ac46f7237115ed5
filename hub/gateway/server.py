"""The gateway as a whole: it listens, bounds who comes in, and sees to it that everybody leaves.

Rules of this file
* A connection beyond the limits is told `resource-constraint` where that takes no work, and closed.
* `::` is every address of both kinds, also where the system would make it those of IPv6 alone, or has no IPv6. Of IPv6
  a network of 64 bits counts as one address: it is what one customer has.
* `drain` takes nobody in, tells everybody `system-shutdown`, and leaves the server's streams without a closing tag:
  XEP-0198 lets clients take them up again.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ipaddress
import logging
import resource
import socket
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from hub.errors import LinkError
from hub.gateway.connection import Connection
from hub.gateway.shared import Port, Shared
from hub.gateway.wire import Wire
from hub.gateway.xmpp import StreamFault

log = logging.getLogger("hub.gateway")

Address = tuple[str, int]
ANY_ADDRESS = "::"
FILES_PER_CONNECTION = 2
OTHER_FILES = 64


class Gateway:
    """`listen`: addresses of each kind of port."""

    def __init__(self, shared: Shared, listen: Mapping[Port, Sequence[Address]]) -> None:
        self.shared = shared
        self.addresses: dict[Port, list[Address]] = {port: [] for port in Port}
        """Those that are listened on; the number is told where 0 was asked for."""
        self._listen = listen
        self._servers: list[asyncio.Server] = []
        self._connections: dict[asyncio.Task[None], Connection] = {}
        self._by_address: Counter[str] = Counter()

    async def start(self) -> None:
        """Raises LinkError where an address cannot be listened on."""
        self._make_room()
        limits = self.shared.limits
        for port, addresses in self._listen.items():
            made = functools.partial(Wire, limits, functools.partial(self._arrived, port))
            for host, number in addresses:
                try:
                    server = await _listen(made, host, number, limits.backlog)
                except OSError as error:
                    await self.drain()
                    raise LinkError(f"{host}:{number} cannot be listened on: {error.strerror or error}") from None
                self._servers.append(server)
                self.addresses[port] += [sock.getsockname()[:2] for sock in server.sockets]
        if self.addresses[Port.BINARY] and self.shared.exi_port is None:
            self.shared.exi_port = self.addresses[Port.BINARY][0][1]

    async def drain(self) -> None:
        """Everybody is told and gone when this returns."""
        for server in self._servers:
            server.close()
        for connection in list(self._connections.values()):
            connection.fail(StreamFault("system-shutdown"))
        if self._connections:
            _, left = await asyncio.wait(self._connections, timeout=self.shared.limits.drain_timeout)
            for task in left:
                self._connections[task].client.abort()
                task.cancel()
            if left:
                await asyncio.wait(left, timeout=1)
        for server in self._servers:
            await server.wait_closed()
        self._servers.clear()

    @property
    def connections(self) -> int:
        return len(self._connections)

    # ------------------------------------------------------------------ inside

    def _arrived(self, port: Port, wire: Wire) -> None:
        address, limits, figures = _neighbourhood(wire.peer), self.shared.limits, self.shared.figures
        full = len(self._connections) >= limits.connections
        if full or self._by_address[address] >= limits.connections_per_address:
            figures.refused["connections" if full else "address"] += 1
            log.warning("%s: refused, %s", wire.peer, "the gateway is full" if full else "it has its share already")
            Connection(self.shared, wire, port).fail(StreamFault("resource-constraint", "too many connections"))
            return
        connection = Connection(self.shared, wire, port)
        task = asyncio.create_task(connection.run())
        self._connections[task] = connection
        self._by_address[address] += 1
        task.add_done_callback(lambda done: self._left(done, address))

    def _left(self, task: asyncio.Task[None], address: str) -> None:
        del self._connections[task]
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]

    def _make_room(self) -> None:
        """Each connection takes two files; the limit of the process is raised as far as it may be."""
        wanted = self.shared.limits.connections * FILES_PER_CONNECTION + OTHER_FILES
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < wanted:
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < wanted:
            log.warning("this process may open %d files: enough for %d connections of %d", soft,
                        (soft - OTHER_FILES) // FILES_PER_CONNECTION, self.shared.limits.connections)  # fmt: skip


async def _listen(made: Callable[[], Wire], host: str, port: int, backlog: int) -> asyncio.Server:
    """Raises OSError."""
    loop = asyncio.get_running_loop()
    if host != ANY_ADDRESS:
        return await loop.create_server(made, host, port, backlog=backlog)
    if socket.has_dualstack_ipv6():
        sock = socket.create_server((host, port), family=socket.AF_INET6, dualstack_ipv6=True)
    else:
        sock = socket.create_server(("", port))
    return await loop.create_server(made, sock=sock, backlog=backlog)


def _neighbourhood(address: str) -> str:
    """What counts as one address."""
    try:
        found = ipaddress.IPv6Address(address)
    except ValueError:
        return address
    return str(ipaddress.IPv6Network((found.packed[:8] + bytes(8), 64)))
