"""What servers agreed to, kept across restarts, so that the next set-up is one question and one answer.

One small JSON file, replaced atomically. It holds no secret and nothing that cannot be negotiated again: a file that
cannot be read or written costs a longer set-up and a line in the log, nothing more.
"""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from hub.errors import PeerConfused
from hub.session import exi_setup as setup
from hub.session.exi_client import Agreement
from hub.session.exi_setup import Setup

log = logging.getLogger(__name__)

MAX_FILE_BYTES = 1_000_000


class Agreements:
    """Agreements by the server's domain. `path` None keeps them in memory only."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known: dict[str, dict[str, str]] = self._load()

    def recall(self, domain: str, proposal: Setup) -> Agreement | None:
        """What the server of `domain` agreed to when this was proposed. Another proposal is another agreement."""
        entry = self._known.get(domain)
        if entry is None or entry["proposal"] != fingerprint(proposal):
            return None
        try:
            agreed = setup.read_setup(ET.fromstring(entry["agreed"]))
        except (ET.ParseError, PeerConfused) as error:
            log.warning("the remembered EXI set-up of %s cannot be used: %s", domain, error)
            return None
        return Agreement(agreed.settings, agreed.schemas, entry["id"])

    def remember(self, domain: str, proposal: Setup, agreement: Agreement) -> None:
        if not agreement.configuration_id:
            return
        agreed = setup.setup_element(Setup(agreement.settings, agreement.schemas))
        entry = {
            "id": agreement.configuration_id,
            "proposal": fingerprint(proposal),
            "agreed": ET.tostring(agreed, encoding="unicode"),
        }
        if self._known.get(domain) != entry:
            self._known[domain] = entry
            self._save()

    def forget(self, domain: str) -> None:
        if self._known.pop(domain, None) is not None:
            self._save()

    def _load(self) -> dict[str, dict[str, str]]:
        if self._path is None:
            return {}
        try:
            with self._path.open("rb") as file:
                loaded: Any = json.loads(file.read(MAX_FILE_BYTES))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            log.warning("%s cannot be read (%s): EXI is set up anew", self._path, error)
            return {}
        if not isinstance(loaded, dict):
            return {}
        return {domain: entry for domain, entry in loaded.items() if _is_entry(entry)}

    def _save(self) -> None:
        if self._path is None:
            return
        new = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            new.write_text(json.dumps(self._known, indent=1, sort_keys=True))
            new.replace(self._path)
        except OSError as error:
            log.warning("%s cannot be written (%s): EXI is set up anew next time", self._path, error)


def fingerprint(proposal: Setup) -> str:
    """The same for the same proposal, in any process."""
    return hashlib.sha256(ET.tostring(setup.setup_element(proposal))).hexdigest()


def _is_entry(entry: object) -> bool:
    return isinstance(entry, dict) and all(isinstance(entry.get(key), str) for key in ("id", "proposal", "agreed"))
