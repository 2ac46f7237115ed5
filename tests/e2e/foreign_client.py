"""slixmpp's own xep_0323 and xep_0325 as a client, in a process of their own: importing them changes Iq and Message
for everyone, and their faults must be worked round here, never in the hub.

    python foreign_client.py HOST PORT CA_FILE JID PASSWORD HUB_JID < requests > answers

Each line of input is a request in JSON (`{"read": {…}}` or `{"set": {…}}`), each line of output what the plugin's
callbacks said to it.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from typing import Any

from slixmpp import ClientXMPP
from slixmpp.plugins.xep_0323 import stanza as _sensor_data  # noqa: F401  # registers on import, as a user's would
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import StanzaPath

TIMEOUT_S = 20.0
LAST = ("done", "rejected", "failure", "cancelled", "OK", "")
"""The empty one: <setResponse/> has had no responseCode since XEP-0325 0.3, and the plugin hands on what it finds."""


class Foreign(ClientXMPP):
    def __init__(self, jid: str, password: str, ca_file: str, hub: str) -> None:
        super().__init__(f"{jid}/foreign", password)
        self.ssl_context = ssl.create_default_context(cafile=ca_file)
        self.enable_direct_tls = False
        self.hub = hub
        for name, config in (("xep_0030", {}), ("xep_0323", {"threaded": False}), ("xep_0325", {})):
            self.register_plugin(name, config)
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.add_event_handler("session_start", lambda _: self.ready.set_result(None))
        self.add_event_handler("failed_all_auth", lambda _: self.ready.set_exception(ConnectionError("refused")))
        # The plugin waits for <setResponse/> inside errors, as no text since XEP-0325 0.3 has it.
        self.register_handler(Callback("refusals", StanzaPath("iq@type=error/error"), self._refused))

    async def read(self, **wanted: Any) -> list[dict[str, Any]]:
        said, ended = self._collector()
        self.plugin["xep_0323"].request_data(self.boundjid.full, self.hub, ended, **wanted)
        return await said

    async def set(self, fields: list[list[Any]], nodes: list[str]) -> list[dict[str, Any]]:
        said, ended = self._collector()
        self._set_ended = ended
        self.plugin["xep_0325"].set_request(
            self.boundjid.full, self.hub, ended, [tuple(field) for field in fields], nodes
        )
        return await said

    def _collector(self) -> tuple[Any, Any]:
        """A future of everything that was said until the last word, and the callback that hears it."""
        future: asyncio.Future[list[dict[str, Any]]] = asyncio.get_running_loop().create_future()
        heard: list[dict[str, Any]] = []

        def callback(**said: Any) -> None:
            heard.append({key: str(value) if key == "from_jid" else value for key, value in said.items()})
            if said["result"] in LAST and not future.done():
                future.set_result(heard)

        return asyncio.wait_for(future, TIMEOUT_S), callback

    def _refused(self, iq: Any) -> None:
        """Errors without the plugin's own elements never reach its callbacks."""
        condition, text = iq["error"]["condition"], iq["error"]["text"]
        sessions = {**self.plugin["xep_0323"].sessions, **self.plugin["xep_0325"].sessions}
        for session in sessions.values():
            session["callback"](from_jid=iq["from"], result="rejected", condition=condition, error_msg=text)


async def main(host: str, port: str, ca_file: str, jid: str, password: str, hub: str) -> None:
    client = Foreign(jid, password, ca_file, hub)
    client.connect(host, int(port))
    await asyncio.wait_for(client.ready, TIMEOUT_S)
    for line in sys.stdin:
        ((action, arguments),) = json.loads(line).items()
        said = await getattr(client, action)(**arguments)
        print(json.dumps(said), flush=True)
    await client.disconnect()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
