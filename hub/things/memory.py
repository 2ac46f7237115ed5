"""Output states that survive a power cut: one small JSON file, replaced atomically and flushed to the disk.

Rules of this file
* A command is answered only after `remember` has returned, so what was confirmed is what comes back.
* A file that cannot be read is put aside and said, never guessed at: the outputs then start in their fallback state.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from devices.base import ParameterSpec, Value
from hub.things.values import parse_text, to_text

log = logging.getLogger(__name__)


class OutputMemory:
    """States by thing name, as texts, so that every value type survives JSON."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._states: dict[str, dict[str, str]] = self._load()
        self.trouble = ""
        """Why the newest state of an output could not be put on the disk; empty when that of each is there."""
        self._unsaved: set[str] = set()

    def recall(self, thing: str, parameters: Mapping[str, ParameterSpec]) -> dict[str, Value]:
        """The remembered values that are still allowed; the others are dropped and said."""
        values: dict[str, Value] = {}
        for name, text in self._states.get(thing, {}).items():
            spec = parameters.get(name)
            if spec is None:
                continue
            try:
                values[name] = spec.check(parse_text(spec.type, text))
            except ValueError as error:
                log.warning("%s: the remembered %s=%s is not allowed any more: %s", thing, name, text, error)
        return values

    def remember(self, thing: str, state: Mapping[str, Value]) -> None:
        """Returns when the state is on the disk. Raises OSError when it cannot be put there."""
        texts = {name: to_text(value) for name, value in state.items()}
        if self._states.get(thing) == texts:
            self._unsaved.discard(thing)
            self._is_well()
            return
        changed = {**self._states, thing: texts}
        try:
            write_durably(self.path, json.dumps(changed, indent=1, sort_keys=True).encode())
        except OSError as error:
            if not self.trouble:
                log.error("%s cannot be written (%s): what outputs are told now is not there after a restart",
                          self.path, error)  # fmt: skip
            self.trouble = str(error)
            self._unsaved.add(thing)
            raise
        self._states = changed
        self._unsaved.discard(thing)
        self._is_well()

    def _is_well(self) -> None:
        """What is on the disk is what the outputs were told last."""
        if self.trouble and not self._unsaved:
            log.warning("%s holds again what outputs were told", self.path)
            self.trouble = ""

    def _load(self) -> dict[str, dict[str, str]]:
        try:
            loaded: Any = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            return self._put_aside(str(error))
        if not isinstance(loaded, dict) or not all(
            isinstance(state, dict) and all(isinstance(text, str) for text in state.values())
            for state in loaded.values()
        ):
            return self._put_aside("it does not hold output states")
        return loaded

    def _put_aside(self, reason: str) -> dict[str, dict[str, str]]:
        aside = self.path.with_suffix(".broken")
        log.error("%s cannot be used (%s); put aside as %s, outputs start in their fallback state",
                  self.path, reason, aside.name)  # fmt: skip
        with contextlib.suppress(OSError):
            self.path.replace(aside)
        return {}


def write_durably(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Replace `path` so that after a power cut either the old or the new content is there, whole. `mode` as the umask
    leaves it; nobody but the owner ever sees the content of one that is for him alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)  # one that was left behind would keep its own mode
    new.touch(mode)
    with new.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    _flush_folder(path.parent)  # the rename itself must reach the disk too


def remove_durably(path: Path) -> None:
    """Gone when this returns, also after a power cut."""
    path.unlink(missing_ok=True)
    _flush_folder(path.parent)


def _flush_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
