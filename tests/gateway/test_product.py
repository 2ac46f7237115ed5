"""What the product brings, in a gateway: known at once, loaded and not compiled, and as it would be compiled."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from hub.exi import schemas
from hub.exi.grammarfile import dumps
from hub.gateway import store as store_module
from hub.gateway.bounds import Bounds
from hub.gateway.compilation import compiled
from hub.gateway.negotiation import Negotiator
from hub.gateway.product import BuiltIn
from hub.gateway.store import Store
from hub.session import exi_setup
from hub.session.exi_client import Negotiation, State
from hub.session.exi_setup import SchemaFile, Setup

WHOLE = tuple(SchemaFile(*file.identity) for file in schemas.files())


async def test_a_node_of_ours_agrees_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(files: Mapping[str, bytes], bounds: Bounds, scratch: Path) -> bytes:
        raise AssertionError("the product's own set is compiled at run time")

    monkeypatch.setattr(store_module, "compiled", never)
    store = Store(tmp_path / "store", Bounds())
    server, node = Negotiator(store, store.bounds), Negotiation(Setup(schemas=WHOLE))
    waiting = node.start()
    while waiting:
        answer = await server.answer(waiting.pop(0))
        assert answer is not None
        waiting += node.receive(answer)
    assert node.state is State.DONE and node.agreement is not None and server.agreement is not None
    assert server.agreement.grammars is schemas.grammars()
    assert server.agreement.configuration_id == node.agreement.configuration_id
    await store.close()


async def test_a_gateway_that_knows_nothing_learns_from_a_node(tmp_path: Path) -> None:
    files = {SchemaFile(*file.identity): file.data for file in schemas.files(schemas.DEFAULT)}
    store = Store(tmp_path / "store", Bounds(), BuiltIn())
    server, node = Negotiator(store, store.bounds), Negotiation(Setup(schemas=tuple(files)), file_of=files.__getitem__)
    waiting, said = node.start(), []
    while waiting:
        asked = waiting.pop(0)
        said.append(asked.tag)
        answer = await server.answer(asked)
        if answer is not None:
            waiting += node.receive(answer)
    upload = [exi_setup.UPLOAD_SCHEMA] * len(files)
    assert said == [exi_setup.SETUP, *upload, exi_setup.SETUP, exi_setup.COMPRESS_REQUEST]
    assert node.state is State.DONE and server.agreement is not None
    assert server.agreement.schemas == tuple(sorted(files))
    await store.close()


async def test_what_ships_is_what_the_store_would_compile(tmp_path: Path) -> None:
    data = await compiled({file.namespace: file.data for file in schemas.files()}, Bounds(), tmp_path)
    assert data == dumps(schemas.grammars())


async def test_a_part_of_the_product_is_a_set_like_any_other(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", Bounds())
    part = tuple(SchemaFile(*file.identity) for file in schemas.files(schemas.DEFAULT))
    negotiator = Negotiator(store, store.bounds)
    answer = await negotiator.answer(exi_setup.setup_element(Setup(schemas=part)))
    assert answer is not None and answer.get("agreement") == "true" and negotiator.agreed is not None
    assert {space.uri for space in negotiator.agreed.grammars.spaces} >= {"urn:xmpp:exi:cs"}
    await store.close()
