"""XEP-0325, device side, in every dialect: commands, forms and their submission.

Rules of this file
* Every command is logged with who, what and the answer, and carried out after that is on the disk; a refused one
  changes nothing.
* A command that does nothing but bring outputs into their safe states waits for no disk: it is logged as what protects
  is, at once and on the disk when that takes it. One that sets anything else too is a command like any other.
* One command at a time: what was validated is what is written, whoever else asks meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from xml.etree.ElementTree import Element

from devices.base import Value
from hub.errors import ActuatorError, Conflict, HubError, NotFound
from hub.services.router import Route
from hub.stanzas import forms
from hub.stanzas.control_xmpp import Control as Codec
from hub.stanzas.dialects import CONTROL
from hub.things.control import Write, common_parameters, controllable, plan
from hub.things.model import Command
from hub.things.sampler import Sampler
from hub.things.thing import Thing
from hub.things.values import parse_text, to_text
from hub.trust.access import Judge
from hub.trust.audit import Recorder

log = logging.getLogger("hub.commands")


class Control:
    def __init__(
        self, things: Mapping[str, Thing], sampler: Sampler, judge: Callable[[], Judge], recorder: Recorder
    ) -> None:
        self._recorder = recorder
        self._things = things
        self._sampler = sampler
        self._judge = judge
        self._one_at_a_time = asyncio.Lock()
        self.counted = Counter[str]()
        """Commands by what came of them: done, refused (nothing has moved), failed."""

    def features(self) -> Iterable[str]:
        return (*CONTROL, *forms.FEATURES)

    def routes(self) -> Iterable[Route]:
        for namespace, codec in CONTROL.items():
            yield Route("iq", ("set",), f"{{{namespace}}}set", partial(self._set, codec), codec, keeps_log=True)
            yield Route("iq", ("get",), f"{{{namespace}}}getForm", partial(self._form, codec), codec)
            if codec.allows_message:
                kinds = ("normal", "chat", "headline")
                yield Route("message", kinds, f"{{{namespace}}}set", partial(self._set, codec), codec, keeps_log=True)

    async def _set(self, codec: Codec, caller: str, payload: Element) -> Element:
        try:
            command = codec.decode_command(payload)
        except HubError as error:
            self._refused(caller, "a command that cannot be read", error)
            raise
        allowed, writes = await self.carry_out(caller, command)
        nodes = tuple(write.thing.node for write in writes)
        parameters = tuple(assignment.name for assignment in allowed.assignments)
        return codec.encode_response(nodes, parameters, narrowed=allowed != command)

    async def carry_out(self, caller: str, command: Command) -> tuple[Command, list[Write]]:
        """Judge and do what `caller` commands, in whatever language it came: what was left of it, and what was written.
        Raises HubError."""
        told = _words(command)
        try:
            allowed = await self._judge().may_control(caller, command)
            async with self._one_at_a_time:
                writes = plan(allowed, self._things, parse_text)
                for write in writes:
                    if (refusal := self._sampler.refusal(write.thing.name, write.values)) is not None:
                        raise Conflict(f"{write.thing.name} stays in its safe state: {refusal}.")
                await self._log_allowed(caller, told, writes)
                for write in writes:
                    await self._sampler.write(write.thing.name, write.values)
        except HubError as error:
            self._refused(caller, told, error)
            raise
        self.counted["done"] += 1
        log.info("%s: %s → done", caller, told)
        self._recorder.record(caller, f"set {told}", self._judge().name, "done")
        return allowed, writes

    async def _log_allowed(self, caller: str, told: str, writes: Iterable[Write]) -> None:
        """Raises StoreError when it cannot be logged and has to be."""
        line = caller, f"set {told}", self._judge().name, "allowed"
        if all(self._sampler.protects(write.thing.name, write.values) for write in writes):
            self._recorder.record(*line)
        else:
            await self._recorder.record_now(*line)

    def _refused(self, caller: str, told: str, error: HubError) -> None:
        self.counted["failed" if isinstance(error, ActuatorError) else "refused"] += 1
        log.warning("%s: %s → %s: %s", caller, told, type(error).__name__, error)
        self._recorder.record(caller, f"set {told}", self._judge().name, f"{type(error).__name__}: {error}")

    async def _form(self, codec: Codec, caller: str, payload: Element) -> Element:
        nodes, shown = codec.decode_form_request(payload)
        scope = await self._judge().may_see_form(caller, nodes, shown)
        chosen = controllable(scope.nodes, self._things)
        parameters = [spec for spec in common_parameters(chosen) if not scope.names or spec.name in scope.names]
        if not parameters:
            raise NotFound("These nodes have no control parameter in common." if len(chosen) > 1 else
                           f"{chosen[0].name} has nothing to control.")  # fmt: skip
        names = [thing.description.label or thing.name for thing in chosen]
        title = names[0] if len(names) == 1 else ", ".join(names[:2]) + (", …" if len(names) > 2 else "")
        current = _common_values(chosen)
        return forms.encode_form(
            title, secrets.token_hex(16), parameters, current, codec.namespace, codec.group_element
        )


def _common_values(chosen: list[Thing]) -> dict[str, Value]:
    """Values that all of `chosen` have now; where they differ the form shows none."""
    common: dict[str, Value] = {}
    for name, spec in chosen[0].parameters.items():
        values = [thing.values.get(spec.read_back) for thing in chosen]
        if values[0] is not None and all(value == values[0] for value in values):
            common[name] = values[0]
    return common


def _words(command: Command) -> str:
    where = ", ".join(node.node_id for node in command.nodes or ()) or "(the only one)"
    return f"{where}: " + ", ".join(f"{a.name}={to_text(a.value)}" for a in command.assignments)
