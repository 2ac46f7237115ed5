"""Bytes on the wire: what the stanzas that recur cost with session-wide tables once the session has warmed up.

The shapes are those of captured.xml, a real node on a real server; values, moments and ids change from stanza to
stanza. Ids of the sender come from a small pool and its items have one id, as the sender is advised to do; ids that the
server makes are 24 characters that never recur.
"""

from __future__ import annotations

import copy
import random
import string
from collections.abc import Callable
from itertools import count
from xml.etree import ElementTree as ET

import pytest

from hub import exi
from hub.exi import schemas

from . import product

SERVER_ID = string.ascii_letters + string.digits + "-_"
POOL = [f"{number:x}" for number in range(32)]
SD = "{urn:xmpp:iot:sensordata}"
NF = "{urn:nf:iot:sd:1.0}"
PUBSUB = "{http://jabber.org/protocol/pubsub}"
EVENT = "{http://jabber.org/protocol/pubsub#event}"
SM = "{urn:xmpp:sm:3}"
CLIENT = "{jabber:client}"
WARM_UP = 200

Change = Callable[[ET.Element, int, random.Random], None]


def captured(root: str, *inside: str, type_: str | None = None) -> ET.Element:
    """The first captured stanza of this type that has each of these elements in it once, and no value besides."""
    for stanza in product.stanzas("captured.xml"):
        once = all(len(list(stanza.iter(tag))) == 1 for tag in inside)
        values = sum(1 for each in stanza.iter() if each.tag in (f"{SD}numeric", f"{NF}q"))
        if stanza.tag == root and once and values <= 1 and type_ in (None, stanza.get("type")):
            return stanza
    raise AssertionError(f"no such stanza: {root} {inside}")


def reading(stanza: ET.Element, number: int, chance: random.Random) -> None:
    """Another value at another moment."""
    moment = f"2026-11-21T{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}"
    moment += f".{chance.randrange(10**6):06d}Z"
    for stamp in (*stanza.iter(f"{SD}timestamp"), *stanza.iter(f"{NF}ts")):
        stamp.set("value" if stamp.tag.startswith(SD) else "v", moment)
    for value in (*stanza.iter(f"{SD}numeric"), *stanza.iter(f"{NF}q")):
        value.set("value" if value.tag.startswith(SD) else "v", f"{chance.uniform(15, 30):.1f}")
    for item in (*stanza.iter(f"{PUBSUB}item"), *stanza.iter(f"{EVENT}item")):
        item.set("id", "current")


def of_sender(stanza: ET.Element, number: int, chance: random.Random) -> None:
    reading(stanza, number, chance)
    stanza.set("id", POOL[number % len(POOL)])


def of_server(stanza: ET.Element, number: int, chance: random.Random) -> None:
    reading(stanza, number, chance)
    stanza.set("id", "".join(chance.choices(SERVER_ID, k=24)))


def unchanged(stanza: ET.Element, number: int, chance: random.Random) -> None:
    pass


def acknowledges(stanza: ET.Element, number: int, chance: random.Random) -> None:
    stanza.set("h", str(number + 10_000))


def sizes(stanza: ET.Element, change: Change, options: exi.Options, rounds: int) -> list[int]:
    """Bytes of each round; what is read is what was written."""
    chance, grammars = random.Random(7), schemas.grammars()
    encoder, decoder = exi.Encoder(grammars, options), exi.Decoder(grammars, options)
    made = []
    for number in range(rounds):
        each = copy.deepcopy(stanza)
        change(each, number, chance)
        data = encoder.encode(each)
        [back] = decoder.feed(data)
        assert product.canonical(back) == product.canonical(each)
        made.append(len(data))
    return made


KINDS = [
    pytest.param(captured(f"{CLIENT}iq", f"{PUBSUB}publish", f"{SD}numeric"), of_sender, 31, id="a reading published"),
    pytest.param(captured(f"{CLIENT}iq", f"{PUBSUB}publish", type_="result"), of_sender, 12, id="a reading taken"),
    pytest.param(captured(f"{CLIENT}message", f"{EVENT}event", f"{SD}numeric"), of_server, 58, id="a reading notified"),
    pytest.param(captured(f"{CLIENT}message", f"{SD}fields", f"{SD}numeric"), of_sender, 28, id="a readout answered"),
    pytest.param(captured(f"{CLIENT}iq", f"{NF}q"), of_sender, 30, id="a readout answered in the iq"),
    pytest.param(captured(f"{SM}r"), unchanged, 1, id="r"),
    pytest.param(captured(f"{SM}a"), acknowledges, 4, id="a"),
    pytest.param(ET.Element(f"{CLIENT}presence"), unchanged, 2, id="presence"),
    pytest.param(captured(f"{CLIENT}presence", "{http://jabber.org/protocol/caps}c"), unchanged, 12,
                 id="presence with capabilities"),
]  # fmt: skip


@pytest.mark.parametrize(("stanza", "change", "most"), KINDS)
def test_a_stanza_takes_at_most_so_many_bytes(stanza: ET.Element, change: Change, most: int) -> None:
    steady = sizes(stanza, change, exi.Options(), WARM_UP + 100)[WARM_UP:]
    assert sum(steady) / len(steady) <= most


@pytest.mark.parametrize(("stanza", "change", "most"), KINDS)
def test_strict_is_never_longer(stanza: ET.Element, change: Change, most: int) -> None:
    strict = sizes(stanza, change, exi.Options(strict=True), WARM_UP)
    assert sum(strict) <= sum(sizes(stanza, change, exi.Options(), WARM_UP))


def test_a_long_session_of_the_sender_does_not_grow_and_needs_few_strings() -> None:
    """Ids from a pool and one item id: nothing new after the first readings, so no code widens."""
    stanza, encoder = captured(f"{CLIENT}iq", f"{PUBSUB}publish", f"{SD}numeric"), exi.Encoder(schemas.grammars())
    chance, counter, made = random.Random(7), count(), []
    for number in counter:
        of_sender(stanza, number, chance)
        made.append(len(encoder.encode(stanza)))
        if number == 200:
            settled = encoder.table_entries
        if number == 2000:
            break
    assert sum(made[-500:]) <= sum(made[200:700]) + 50
    assert encoder.table_entries == settled
