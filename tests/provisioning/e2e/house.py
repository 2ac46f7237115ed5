"""A provisioning server in this process, a component of a real server, and people and things in raw XML around it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

from hub.config.provisioning import Provisioning
from hub.programs.provisioning import ProvisioningServer
from tests.e2e.raw import CLIENT, RawClient
from tests.e2e.world import EjabberdWorld, World
from tests.helpers import PATIENCE_S, until

SERVICE, SECRET = "provisioning.localhost", "the secret of the component"
OLD = "urn:xmpp:iot:provisioning"
DISCO = "urn:xmpp:iot:discovery"
TAGS = "<str name='SN' value='3948'/><str name='MAN' value='www.example.org'/><num name='V' value='1.2'/>"
KEY = "<str name='KEY' value='4857402340298342'/>"

Server = World | EjabberdWorld


@dataclass
class House:
    """`running` is replaced when the service is started again."""

    server: Server
    state: Path
    running: ProvisioningServer

    def client(self, user: str, resource: str = "raw") -> RawClient:
        return self.server.client(user, resource)


def settings(server: Server, state: Path, **more: object) -> Provisioning:
    return Provisioning(jid=SERVICE, secret_file=state / "unused", server=f"127.0.0.1:{server.component_port}",
                        state_dir=state, **more)  # type: ignore[arg-type]  # tests know what they set


@contextlib.asynccontextmanager
async def serving(server: Server, state: Path, **more: object) -> AsyncIterator[ProvisioningServer]:
    running = ProvisioningServer(settings(server, state, **more), SECRET)
    task = asyncio.create_task(running.run())
    try:
        await until(lambda: task.done() or running.link.up, "the service is online")
        assert not task.done(), await task
        yield running
    finally:
        running.stop()
        await task


# --------------------------------------------------------------------------- what things and people do


async def register(thing: RawClient, tags: str = TAGS + KEY, more: str = "", namespace: str = DISCO) -> Element:
    return await thing.ask(SERVICE, "set", f"<register xmlns='{namespace}'{more}>{tags}</register>")


async def claim(owner: RawClient, tags: str = TAGS + KEY, more: str = "", namespace: str = DISCO) -> Element:
    return await owner.ask(SERVICE, "set", f"<mine xmlns='{namespace}'{more}>{tags}</mine>")


async def told(client: RawClient, *names: str, answer: str | None = "") -> Element:
    """The next IQ of the service with one of these payloads, acknowledged unless `answer` is None."""
    iq = await client.take(
        lambda s: s.tag == f"{CLIENT}iq" and s.get("from") == SERVICE and s.get("type") == "set" and len(s) > 0
        and s[0].tag.rpartition("}")[2] in names,
        f"{names} from the service",
    )  # fmt: skip
    if answer is not None:
        client.write(f"<iq type='result' to='{SERVICE}' id='{iq.get('id')}'>{answer}</iq>")
    return iq[0]


async def claimed(thing: RawClient, owner: RawClient, tags: str = TAGS + KEY) -> None:
    """Registered, claimed, and it knows."""
    assert (await register(thing, tags)).get("type") == "result"
    assert (await claim(owner, tags)).get("type") == "result"
    await told(thing, "claimed")
    await told(thing, "clearCache")


async def until_none_waits(running: ProvisioningServer) -> None:
    """Everything that things have to be told they have acknowledged."""
    async with asyncio.timeout(PATIENCE_S):
        while await running.store.notices():
            await asyncio.sleep(0.01)


async def may(thing: RawClient, what: str, jid: str, inner: str = "", namespace: str = OLD) -> Element:
    """The service's answer to "isFriend", "canRead" or "canControl"."""
    iq = await thing.ask(SERVICE, "get", f"<{what} xmlns='{namespace}' jid='{jid}'>{inner}</{what}>")
    assert iq.get("type") == "result", [child.tag for child in iq]
    assert iq[0].tag == f"{{{namespace}}}{what}Response"
    return iq[0]


async def hears(client: RawClient, part: str) -> Element:
    """The next chat message of the service whose body has `part` in it."""
    return await client.take(
        lambda s: s.tag == f"{CLIENT}message" and s.get("from") == SERVICE
        and part in (s.findtext(f"{CLIENT}body") or ""),
        f"a message with {part!r}",
    )  # fmt: skip


def body_of(message: Element) -> str:
    return message.findtext(f"{CLIENT}body") or ""


def writes(client: RawClient, text: str, thread: str = "") -> None:
    inside = f"<thread>{thread}</thread>" if thread else ""
    client.write(f"<message to='{SERVICE}' type='chat'><body>{text}</body>{inside}</message>")
