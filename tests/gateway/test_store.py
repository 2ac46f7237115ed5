"""The store: what it keeps, what it forgets, what it refuses, and what nothing can do to it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub import exi
from hub.gateway import compilation, records, xsdfile
from hub.gateway import store as store_module
from hub.gateway.bounds import Bounds
from hub.gateway.compilation import NotCompiled, compiled
from hub.gateway.folder import SMALLEST
from hub.gateway.product import BuiltIn
from hub.gateway.records import Configuration
from hub.gateway.store import Agreement, Store
from hub.gateway.xsdfile import SchemaRefused
from hub.session import exi_setup
from hub.session.exi_setup import SchemaFile, Settings
from tests.gateway.samples import EXPLOSION, EXPLOSION_FILE, HOUSE, HOUSE_FILE, NO_TYPE, NO_TYPE_FILE, ROOM, ROOM_FILE
from tests.helpers import until

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def opened(folder: Path, bounds: Bounds | None = None, built_in: BuiltIn | None = None) -> AsyncIterator[Store]:
    store = Store(folder, bounds or Bounds(), built_in)
    try:
        yield store
    finally:
        await store.close()


async def agree(store: Store, *schemas: SchemaFile, settings: Settings | None = None) -> Agreement:
    known = await store.known(schemas)
    assert set(known) == set(schemas)
    return await store.agree(settings or Settings(), known)


def variant(number: int) -> bytes:
    """A schema of its own for each number."""
    return ROOM.replace(b"urn:example:room", b"urn:example:room:%d" % number)


def variant_file(number: int) -> SchemaFile:
    return SchemaFile.of(f"urn:example:room:{number}", variant(number))


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The namespaces of every set that is really compiled from now on."""
    seen: list[list[str]] = []

    async def counted(files: Mapping[str, bytes], bounds: Bounds, scratch: Path) -> bytes:
        seen.append(sorted(files))
        return await compiled(files, bounds, scratch)

    monkeypatch.setattr(store_module, "compiled", counted)
    return seen


def files_of(folder: Path, kind: str) -> list[Path]:
    return sorted((folder / kind).iterdir())


# ---------------------------------------------------------------------------------------------- remembering


async def test_an_agreement_outlives_the_process_and_is_not_compiled_again(
    tmp_path: Path, compilations: list[list[str]]
) -> None:
    settings = Settings(
        exi.Options(strict=True, value_max_length=64, value_partition_capacity=9, preserve=frozenset({"lexical"})), True
    )
    async with opened(tmp_path / "store") as store:
        await store.add(ROOM)
        await store.add(HOUSE)
        made = await agree(store, ROOM_FILE, HOUSE_FILE, settings=settings)
    async with opened(tmp_path / "store") as store:
        again = await store.recall(made.configuration_id)
    assert again is not None and again is not made
    assert (again.settings, again.schemas, again.set_id) == (made.settings, made.schemas, made.set_id)
    assert exi.encode(fromstring("<house xmlns='urn:example:house'/>"), again.grammars) == exi.encode(
        fromstring("<house xmlns='urn:example:house'/>"), made.grammars
    )
    assert compilations == [["urn:example:house", "urn:example:room"]]


async def test_what_was_compiled_by_another_codec_is_compiled_again(
    tmp_path: Path, compilations: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path / "store") as store:
        await store.add(ROOM)
        made = await agree(store, ROOM_FILE)
    monkeypatch.setattr(store_module, "codec_version", lambda: "0" * 16)
    async with opened(tmp_path / "store") as store:
        assert await store.recall(made.configuration_id) is not None
    assert len(compilations) == 2


async def test_the_same_configuration_has_the_same_name_everywhere(tmp_path: Path) -> None:
    async with opened(tmp_path / "one") as one, opened(tmp_path / "other") as other:
        for store in (one, other):
            await store.add(HOUSE)
            await store.add(ROOM)
        first = await agree(one, ROOM_FILE, HOUSE_FILE)
        assert (await agree(other, HOUSE_FILE, ROOM_FILE)).configuration_id == first.configuration_id
        strict = await agree(one, ROOM_FILE, HOUSE_FILE, settings=Settings(exi.Options(strict=True)))
        assert strict.configuration_id != first.configuration_id
        assert strict.grammars is first.grammars
        assert (await agree(one, ROOM_FILE)).configuration_id != first.configuration_id


async def test_what_the_operator_no_longer_allows_is_forgotten(tmp_path: Path) -> None:
    async with opened(tmp_path / "store") as store:
        made = await agree(store, settings=Settings(exi.Options(), session_wide=True).lowered_to(Settings()))
        wide = await agree(store, settings=store.bounds.lowered(Settings(session_wide=True)))
    async with opened(tmp_path / "store", Bounds(session_wide=False)) as store:
        assert await store.recall(made.configuration_id) is not None
        assert await store.recall(wide.configuration_id) is None


async def test_limits_are_the_operators_and_no_part_of_the_name(tmp_path: Path) -> None:
    async with opened(tmp_path / "store") as store:
        made = await agree(store)
    limits = exi.Limits(depth=7)
    async with opened(tmp_path / "store", Bounds(limits=limits)) as store:
        again = await store.recall(made.configuration_id)
    assert again is not None and again.settings.options.limits == limits and made.settings.options.limits != limits


# ---------------------------------------------------------------------------------------------- names


async def test_a_file_that_md5_confuses_with_another_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has two such files that are schemas; so the hash is made as weak as MD5 may become."""
    other = ROOM.replace(b"value='9'", b"value='8'")
    weak = hashlib.sha256(b"the same for all")
    monkeypatch.setattr(exi_setup.hashlib, "md5", lambda data, usedforsecurity=True: weak)
    name = SchemaFile.of(ROOM_FILE.namespace, ROOM)
    assert SchemaFile.of(ROOM_FILE.namespace, other) == name
    async with opened(tmp_path / "store") as store:
        await store.add(ROOM)
        with pytest.raises(SchemaRefused, match="was first"):
            await store.add(other)
        first = await agree(store, name)
    async with opened(tmp_path / "second") as store:
        await store.add(other)
        assert (await agree(store, name)).configuration_id != first.configuration_id
    async with opened(tmp_path / "third", built_in=BuiltIn({name: ROOM})) as store:
        with pytest.raises(SchemaRefused, match="was first"):
            await store.add(other)
        assert files_of(tmp_path / "third", "schemas") == []


async def test_what_the_product_brings_is_known_and_never_compiled(
    tmp_path: Path, compilations: list[list[str]]
) -> None:
    grammars = exi.load_schemas([])
    product = BuiltIn({ROOM_FILE: ROOM, HOUSE_FILE: HOUSE}, {frozenset({ROOM_FILE, HOUSE_FILE}): lambda: grammars})
    async with opened(tmp_path / "store", built_in=product) as store:
        assert await store.add(ROOM) == ROOM_FILE
        assert (await agree(store, HOUSE_FILE, ROOM_FILE)).grammars is grammars
        assert compilations == [] and files_of(tmp_path / "store", "schemas") == []
        await agree(store, ROOM_FILE)
        assert compilations == [["urn:example:room"]]


async def test_a_file_that_is_not_what_its_name_says_is_moved_aside(tmp_path: Path) -> None:
    async with opened(tmp_path / "store") as store:
        await store.add(ROOM)
    [path] = files_of(tmp_path / "store", "schemas")
    path.write_bytes(ROOM.replace(b"value='9'", b"value='8'"))
    async with opened(tmp_path / "store") as store:
        assert await store.known([ROOM_FILE]) == {}
        [aside] = files_of(tmp_path / "store", "aside")
        assert aside.name.startswith(path.name)
        await store.add(ROOM)
        assert set(await store.known([ROOM_FILE])) == {ROOM_FILE}


# ---------------------------------------------------------------------------------------------- the folder


async def test_nobody_else_may_read_the_folder(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir(mode=0o755)
    async with opened(tmp_path / "store") as store:
        await store.add(ROOM)
    folders = [tmp_path / "store", *(each for each in (tmp_path / "store").iterdir() if each.is_dir())]
    assert {folder.stat().st_mode & 0o777 for folder in folders} == {0o700}


async def test_what_does_not_belong_there_is_moved_aside(tmp_path: Path) -> None:
    for kind, name in (("schemas", "room.xsd"), ("grammars", "a.exig"), ("configurations", ".hidden")):
        (tmp_path / "store" / kind).mkdir(parents=True, exist_ok=True)
        (tmp_path / "store" / kind / name).write_text("foreign")
    (tmp_path / "store" / "schemas" / ("a" * 64 + ".xsd")).symlink_to("/etc/passwd")
    (tmp_path / "store" / "schemas" / "folder").mkdir()
    async with opened(tmp_path / "store") as store:
        await store.add(ROOM)
        assert len(files_of(tmp_path / "store", "aside")) == 5
        assert len(files_of(tmp_path / "store", "schemas")) == 1
        assert (await agree(store, ROOM_FILE)).schemas == (ROOM_FILE,)


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "zeroes": lambda data: bytes(len(data)),
    "one bit": lambda data: data[:-20] + bytes([data[-20] ^ 1]) + data[-19:],
    "nested": lambda data: b"[" * 100_000,
}


@pytest.mark.parametrize("damage", [DAMAGE["cut"], DAMAGE["one bit"]])
async def test_damaged_grammars_are_compiled_again(
    tmp_path: Path, damage: Callable[[bytes], bytes], compilations: list[list[str]]
) -> None:
    async with opened(tmp_path / "store") as store:
        await store.add(ROOM)
        made = await agree(store, ROOM_FILE)
    [path] = files_of(tmp_path / "store", "grammars")
    path.write_bytes(damage(path.read_bytes()))
    async with opened(tmp_path / "store") as store:
        assert await store.recall(made.configuration_id) is not None
    assert len(compilations) == 2 and len(files_of(tmp_path / "store", "aside")) == 1


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
async def test_a_damaged_configuration_is_forgotten(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    async with opened(tmp_path / "store") as store:
        identifier = (await agree(store)).configuration_id
    [path] = files_of(tmp_path / "store", "configurations")
    path.write_bytes(damage(path.read_bytes()))
    async with opened(tmp_path / "store") as store:
        assert await store.recall(identifier) is None
        assert len(files_of(tmp_path / "store", "aside")) == 1
        assert (await agree(store)).configuration_id == identifier
        assert files_of(tmp_path / "store", "configurations") == [path]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(["version", "options", "session_wide", "schemas"]), JSON, st.binary(max_size=40))
def test_a_record_that_is_none_is_said_to_be_none(key: str, value: object, noise: bytes) -> None:
    good = Configuration(Settings(), {ROOM_FILE: "0" * 64})
    plain = json.loads(records.written(good))
    assert records.read(records.written(good), good.identifier) == good
    if plain[key] == value:
        return
    for data in (json.dumps({**plain, key: value}).encode(), noise):
        with pytest.raises(ValueError):
            records.read(data, good.identifier)


@pytest.mark.parametrize("call", ["fsync", "link", "replace", "utime"])
async def test_a_disk_that_fails_half_way_leaves_nothing_half_done(
    tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    async with opened(tmp_path / "store") as store:
        with monkeypatch.context() as patch:
            patch.setattr(os, call, full)
            try:
                await store.add(ROOM)
            except SchemaRefused:
                assert call != "replace"  # which a schema does not need
            await agree(store)  # goes on without being remembered
        assert list((tmp_path / "store" / "scratch").iterdir()) == []
    async with opened(tmp_path / "store") as store:
        assert await store.add(ROOM) == ROOM_FILE
        assert (await agree(store, ROOM_FILE)).schemas == (ROOM_FILE,)
    assert files_of(tmp_path / "store", "aside") == []


async def test_what_a_killed_writer_left_is_swept_away_but_not_what_is_being_written(tmp_path: Path) -> None:
    scratch = tmp_path / "store" / "scratch"
    (scratch / "compile-old").mkdir(parents=True)
    for name in ("old", "new", "compile-old/0.xsd"):
        (scratch / name).write_text("half")
    for name in ("old", "compile-old"):
        os.utime(scratch / name, (0, 0))
    async with opened(tmp_path / "store"):
        assert [each.name for each in scratch.iterdir()] == ["new"]


# ---------------------------------------------------------------------------------------------- the bound


async def test_the_least_recently_used_schema_makes_room(tmp_path: Path) -> None:
    async with opened(tmp_path / "store", Bounds(store_size=4 * SMALLEST)) as store:
        clock = iter(range(1_000_000))
        store._folder._now = lambda: float(next(clock))
        for number in range(4):
            await store.add(variant(number))
        assert len(await store.known([variant_file(0)])) == 1  # used just now
        await store.add(variant(4))
        held = set(await store.known(variant_file(number) for number in range(5)))
    assert held == {variant_file(number) for number in (0, 2, 3, 4)}


async def test_what_a_connection_holds_is_never_dropped(tmp_path: Path) -> None:
    async with opened(tmp_path / "store", Bounds(store_size=5 * SMALLEST)) as store:
        clock = iter(range(1_000_000))
        store._folder._now = lambda: float(next(clock))
        await store.add(ROOM)
        live: Agreement | None = await agree(store, ROOM_FILE)  # a schema, a configuration, grammars
        assert live is not None
        for number in range(3):
            await store.add(variant(number))
            assert set(await store.known([ROOM_FILE, variant_file(number)])) == {ROOM_FILE, variant_file(number)}
        identifier = live.configuration_id
        with pytest.raises(SchemaRefused, match="full"):
            await store.add(ROOM.replace(b"urn:example:room", b"urn:example:large") + b" " * 2 * SMALLEST)
        del live
        for number in range(5):
            await store.add(variant(number))
        assert await store.known([ROOM_FILE]) == {}
        assert await store.recall(identifier) is None


async def test_what_is_recalled_has_been_used(tmp_path: Path) -> None:
    async with opened(tmp_path / "store", Bounds(store_size=6 * SMALLEST)) as store:
        clock = iter(range(1_000_000))
        store._folder._now = lambda: float(next(clock))
        await store.add(ROOM)
        identifier = (await agree(store, ROOM_FILE)).configuration_id
        await store.add(variant(0))
        await store.recall(identifier)
        await store.add(variant(1))
        await store.add(variant(2))
        held = set(await store.known([ROOM_FILE, *map(variant_file, range(3))]))
    assert held >= {ROOM_FILE, variant_file(2)} and variant_file(0) not in held


async def test_without_room_to_compile_there_is_no_agreement_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    async with opened(tmp_path / "store") as store:
        await store.add(ROOM)
        with monkeypatch.context() as patch:
            patch.setattr(compilation, "_lay_out", full)
            with pytest.raises(NotCompiled, match="No space"):
                await agree(store, ROOM_FILE)
        await agree(store, ROOM_FILE)


async def test_only_so_many_grammars_stay_in_memory(tmp_path: Path, compilations: list[list[str]]) -> None:
    async with opened(tmp_path / "store", Bounds(grammars_kept=1)) as store:
        await store.add(ROOM)
        held = await agree(store)
        await agree(store, ROOM_FILE)
        assert (len(store._live_sets), len(store._kept)) == (2, 1)
        del held
        assert len(store._live_sets) == 1
        await agree(store)
    assert len(compilations) == 2  # the disk had it


# ---------------------------------------------------------------------------------------------- several gateways


async def test_what_one_gateway_learns_the_others_know(tmp_path: Path) -> None:
    async with opened(tmp_path / "store") as one, opened(tmp_path / "store") as other:
        await one.add(ROOM)
        made = await agree(one, ROOM_FILE)
        assert set(await other.known([ROOM_FILE])) == {ROOM_FILE}
        assert (await other.recall(made.configuration_id)) is not None
        for path in files_of(tmp_path / "store", "schemas"):
            path.unlink()  # the other has made room
        assert await one.known([ROOM_FILE]) == {}


MANY = """
import asyncio, sys
from pathlib import Path
from hub.gateway.bounds import Bounds
from hub.gateway.store import Store
from tests.gateway.test_store import variant

async def main(folder):
    store = Store(Path(folder), Bounds(store_size=40_000))
    for turn in range(5):
        for number in range(12):
            await store.add(variant(number))
    await store.close()

asyncio.run(main(sys.argv[1]))
"""


def test_several_processes_on_one_small_folder_do_not_harm_each_other(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MANY, str(tmp_path / "store")]
    running = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) for _ in range(3)]
    for each in running:
        _, said = each.communicate(timeout=60)
        assert (each.returncode, said) == (0, b"")
    kept = files_of(tmp_path / "store", "schemas")
    assert 0 < len(kept) <= 12 and files_of(tmp_path / "store", "aside") == []
    names = {records.content_name(variant_file(number)): variant(number) for number in range(12)}
    assert all(names[path.stem] == path.read_bytes() for path in kept)


# ---------------------------------------------------------------------------------------------- compilation


async def test_a_set_is_compiled_once_for_all_who_wait(tmp_path: Path, compilations: list[list[str]]) -> None:
    async with opened(tmp_path / "store") as store:
        await store.add(ROOM)
        asked = [asyncio.create_task(agree(store, ROOM_FILE)) for _ in range(5)]
        await until(lambda: compilations, "the compilation")
        asked[0].cancel()  # that connection has gone
        made = await asyncio.gather(*asked[1:])
    assert len({id(each) for each in made}) == 1
    assert len(compilations) == 1


async def test_an_exploding_schema_ends_its_compiler_and_nothing_else(
    tmp_path: Path, compilations: list[list[str]]
) -> None:
    async with opened(tmp_path / "store", Bounds(compile_cpu=1)) as store:
        await store.add(EXPLOSION)
        beats = 0

        async def beat() -> None:
            nonlocal beats
            while True:
                await asyncio.sleep(0.01)
                beats += 1

        heart = asyncio.create_task(beat())
        with pytest.raises(SchemaRefused, match="takes more than 1 s"):
            await agree(store, EXPLOSION_FILE)
        assert beats > 10  # others were served
        heart.cancel()
        with pytest.raises(SchemaRefused, match="takes more than 1 s"):
            await agree(store, EXPLOSION_FILE)
        assert len(compilations) == 1  # once was enough
        await store.add(ROOM)
        await agree(store, ROOM_FILE)
        assert list((tmp_path / "store" / "scratch").iterdir()) == []


@pytest.mark.parametrize(
    ("bounds", "why"),
    [
        (Bounds(compile_memory=28 << 20), "memory"),
        (Bounds(grammar_size=100), "too large a file"),
    ],
)
async def test_a_set_that_needs_too_much_is_refused(tmp_path: Path, bounds: Bounds, why: str) -> None:
    async with opened(tmp_path / "store", bounds) as store:
        await store.add(ROOM)
        with pytest.raises(SchemaRefused, match=why):
            await agree(store, ROOM_FILE)


async def test_a_machine_that_is_too_busy_says_nothing_about_the_set(tmp_path: Path) -> None:
    async with opened(tmp_path / "store", Bounds(compile_time=0.01)) as store:
        await store.add(ROOM)
        with pytest.raises(NotCompiled):
            await agree(store, ROOM_FILE)
        store.bounds = Bounds()
        await agree(store, ROOM_FILE)


async def test_only_so_many_sets_wait(tmp_path: Path) -> None:
    async with opened(tmp_path / "store", Bounds(compiles_waiting=1)) as store:
        await store.add(ROOM)
        first = asyncio.create_task(agree(store, ROOM_FILE))
        await until(lambda: store._tasks, "the first")
        with pytest.raises(NotCompiled, match="too many"):
            await agree(store)
        await first
        await agree(store)


async def test_closing_ends_what_is_being_compiled(tmp_path: Path, compilations: list[list[str]]) -> None:
    store = Store(tmp_path / "store", Bounds())
    await store.add(EXPLOSION)
    asked = asyncio.create_task(agree(store, EXPLOSION_FILE))
    await until(lambda: list((tmp_path / "store" / "scratch").iterdir()), "the compiler at work")
    await store.close()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert list((tmp_path / "store" / "scratch").iterdir()) == []


async def test_without_the_schema_library_only_what_is_compiled_can_be_agreed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path / "store") as store:
        await store.add(ROOM)
        made = await agree(store, ROOM_FILE)
    monkeypatch.setattr(store_module, "find_spec", lambda name: None)
    async with opened(tmp_path / "store") as store:
        assert await store.recall(made.configuration_id) is not None
        with pytest.raises(NotCompiled, match="xmlschema"):
            await agree(store)


async def test_a_set_at_fault_is_refused_with_the_reason(tmp_path: Path) -> None:
    async with opened(tmp_path / "store") as store:
        await store.add(NO_TYPE)
        with pytest.raises(SchemaRefused, match="Nowhere"):
            await agree(store, NO_TYPE_FILE)


# ---------------------------------------------------------------------------------------------- the canonical schema


def test_the_canonical_schema_imports_in_ascending_order_of_namespaces() -> None:
    root = fromstring(xsdfile.wrapper({"urn:b": "1.xsd", "urn:a&<'\"": "0.xsd", "": "2.xsd"}))
    assert root.get("targetNamespace") == "urn:xmpp:exi:cs"
    assert [(each.tag, each.get("namespace"), each.get("schemaLocation")) for each in root] == [
        (f"{{{xsdfile.XSD}}}import", namespace, location)
        for namespace, location in ((None, "2.xsd"), ("urn:a&<'\"", "0.xsd"), ("urn:b", "1.xsd"))
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_imports_lead_to_the_set_whatever_they_say(encoding: str) -> None:
    text = f"""<?xml version='1.0' encoding='{encoding}'?>
    <s:schema xmlns:s='{xsdfile.XSD}' xmlns:x='{xsdfile.XSI}' targetNamespace='urn:t' xmlns:t='urn:t'
        x:schemaLocation='urn:a http://192.0.2.1/a.xsd'>
      <?go away?><!-- away -->
      <s:import namespace='urn:a' schemaLocation='/etc/passwd'/><s:import namespace='urn:b'/><s:import/>
      <s:import namespace='{xsdfile.XSD}' schemaLocation='x'><s:annotation>away</s:annotation></s:import>
      <s:element name='a' type='t:é' default='1&#10;2&#9;&lt;&quot;'/><s:annotation>x &lt; é</s:annotation>
    </s:schema>"""
    data = text.encode(encoding)
    assert xsdfile.read(data) == xsdfile.Xsd("urn:t", frozenset({"", "urn:a", "urn:b"}))
    copy = xsdfile.located(data, {"urn:a": "0.xsd", "urn:b": "1.xsd", "": "2.xsd"})
    assert b"etc" not in copy and b"192.0.2.1" not in copy and b"away" not in copy
    root = fromstring(copy)
    assert root.attrib == {"targetNamespace": "urn:t"}
    assert [each.get("schemaLocation") for each in root[:3]] == ["0.xsd", "1.xsd", "2.xsd"]
    assert root[3].attrib == {"name": "a", "type": "t:é", "default": '1\n2\t<"'} and root[4].text == "x < é"
    assert b"xmlns:t=" in copy
    with pytest.raises(SchemaRefused, match="urn:b"):
        xsdfile.located(data, {"urn:a": "0.xsd", "": "2.xsd"})


@given(st.binary(max_size=200) | st.text(alphabet="<>/?!&;='\" xs:schema\n[]", max_size=60).map(str.encode))
def test_whatever_comes_is_a_schema_or_refused(data: bytes) -> None:
    for each in (data, ROOM[: len(data)] + data, ROOM + data):
        try:
            xsdfile.read(each)
        except SchemaRefused as error:
            assert str(error).isprintable()


async def test_a_set_uses_its_own_schema_for_the_namespace_of_xml(tmp_path: Path) -> None:
    """The library that reads schemas brings one, too, which must not take its place."""
    xml = f"""<xs:schema xmlns:xs='{xsdfile.XSD}' targetNamespace='http://www.w3.org/XML/1998/namespace'>
      <xs:attribute name='lang'><xs:simpleType><xs:restriction base='xs:string'>
        <xs:enumeration value='en'/><xs:enumeration value='sv'/></xs:restriction></xs:simpleType></xs:attribute>
    </xs:schema>""".encode()
    user = f"""<xs:schema xmlns:xs='{xsdfile.XSD}' targetNamespace='urn:example:text'>
      <xs:import namespace='http://www.w3.org/XML/1998/namespace'/>
      <xs:element name='text'><xs:complexType><xs:attribute ref='xml:lang'/></xs:complexType></xs:element>
    </xs:schema>""".encode()
    async with opened(tmp_path / "store") as store:
        made = await agree(store, await store.add(xml), await store.add(user))
    text = fromstring("<text xmlns='urn:example:text' xml:lang='sv'/>")
    strict = exi.Options(strict=True)
    assert len(exi.encode(text, made.grammars, strict)) <= 3  # an index of one bit, and no string
    assert exi.decode(exi.encode(text, made.grammars, strict), made.grammars, strict).attrib == text.attrib


async def test_bounds_of_a_schema_are_its_bytes(tmp_path: Path) -> None:
    async with opened(tmp_path / "store", replace(Bounds(), schema_size=len(ROOM))) as store:
        assert await store.add(ROOM) == ROOM_FILE
        with pytest.raises(SchemaRefused, match="more than"):
            await store.add(ROOM + b" ")
