"""The same clients, with a real ejabberd behind the gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from hub.exi import schemas
from hub.session.exi_setup import offered_methods
from tests.ejabberd import Ejabberd
from tests.gateway.conftest import Running, gateway_for
from tests.gateway.samples import PRODUCT
from tests.gateway.test_through import DISCO


@pytest.fixture(scope="module")
def ejabberd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ejabberd]:
    with Ejabberd(tmp_path_factory.mktemp("ejabberd")) as server:
        yield server.populate("owner", "reader")


@pytest.fixture
async def running(ejabberd: Ejabberd, store_folder: Path) -> AsyncIterator[Running]:
    async with gateway_for(ejabberd, store_folder) as made:
        yield made


async def test_every_kind_of_client(running: Running) -> None:
    product = {"files": PRODUCT, "grammars": schemas.grammars()}
    async with (
        running.client(**product) as owner,
        running.plain("reader") as reader,
        running.binary("reader", **product) as binary,
    ):
        for each in (owner, reader, binary):
            assert (await each.ask("localhost", "get", DISCO)).get("type") == "result"
        for sender in (owner, reader, binary):
            for receiver in (owner, reader, binary):
                sender.write(f"<message to='{receiver.jid}' id='{sender.new_id()}'><body>{sender.jid}</body></message>")
                message = await receiver.take(lambda stanza: stanza.tag.endswith("message"))
                assert message.findtext("{jabber:client}body") == sender.jid
        assert running.figures.open == {"exi": 2, "xml": 1}
    assert not running.figures.faults and not running.figures.dropped


async def test_tls_from_the_first_byte(ejabberd: Ejabberd, store_folder: Path) -> None:
    address = ("127.0.0.1", ejabberd.direct_tls_port)
    async with (
        gateway_for(ejabberd, store_folder, server=address, direct_tls=True) as running,
        running.client() as owner,
        running.plain("reader") as reader,
    ):
        for each in (owner, reader):
            assert (await each.ask("localhost", "get", DISCO)).get("type") == "result"


async def test_its_own_compression_is_not_offered(running: Running) -> None:
    """It offers zlib, after login too."""
    client = running.client()
    features = await client.log_in()
    assert offered_methods(features) == ["exi", f"exi:{running.gateway.shared.exi_port}"]
    await client.disconnect()
