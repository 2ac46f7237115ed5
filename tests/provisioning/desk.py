"""The service without a stream: its parts on a SQLite store, with clocks that tests turn and stanzas that they read."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

from hub.provisioning.budgets import Guesses
from hub.provisioning.changes import Changes
from hub.provisioning.decisions import Decisions
from hub.provisioning.knowledge import Knowledge
from hub.provisioning.model import ITSELF, KEY, Registered, Tags
from hub.provisioning.notices import Notices
from hub.provisioning.owner import OwnerLimits, Owners
from hub.provisioning.registry import Registry, RegistryLimits
from hub.provisioning.service import encode_notice
from hub.provisioning.sqlite import SqliteStore
from hub.things.model import NodeRef
from hub.things.questions import Question, Right, Verdict

CLIENT = "{jabber:client}"
SERVICE = "provisioning.x"
TAGS: Tags = {"SN": "1", KEY: "0123456789"}
NOON = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)


class Desk:
    def __init__(self, path: Path, registry: RegistryLimits | None = None, owners: OwnerLimits | None = None) -> None:
        self.now = NOON
        self.sent: list[Element] = []
        self.recorded: list[tuple[str, str, str, str]] = []
        self.store = SqliteStore(path / "store.sqlite")
        self.notices = Notices(self.store, SERVICE, self.sent.append, encode_notice, self.seconds, lambda: self.now)
        self.changes = Changes(self.store, self.notices, self, SERVICE, lambda: self.now)
        self.knowledge = self.changes.knowledge = Knowledge(self.store, self.changes.rules_changed)
        self.registry = Registry(self.store, self.knowledge, self.notices, self, self.seconds, registry, Guesses())
        self.notices.told["disowned"] = lambda notice: self.registry.disowned(notice.to)
        self.owners = Owners(self.store, self.knowledge, self.notices, self, SERVICE, self.sent.append,
                             lambda: self.now, self.seconds, ("admin@x",), owners)  # fmt: skip
        self.decisions = self.changes.decisions = Decisions(self.store, self.knowledge, self.owners, self, SERVICE,
                                                            lambda: self.now)  # fmt: skip

    def seconds(self) -> float:
        return (self.now - NOON).total_seconds() + 1000

    def record(self, who: str, what: str, rule: str, answer: str) -> None:
        self.recorded.append((who, what, rule, answer))

    def pass_time(self, **span: float) -> None:
        self.now += dt.timedelta(**span)

    async def claimed(self, jid: str = "thing@x", owner: str = "owner@x", node: NodeRef = ITSELF) -> Registered:
        """A thing of this owner, who has been told of nothing."""
        tags = {**TAGS, "SN": f"{jid} {node.node_id}"}
        await self.registry.register(jid, node, tags, self_owned=False)
        made = await self.registry.claim(owner, tags, public=True)
        for notice in await self.store.notices(jid):
            await self.store.notice_done(notice.id)
        return made

    async def may(self, right: Right, jid: str, device: str = "thing@x", **more: object) -> Verdict:
        return await self.decisions.decide(device, Question(right, jid, **more))  # type: ignore[arg-type]  # tests know

    # ------------------------------------------------------------------ people

    async def says(self, owner: str, text: str, thread: str = "") -> str:
        """What the service answers to a text; "" for nothing."""
        message = Element(f"{CLIENT}message")
        SubElement(message, f"{CLIENT}body").text = text
        if thread:
            SubElement(message, f"{CLIENT}thread").text = thread
        return await self.writes(owner, message)

    async def writes(self, owner: str, message: Element) -> str:
        self.sent.clear()
        await self.owners.message(owner, message)
        return self.bodies(owner)[-1] if self.sent else ""

    def bodies(self, to: str) -> list[str]:
        return [s.findtext(f"{CLIENT}body") or "" for s in self.sent
                if s.tag == f"{CLIENT}message" and s.get("to") == to]  # fmt: skip

    # ------------------------------------------------------------------ things

    async def kinds(self, jid: str = "thing@x") -> list[str]:
        """What waits for it."""
        return [notice.kind for notice in await self.store.notices(jid)]

    async def turn(self) -> list[str]:
        """What is sent now: the names of payloads, or the types of presence."""
        self.sent.clear()
        await self.notices.turn()
        return [s[0].tag.rpartition("}")[2] if len(s) else s.get("type", "") for s in self.sent]


@contextlib.asynccontextmanager
async def desk(
    path: Path, registry: RegistryLimits | None = None, owners: OwnerLimits | None = None
) -> AsyncIterator[Desk]:
    made = Desk(path, registry, owners)
    await made.store.open()
    try:
        await made.knowledge.look()
        await made.notices.start()
        yield made
    finally:
        await made.store.close()
