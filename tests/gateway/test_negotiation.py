"""The server's side of the set-up: every kind of question, and the answer that XEP-0322 wants."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, fromstring

import pytest

from hub import exi
from hub.gateway.negotiation import Bounds, Negotiator
from hub.gateway.store import Store
from hub.session import exi_setup
from hub.session.exi_setup import Response, Settings, Setup, Upload
from hub.session.exi_stream import ExiStream
from tests.gateway.samples import HOUSE, HOUSE_FILE, ROOM, ROOM_FILE

BOTH = (HOUSE_FILE, ROOM_FILE)


@dataclass
class Client:
    """One connection's questions."""

    negotiator: Negotiator

    async def ask(self, setup: Setup) -> Response:
        answer = await self.negotiator.answer(exi_setup.setup_element(setup))
        assert answer is not None and answer.tag == exi_setup.SETUP_RESPONSE
        return exi_setup.read_response(answer)

    async def upload(self, *files: bytes) -> None:
        for data in files:
            assert await self.negotiator.answer(exi_setup.upload_element(Upload(data))) is None

    async def compress(self, method: str = "exi") -> Element:
        request = exi_setup.compress_element()
        request[0].text = method
        answer = await self.negotiator.answer(request)
        assert answer is not None
        return answer


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    made = Store(tmp_path / "store", Bounds())
    yield made
    await made.close()


@pytest.fixture
def client(store: Store) -> Client:
    return Client(Negotiator(store, store.bounds))


def failure_of(element: Element) -> list[str]:
    assert element.tag == exi_setup.COMPRESS_FAILURE
    return [child.tag for child in element]


def condition(name: str) -> list[str]:
    return [f"{{{exi_setup.COMPRESS}}}{name}"]


# ---------------------------------------------------------------------------------------------- the way it goes


async def test_missing_schemas_are_uploaded_and_then_there_is_an_agreement(client: Client) -> None:
    setup = Setup(Settings(exi.Options(strict=True, block_size=1024)), BOTH)
    assert await client.ask(setup) == Response(False, setup.settings, (), BOTH)
    await client.upload(HOUSE)
    assert await client.ask(setup) == Response(False, setup.settings, (HOUSE_FILE,), (ROOM_FILE,))
    await client.upload(ROOM)
    answer = await client.ask(setup)
    assert (answer.agreement, answer.schemas, answer.missing) == (True, BOTH, ())
    assert (await client.compress()).tag == exi_setup.COMPRESSED
    agreement = client.negotiator.agreement
    assert agreement is not None and agreement.configuration_id == answer.configuration_id
    stream = ExiStream(agreement.grammars, agreement.settings)
    house = fromstring(
        "<house xmlns='urn:example:house'><room xmlns='urn:example:room' name='hall' floor='1'/></house>"
    )
    [back] = stream.feed(stream.encode(house))
    assert [(room.tag, room.attrib) for room in back] == [("{urn:example:room}room", {"name": "hall", "floor": "1"})]


async def test_the_next_connection_names_the_agreement_alone(client: Client, store: Store) -> None:
    await client.upload(ROOM)
    first = await client.ask(Setup(schemas=(ROOM_FILE,)))
    other = Client(Negotiator(store, store.bounds))
    quick = await other.ask(Setup(configuration_id=first.configuration_id))
    assert quick == Response(True, configuration_id=first.configuration_id)
    await other.compress()
    assert other.negotiator.agreement is client.negotiator.agreed


async def test_an_agreement_that_nobody_made_is_not_remembered(client: Client) -> None:
    for identifier in ("c76ab4ec-4993-4285-8c7a-098060581bb8", "0" * 32, "../../etc/passwd"):
        assert await client.ask(Setup(configuration_id=identifier)) == Response(False, configuration_id=identifier)
    assert failure_of(await client.compress()) == condition("setup-failed")
