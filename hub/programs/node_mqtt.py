"""How a node is joined to an MQTT broker: the bridge, and the broker of its MQTT things."""

from __future__ import annotations

import random
from collections.abc import Mapping
from importlib import metadata

from devices.bus import Buses
from hub.bridges.bus import DriverBus
from hub.bridges.homeassistant import Hub
from hub.bridges.mqtt import Bridge, CarryOut, Shown
from hub.config.node import Config, ThingConfig
from hub.session.backoff import Backoff
from hub.telemetry.pacer import Pacer
from hub.things.thing import Thing

FIRST_WAIT_S = 1.0
LAST_WAIT_S = 60.0


def make_bridge(config: Config, buses: Buses, carry_out: CarryOut) -> Bridge | None:
    """None without `[mqtt]`. Raises LinkError when paho-mqtt is not installed."""
    if config.mqtt is None:
        return None
    if not isinstance(buses.broker, DriverBus):  # one for the node's life: a reload may bring another broker
        buses.broker = DriverBus()
    bare = config.xmpp.jid.partition("/")[0]
    hub = Hub(bare, bare.partition("@")[0], _version())
    waits = Backoff(FIRST_WAIT_S, LAST_WAIT_S, random.random)
    return Bridge(config.mqtt, hub, buses.broker, carry_out, waits)


def _version() -> str:
    """Empty in a checkout that is not installed."""
    try:
        return metadata.version("xmpp-iot-hub")
    except metadata.PackageNotFoundError:
        return ""


def shown(config: Config, things: Mapping[str, Thing]) -> dict[str, Shown]:
    """The things that are to be seen on the broker."""
    if config.mqtt is None:
        return {}
    interval = config.mqtt.interval
    return {name: Shown(things[name], Pacer(interval, thing.keys.change))
            for name, thing in config.things.items() if is_shown(thing)}  # fmt: skip


def is_shown(thing: ThingConfig) -> bool:
    """What comes from the broker is there already."""
    return "mqtt" not in thing.driver.NAMES if thing.keys.mqtt is None else thing.keys.mqtt
