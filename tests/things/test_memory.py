"""Output states on the disk: whole or not at all, whatever happens to the power."""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.base import ParameterSpec, Value, ValueType
from hub.things import memory
from hub.things.memory import OutputMemory, write_durably
from tests.stanzas import strategies as some

SWITCH = {"output": ParameterSpec("output")}
EVERY = {type_.value: ParameterSpec(type_.value, type_) for type_ in ValueType}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "outputs.json"


def test_nothing_is_remembered_at_first(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert OutputMemory(path).recall("pump", SWITCH) == {}
    assert not path.exists() and not caplog.records


def test_what_was_remembered_comes_back_after_a_restart(path: Path) -> None:
    first = OutputMemory(path)
    first.remember("pump", {"output": True})
    first.remember("lamp", {"output": False})
    again = OutputMemory(path)
    assert again.recall("pump", SWITCH) == {"output": True}
    assert again.recall("lamp", SWITCH) == {"output": False}
    assert again.recall("fan", SWITCH) == {}


@some.quick
@given(st.data())
def test_every_type_of_value_comes_back_exactly(data: st.DataObject) -> None:
    state: dict[str, Value] = {type_.value: data.draw(some.VALUES[type_]) for type_ in ValueType}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "outputs.json"
        OutputMemory(file).remember("all", state)
        found = OutputMemory(file).recall("all", EVERY)
    assert found == state
    assert str(found["numeric"]) == str(state["numeric"]) or isinstance(state["numeric"], Decimal)


def test_what_does_not_change_is_not_written_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = OutputMemory(path)
    kept.remember("pump", {"output": True})
    monkeypatch.setattr(memory, "write_durably", lambda *_: pytest.fail("written again"))
    kept.remember("pump", {"output": True})
    OutputMemory(path).remember("pump", {"output": True})


BROKEN: list[bytes] = [
    b"", b"{", b"\x00" * 300, b'{"pump": {"output": "tr', b"\xff\xfe", b"[" * 100_000, b"nonsense",
    b"[]", b'"text"', b"7", b"null", b'{"pump": []}', b'{"pump": {"output": true}}', b'{"pump": {"output": null}}',
    b'{"pump": {"output": {"deep": "er"}}}',
]  # fmt: skip


@pytest.mark.parametrize("content", BROKEN, ids=lambda b: repr(b[:20]))
def test_a_broken_file_is_put_aside_and_said(path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    kept = OutputMemory(path)
    assert kept.recall("pump", SWITCH) == {}
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "outputs.broken" in caplog.text
    assert path.with_suffix(".broken").read_bytes() == content and not path.exists()
    kept.remember("pump", {"output": True})
    assert OutputMemory(path).recall("pump", SWITCH) == {"output": True}


@pytest.mark.parametrize(("texts", "specs", "values", "said"), [
    ({"output": "true", "gone": "1"}, SWITCH, {"output": True}, 0),
    ({"output": "yes"}, SWITCH, {}, 1),
    ({"level": "50"}, {"level": ParameterSpec("level", ValueType.INT, minimum=0, maximum=40)}, {}, 1),
    ({"level": "40"}, {"level": ParameterSpec("level", ValueType.INT, minimum=0, maximum=40)}, {"level": 40}, 0),
    ({"mode": "old"}, {"mode": ParameterSpec("mode", ValueType.STRING, options=("new",))}, {}, 1),
    ({"at": "24:00:00"}, {"at": ParameterSpec("at", ValueType.TIME)}, {}, 1),
    ({"at": "08:00:00"}, {"at": ParameterSpec("at", ValueType.TIME)}, {"at": dt.time(8)}, 0),
])  # fmt: skip
def test_values_that_are_not_allowed_any_more_are_dropped_and_said(
    path: Path, texts: dict[str, str], specs: dict[str, ParameterSpec], values: dict[str, Value], said: int,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    path.parent.mkdir()
    path.write_text(json.dumps({"thing": texts}))
    assert OutputMemory(path).recall("thing", specs) == values
    assert len(caplog.records) == said


class PowerCut(BaseException):
    """Not even `except Exception` survives it."""


@pytest.mark.parametrize("moment", ["while writing", "before the flush", "before the rename"])
def test_after_a_power_cut_the_old_state_is_there_whole(
    path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = OutputMemory(path)
    kept.remember("pump", {"output": True})

    def cut(*_: Any) -> None:
        raise PowerCut

    real = Path.open

    def opened(self: Path, *arguments: Any, **more: Any) -> Any:
        file = real(self, *arguments, **more)
        file.write(b'{"pump": {"out')
        file.close()
        raise PowerCut

    with monkeypatch.context() as patched:
        if moment == "while writing":
            patched.setattr(Path, "open", opened)
        elif moment == "before the flush":
            patched.setattr(os, "fsync", cut)
        else:
            patched.setattr(Path, "replace", cut)
        with pytest.raises(PowerCut):
            kept.remember("pump", {"output": False})
    assert kept.recall("pump", SWITCH) == {"output": True}  # what is not on the disk is not remembered
    assert OutputMemory(path).recall("pump", SWITCH) == {"output": True}
    kept.remember("pump", {"output": False})  # the rest of the first try is in nobody's way
    assert OutputMemory(path).recall("pump", SWITCH) == {"output": False}


def test_content_then_rename_then_folder_reach_the_disk_in_this_order(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, Path.replace
    folder = path.parent
    folder.mkdir()

    def synced(descriptor: int) -> None:
        order.append("folder" if os.path.samestat(os.fstat(descriptor), folder.stat()) else "content")
        fsync(descriptor)

    def replaced(self: Path, target: Path) -> Path:
        order.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    write_durably(path, b"x")
    assert order == ["content", "rename", "folder"]
    assert path.read_bytes() == b"x" and list(folder.iterdir()) == [path]


def test_a_disk_that_refuses_is_an_os_error_and_nothing_is_taken_as_remembered(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = OutputMemory(path)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(OSError, match="No space left"):
            kept.remember("pump", {"output": True})
    assert kept.recall("pump", SWITCH) == {}
    kept.remember("pump", {"output": True})
    assert OutputMemory(path).recall("pump", SWITCH) == {"output": True}
