"""What comes on the stream and is no request: presence, and answers to what things were told. See `service.py`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any
from xml.etree.ElementTree import Element

from slixmpp import ComponentXMPP
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher.base import MatcherBase

from hub.errors import StoreError
from hub.provisioning.notices import ID_PREFIX, Notices
from hub.provisioning.service import Provisioning
from hub.stanzas.errors import CLIENT, decode_error

log = logging.getLogger(__name__)


class Incoming(MatcherBase):
    """Also the matcher."""

    def __init__(
        self, component: ComponentXMPP, service: Provisioning, notices: Notices, send: Callable[[Element], None]
    ) -> None:
        super().__init__(None)
        self._address = component.boundjid.full
        self._service, self._notices, self._send = service, notices, send
        self._tasks: set[asyncio.Task[None]] = set()
        component.register_handler(Callback("provisioning", self, self._handle))

    def match(self, stanza: Any) -> bool:
        xml = stanza.xml
        return xml.tag == f"{{{CLIENT}}}presence" or (
            xml.tag == f"{{{CLIENT}}}iq"
            and xml.get("type") in ("result", "error")
            and xml.get("id", "").startswith(ID_PREFIX)
        )

    def _handle(self, stanza: Any) -> None:
        xml = stanza.xml
        if not xml.get("from") or xml.get("to") != self._address:
            return
        if xml.tag == f"{{{CLIENT}}}presence":
            if (reply := self._service.presence(xml)) is not None:
                self._send(reply)
            return
        task = asyncio.create_task(self._answered(xml))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answered(self, iq: Element) -> None:
        condition = decode_error(iq).condition if iq.get("type") == "error" else None
        try:
            await self._notices.answered(iq.get("from", ""), iq.get("id", ""), condition)
        except StoreError as error:
            log.error("an acknowledgement of %s could not be kept, so it is told again: %s", iq.get("from"), error)
        except Exception:
            log.exception("a bug: an acknowledgement of %s could not be taken", iq.get("from"))
