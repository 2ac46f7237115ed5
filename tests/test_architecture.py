"""Who may import whom, held by reading the sources: the table of the house, and what sans-IO files must not touch."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAX_LINES = 500
HARDWARE = frozenset({"gpiozero", "smbus2", "spidev", "lgpio", "RPi", "pigpio"})
NOT_SANS_IO = frozenset({
    "asyncio", "socket", "time", "threading", "random", "secrets", "ssl", "select", "selectors", "subprocess",
    "multiprocessing", "concurrent", "queue", "signal",
})  # fmt: skip
CLOCKS = frozenset({"now", "utcnow", "today"})
NEVER = ("slixmpp.plugins.xep_0323", "slixmpp.plugins.xep_0325")  # wrong on the wire, and on threads of their own


@dataclass(frozen=True)
class Room:
    """`ours`: our own modules it may import, itself included; `libraries`: what it may import beside the standard
    library. `everything`: a composition root."""

    ours: tuple[str, ...] = ()
    libraries: frozenset[str] = frozenset()
    everything: bool = False


SLIXMPP = frozenset({"slixmpp"})
ANYTHING = Room(everything=True)
PAGE = Room(
    ("hub.dashboard", "hub.config.dashboard", "hub.things", "hub.errors", "devices.base"),
    frozenset({"nicegui", "fastapi", "starlette", "uvicorn"}),
)
"""What a browser sees: it knows the board, and nothing of XMPP."""

ROOMS: dict[str, Room] = {
    "devices": Room(("devices",)),
    "devices.bus": Room(("devices.base",), HARDWARE),
    "devices.fake": Room(("devices.base", "devices.bus"), HARDWARE),
    "hub": Room(),
    "hub.errors": Room(("devices.base",)),
    "hub.config": Room(("hub.config", "devices", "hub.errors", "hub.things.interlock")),
    "hub.notify": Room(),
    "hub.exi": Room(("hub.exi",)),
    "hub.exi.xsd": Room(("hub.exi",), frozenset({"xmlschema"})),
    "hub.exi.native": Room((), frozenset({"mypy_extensions"})),
    "hub.things": Room(("hub.things", "devices.base", "hub.errors")),
    "hub.trust": Room(("hub.trust", "hub.things", "hub.errors")),
    "hub.stanzas": Room(("hub.stanzas", "hub.things", "hub.errors", "devices.base")),
    "hub.services": Room(
        ("hub.services", "hub.things", "hub.trust", "hub.stanzas", "hub.errors", "devices.base"), SLIXMPP
    ),
    "hub.session": Room(("hub.session", "hub.exi", "hub.errors"), SLIXMPP),
    "hub.telemetry": Room(("hub.telemetry", "hub.things", "hub.errors", "devices.base")),
    "hub.gateway": Room(("hub.gateway", "hub.exi", "hub.session", "hub.errors")),
    "hub.gateway.metrics": Room(("hub.gateway", "hub.metrics.http", "hub.errors"), frozenset({"prometheus_client"})),
    "hub.metrics": Room(("hub.metrics", "hub.errors")),
    "hub.metrics.families": Room(("hub.things", "devices.base"), frozenset({"prometheus_client"})),
    "hub.provisioning": Room(
        ("hub.provisioning", "hub.trust", "hub.things", "hub.stanzas", "hub.services", "hub.errors", "devices.base"),
        SLIXMPP,
    ),
    "hub.provisioning.model": Room(("hub.things",)),
    "hub.provisioning.rules": Room(("hub.provisioning.model", "hub.trust.access", "hub.things")),
    "hub.provisioning.certificates": Room(("hub.errors",), frozenset({"cryptography"})),
    "hub.provisioning.search": Room(
        ("hub.provisioning.model", "hub.stanzas.provisioning", "hub.errors"), frozenset({"regex"})
    ),
    "hub.provisioning.postgres": Room(
        ("hub.provisioning", "hub.stanzas.provisioning", "hub.things", "hub.errors"),
        frozenset({"psycopg", "psycopg_pool"}),
    ),
    "hub.bridges": Room(
        ("hub.bridges", "hub.things", "hub.errors", "hub.config.mqtt", "devices.base", "devices.bus")
    ),
    "hub.bridges.connection": Room(("hub.config.mqtt", "hub.errors"), frozenset({"paho"})),
    "hub.dashboard": Room(
        ("hub.dashboard", "hub.config.dashboard", "hub.things", "hub.errors", "hub.services", "devices.base")
    ),
    **{f"hub.dashboard.{page}": PAGE for page in ("page", "gate", "login", "wall")},
    "hub.dashboard.wire": Room(("hub.dashboard.view", "devices.base")),
    "hub.dashboard.view": Room(("hub.things.model", "devices.base")),
    "hub.dashboard.access": Room(("hub.dashboard.view", "hub.config.dashboard", "hub.errors"), frozenset({"argon2"})),
    "hub.programs": ANYTHING,
    "hub.demo": ANYTHING,
    "hub.cli": ANYTHING,
    "hub.__main__": ANYTHING,
}  # fmt: skip

SANS_IO = (
    "hub.errors", "hub.trust", "hub.stanzas", "hub.telemetry.pacer", "hub.telemetry.rollups",
    "hub.telemetry.rows", "hub.session.backoff", "hub.session.exi_setup",
    "hub.session.exi_client", "hub.session.exi_stream", "hub.gateway.xmpp", "hub.gateway.xmlreader",
    "hub.gateway.xmlwriter", "hub.gateway.sides", "hub.gateway.features", "hub.gateway.figures", "hub.gateway.life",
    "hub.gateway.limits", "hub.things.model", "hub.things.thing", "hub.things.readout", "hub.things.control",
    "hub.things.actuation", "hub.things.interlock", "hub.things.values", "hub.things.subscription",
    "hub.things.events", "hub.provisioning.model",
    "hub.provisioning.rules", "hub.provisioning.budgets", "hub.provisioning.questions", "hub.provisioning.plain",
    "hub.provisioning.sql", "hub.provisioning.sql_things", "hub.provisioning.sql_rules", "hub.provisioning.sql_rest",
    "hub.bridges.topics", "hub.bridges.board", "hub.bridges.homeassistant", "hub.dashboard.view", "hub.dashboard.board",
    "hub.dashboard.points", "hub.dashboard.alarms", "hub.dashboard.charts", "hub.dashboard.wire", "hub.things.words",
)  # fmt: skip


def within(name: str, prefixes: tuple[str, ...] | frozenset[str]) -> bool:
    """Whether `name` is one of `prefixes` or lies below one."""
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def room_of(module: str) -> str | None:
    """The row of the table that a module belongs to: the longest that fits. Below `hub` each room has its own."""
    fitting = [name for name in ROOMS if within(module, (name,)) and (name != "hub" or module == "hub")]
    return max(fitting, key=len, default=None)


def imports(module: str, tree: ast.AST, is_package: bool) -> Iterator[tuple[int, str]]:
    """Every import, wherever it stands: (line, dotted name down to the name that is taken)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = module.split(".")[: None if is_package and node.level == 1 else -(node.level - is_package)]
                base = ".".join([*above, *([base] if base else [])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                yield node.lineno, node.args[0].value


def clocks(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Calls that look at a clock: `datetime.now()` and the like."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CLOCKS:
            yield node.lineno, node.func.attr


def violations(module: str, source: str, is_package: bool = False) -> list[str]:
    """Everything in `source` that the house does not allow, in words."""
    tree = ast.parse(source)
    room_name = room_of(module)
    if room_name is None:
        return [f"{module} belongs to no room: give it a row in the table, and in the house"]
    room = ROOMS[room_name]
    found = []
    for line, name in imports(module, tree, is_package):
        top = name.partition(".")[0]
        if within(name, NEVER):
            found.append(f"{module}:{line} imports {name}, which nobody may")
        if within(module, SANS_IO) and top in NOT_SANS_IO:
            found.append(f"{module}:{line} imports {name}, and is sans-IO")
        if room.everything or top in sys.stdlib_module_names:
            continue
        allowed = within(name, room.ours) if top in ("hub", "devices") else top in room.libraries
        if not allowed:
            found.append(f"{module}:{line} imports {name}, which {room_name} may not")
    if within(module, SANS_IO):
        found += [f"{module}:{line} looks at a clock ({name})" for line, name in clocks(tree)]
    lines = source.count("\n") + (not source.endswith("\n") and bool(source))
    if lines > MAX_LINES:
        found.append(f"{module} has {lines} lines; a file has at most {MAX_LINES}")
    return found


def files(*folders: str) -> list[Path]:
    return sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py"))


def module_of(file: Path) -> tuple[str, bool]:
    """The dotted name of a file, and whether it is a package."""
    parts = list(file.relative_to(ROOT).with_suffix("").parts)
    is_package = parts[-1] == "__init__"
    return ".".join(parts[:-1] if is_package else parts), is_package


@pytest.mark.parametrize("file", files("hub", "devices"), ids=lambda file: str(file.relative_to(ROOT)))
def test_each_file_keeps_to_its_room(file: Path) -> None:
    module, is_package = module_of(file)
    assert violations(module, file.read_text(encoding="utf-8"), is_package) == []


def test_every_sans_io_file_of_the_list_is_there() -> None:
    modules = {module_of(file)[0] for file in files("hub")}
    assert [name for name in SANS_IO if name not in modules] == []


# --------------------------------------------------------------------------- the checker itself

WRONG: list[tuple[str, str, str]] = [
    ("devices.new", "import slixmpp", "imports slixmpp"),
    ("devices.new", "from hub.errors import HubError", "imports hub.errors.HubError"),
    ("devices.new", "import gpiozero", "imports gpiozero"),
    ("devices.new", "def f():\n    from smbus2 import SMBus", "devices.new:2 imports smbus2.SMBus"),
    ("devices.new", "importlib.import_module('spidev')", "imports spidev"),
    ("devices.bus", "from devices.fake import SimulatedBuses", "devices.bus may not"),
    ("hub.things.new", "from devices.bme280 import BME280", "hub.things may not"),
    ("hub.things.new", "import devices", "imports devices"),
    ("hub.things.new", "from devices import bus", "imports devices.bus"),
    ("hub.things.new", "from hub.stanzas import xml", "hub.things may not"),
    ("hub.things.new", "from ..stanzas import xml", "imports hub.stanzas.xml"),
    ("hub.things.new", "from .. import services", "imports hub.services"),
    ("hub.things.new", "if TYPE_CHECKING:\n    from hub.programs.node import Node", "hub.programs.node.Node"),
    ("hub.things.model", "import asyncio", "and is sans-IO"),
    ("hub.things.thing", "from time import monotonic", "and is sans-IO"),
    ("hub.things.values", "now = dt.datetime.now(dt.UTC)", "looks at a clock"),
    ("hub.stanzas.new", "import threading", "and is sans-IO"),
    ("hub.stanzas.new", "from slixmpp import ClientXMPP", "hub.stanzas may not"),
    ("hub.stanzas.new", "from hub.trust.access import Judge", "hub.stanzas may not"),
    ("hub.trust.new", "import socket", "and is sans-IO"),
    ("hub.trust.new", "from hub.stanzas import xml", "hub.trust may not"),
    ("hub.telemetry.pacer", "import time", "and is sans-IO"),
    ("hub.telemetry.new", "from hub.services import pubsub", "hub.telemetry may not"),
    ("hub.telemetry.new", "import slixmpp", "hub.telemetry may not"),
    ("hub.session.backoff", "import random", "and is sans-IO"),
    ("hub.session.new", "from hub.things.model import Field", "hub.session may not"),
    ("hub.services.new", "from hub.session.client import Client", "hub.services may not"),
    ("hub.services.new", "import hub.session.client", "hub.services may not"),
    ("hub.services.new", "from hub.programs.node import Node", "hub.services may not"),
    ("hub.services.new", "from slixmpp.plugins.xep_0323 import XEP_0323", "which nobody may"),
    ("hub.services.new", "from slixmpp.plugins import xep_0325", "which nobody may"),
    ("hub.cli.new", "import slixmpp.plugins.xep_0323.stanza", "which nobody may"),
    ("hub.bridges.new", "import paho.mqtt.client", "hub.bridges may not"),
    ("hub.bridges.new", "from hub.services.control import Control", "hub.bridges may not"),
    ("hub.bridges.topics", "import asyncio", "and is sans-IO"),
    ("hub.dashboard.page", "from hub.services.peer import Peer", "hub.dashboard.page may not"),
    ("hub.dashboard.hubs", "from nicegui import ui", "hub.dashboard may not"),
    ("hub.dashboard.board", "import time", "and is sans-IO"),
    ("devices.new", "import paho.mqtt.client", "imports paho"),
    ("hub.exi.new", "from hub.errors import HubError", "hub.exi may not"),
    ("hub.exi.new", "import slixmpp", "hub.exi may not"),
    ("hub.errors", "from hub.things.model import Field", "hub.errors may not"),
    ("hub.config", "from hub.services import pubsub", "hub.config may not"),
    ("hub.config", "import requests", "imports requests"),
    ("hub", "from hub.programs.node import Node", "hub may not"),
    ("hub.attic.new", "", "belongs to no room"),
    ("hub.thingsome", "", "belongs to no room"),
    ("hub.things.new", "x = 1\n" * 501, "has 501 lines"),
]

RIGHT: list[tuple[str, str]] = [
    ("devices.new", "from devices.base import Driver\nimport threading, time"),
    ("devices.bus", "def f():\n    import gpiozero, smbus2, spidev"),
    ("hub.things.new", "import asyncio\nfrom devices.base import Value\nfrom hub.errors import NotFound"),
    ("hub.things.new", "from . import model\nfrom .model import Field\nfrom ..errors import NotFound"),
    ("hub.stanzas.new", "from hub.things.model import Field\nimport xml.etree.ElementTree"),
    ("hub.services.new", "from hub.services.iq import ask\nfrom slixmpp.plugins.xep_0030 import x"),
    ("hub.session.new", "import asyncio, ssl\nfrom slixmpp import ClientXMPP"),
    ("hub.exi.new", "import struct\nfrom hub.exi.codec import Codec"),
    ("hub.programs.node", "import devices\nfrom hub.services.control import Control\nimport slixmpp"),
    ("hub.cli.new", "import click, rich\nfrom hub.programs.node import Node"),
    ("hub.things.new", "x = 1\n" * 500),
]


@pytest.mark.parametrize(("module", "source", "said"), WRONG)
def test_the_checker_sees_what_is_wrong(module: str, source: str, said: str) -> None:
    assert any(said in each for each in violations(module, source)), violations(module, source)


@pytest.mark.parametrize(("module", "source"), RIGHT)
def test_the_checker_lets_pass_what_is_right(module: str, source: str) -> None:
    assert violations(module, source) == []


def test_relative_imports_of_a_package_are_its_own() -> None:
    assert violations("hub.things", "from .model import Field\nfrom . import thing", is_package=True) == []
    assert violations("hub.things", "from ..stanzas import xml", is_package=True) != []
