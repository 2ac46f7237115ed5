"""`[gateway]`: what it takes, and that it means what the gateway's own defaults mean."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from pathlib import Path

import pytest

from hub import config
from hub.cli.gateway import address, bounds_of, ports_of, taken
from hub.config.file import load, load_gateway, parse
from hub.config.gateway import Gateway, GatewayDomain
from hub.config.schema import schema
from hub.errors import ConfigError
from hub.gateway.bounds import Bounds
from hub.gateway.limits import Limits
from hub.gateway.shared import Port

DOMAIN = """
[gateway.domains."example.org"]
certificate = "/etc/hub/example.org.pem"
key = "/etc/hub/example.org.key"
server = "127.0.0.1:15222"
"""


def gateway(text: str, folder: Path) -> Gateway:
    file = folder / "gateway.toml"
    file.write_text(text)
    return load_gateway(file, {})


def test_one_domain_is_enough(tmp_path: Path) -> None:
    found = gateway(DOMAIN, tmp_path)
    (name,) = found.domains
    assert (name, found.domains[name].server, found.listen, found.exi_listen) == (
        "example.org", "127.0.0.1:15222", ("[::]:5222",), ()
    )  # fmt: skip
    assert taken(Limits, found) == Limits()
    assert bounds_of(found, Limits()) == Bounds(limits=Limits().exi(Limits().stanza_size))


def test_every_limit_of_the_gateway_is_a_key() -> None:
    keys = {field.name for field in dataclasses.fields(Gateway)}
    assert keys >= {field.name for field in dataclasses.fields(Limits)}
    assert keys >= {field.name for field in dataclasses.fields(Bounds)} - {"limits"}  # made of the others


def test_every_limit_of_the_gateway_arrives(tmp_path: Path) -> None:
    """Each key, with a value that is not its default, becomes the gateway's own."""
    limits, bounds = Limits(), Bounds()
    for key, value in {**vars(limits), **vars(bounds)}.items():
        if key in ("limits", "alignments", "preserve"):
            continue
        if isinstance(value, bool):
            said, meant = str(not value).lower(), not value
        elif isinstance(value, float):
            said, meant = f"'{value / 2:g}s'", value / 2
        else:
            said, meant = str(value - 1), value - 1
        found = gateway(f"[gateway]\n{key} = {said}\n{DOMAIN}", tmp_path)
        ours = taken(Limits, found)
        where = ours if hasattr(ours, key) else bounds_of(found, ours)
        assert getattr(where, key) == meant, key


def test_units_stand_in_the_values(tmp_path: Path) -> None:
    found = gateway("[gateway]\nlogin_timeout = '2m'\nconnections = 7\nuploads = false\n" + DOMAIN, tmp_path)
    assert taken(Limits, found) == Limits(login_timeout=120.0, connections=7)
    assert taken(Bounds, found).uploads is False


def test_options_overrule_the_file(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text("[gateway]\nlisten = ['[::1]:1']\n" + DOMAIN)
    found = load_gateway(file, {"listen": ["[::1]:2"], "exi_listen": ["127.0.0.1:3"]})
    assert ports_of(found) == {Port.ORDINARY: [("::1", 2)], Port.BINARY: [("127.0.0.1", 3)]}
    assert list(found.domains) == ["example.org"]


EXAMPLE = Path(config.__file__).with_name("example_gateway.toml")


def test_the_example_that_ships_is_good() -> None:
    assert load_gateway(EXAMPLE, {}).listen == ("[::]:5222",)


def test_the_example_shows_every_key_and_its_default(tmp_path: Path) -> None:
    said = re.sub(r"^# (?=\w+ = )", "", EXAMPLE.read_text(), flags=re.M)
    head, table, rest = said.partition("[gateway.domains")
    domain, _, more = rest.partition("# ----")
    keys = tomllib.loads(head + "# ----" + more)["gateway"]
    assert set(keys) == {field.name for field in dataclasses.fields(Gateway)} - {"domains"}
    assert set(tomllib.loads(table + domain)["gateway"]["domains"]["example.org"]) == {
        field.name for field in dataclasses.fields(GatewayDomain)
    }
    found, default = gateway(head + "# ----" + more + table + domain, tmp_path), Gateway()
    for key in set(keys) - {"exi_listen", "metrics", "store"}:  # which have none
        assert getattr(found, key) == getattr(default, key), key


def test_what_a_client_may_have_when_it_asks(tmp_path: Path) -> None:
    found = gateway("[gateway]\nalignments = ['bit-packed']\npreserve = []\n" + DOMAIN, tmp_path)
    bounds = bounds_of(found, Limits())
    assert (bounds.alignments, bounds.preserve) == (frozenset({"bit-packed"}), frozenset())


FAULTS = [
    ("", "gateway", "nothing"),
    ("[gateway]\n", "gateway.domains", "at least one table"),
    ("[gateway]\nlisten = []\n" + DOMAIN, "gateway.listen", "at least one address"),
    ("[gateway]\nlisten = ['5222']\n" + DOMAIN, "gateway.listen", "a host and port"),
    ("[gateway]\nlisten = ['[::]:70000']\n" + DOMAIN, "gateway.listen", "up to 65535"),
    ("[gateway]\nlogin_timeout = '0s'\n" + DOMAIN, "gateway.login_timeout", "at least 100ms"),
    ("[gateway]\nlogin_timeout = 5\n" + DOMAIN, "gateway.login_timeout", "a duration"),
    ("[gateway]\nstanza_timeout = '0s'\n" + DOMAIN, "gateway.stanza_timeout", "at least 100ms"),
    ("[gateway]\nkeepalive = '0s'\n" + DOMAIN, "gateway.keepalive", "from 1s"),
    ("[gateway]\nkeepalive = '1d'\n" + DOMAIN, "gateway.keepalive", "to 32767s"),
    ("[gateway]\nalignments = ['compression']\n" + DOMAIN, "gateway.alignments", '"bit-packed"'),
    ("[gateway]\nalignments = ['packed']\n" + DOMAIN, "gateway.alignments", "bit-packed"),
    ("[gateway]\npreserve = ['comments']\n" + DOMAIN, "gateway.preserve", "prefixes"),
    ("[gateway]\ndepth = 501\n" + DOMAIN, "gateway.depth", "500"),
    ("[gateway]\nstanza_size = 100\n" + DOMAIN, "gateway.stanza_size", "10000"),
    ("[gateway]\nstanza_sise = 100000\n" + DOMAIN, "gateway.stanza_sise", '"stanza_size"'),
    ("[gateway]\nexi_listen = ['0.0.0.0:1']\nexi_tls = false\n" + DOMAIN, "gateway.exi_tls", "loopback"),
    (DOMAIN.replace("key =", "kye ="), "gateway.domains.example.org.kye", '"key"'),
    (DOMAIN.replace(":15222", ""), "gateway.domains.example.org.server", "a host and port"),
    (DOMAIN.replace(":15222", ":0"), "gateway.domains.example.org.server", "65535"),
    ("[gateway]\ndomains = 1", "gateway.domains", "tables like"),
    ("gateway = 1", "gateway", "a table"),
]


@pytest.mark.parametrize(("text", "path", "right"), FAULTS)
def test_what_is_wrong(text: str, path: str, right: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        gateway(text, tmp_path)
    assert path in [fault.path for fault in caught.value.faults]
    assert right in str(caught.value)


def test_a_node_may_have_a_gateway_beside_it() -> None:
    node = "[xmpp]\njid = 'a@example.org'\npassword_file = 'p'\n"
    parse(node + DOMAIN)
    with pytest.raises(ConfigError, match=r"gateway\.domains\.example\.org\.key"):
        parse(node + DOMAIN.replace("key =", "# key ="))


def test_a_gateway_alone_is_no_node(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(DOMAIN)
    with pytest.raises(ConfigError, match=r"xmpp\.jid"):
        load(file)


def test_an_editor_knows_it() -> None:
    table = schema()["properties"]["gateway"]
    assert set(table["properties"]) == {field.name for field in dataclasses.fields(Gateway)}
    domain = table["properties"]["domains"]["additionalProperties"]
    assert domain["required"] == ["certificate", "key", "server"]


def test_addresses() -> None:
    assert address("[::]:5222") == ("::", 5222) and address("localhost:1") == ("localhost", 1)
