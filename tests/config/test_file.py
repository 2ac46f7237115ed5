"""The configuration file: exactly these values out, or every fault at once."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from devices.base import Duration
from devices.bme280 import BME280
from devices.relay import Relay
from hub import config
from hub.config.file import load, parse
from hub.config.history import History
from hub.config.node import Access, Config, Node, Telemetry, Xmpp
from hub.config.reader import MAX_FILE_BYTES
from hub.errors import ConfigError, Fault

XMPP = '[xmpp]\njid = "greenhouse@example.org"\npassword_file = "/etc/hub/greenhouse.password"\n'

ISSUE = """\
[xmpp]
jid = "greenhouse@example.org"
password_file = "/etc/hub/greenhouse.password"   # or certificate = / key = for SASL EXTERNAL
# server = "10.0.0.5:5222"   ca_file = "/etc/hub/ca.pem"   (default: DNS SRV, system CAs)

[access]                        # who may do what while no provisioning server is named; default: nobody
read = ["*@example.org"]
control = ["owner@example.org"]

[telemetry]
interval = "30s"                # every reading at least this often; changes sooner
# service = "pubsub.example.org"  (default: the account's own PEP node)

[things.air]
driver = "bme280"
address = 0x76
interval = "5s"
change = { temperature = 0.2 }  # publish at once when it moves this much

[things.pump]
driver = "relay"
pin = 17
boot = "restore"                # off | on | restore
safe = "off"                    # the state when the node stops, loses its link too long, or a lease ends
link_timeout = "5m"
"""


def faults(text: str) -> list[Fault]:
    with pytest.raises(ConfigError) as caught:
        parse(text, "hub.toml")
    assert all(line.startswith("hub.toml: ") for line in str(caught.value).splitlines())
    return caught.value.faults


def fault(text: str) -> Fault:
    """The only fault in a file that has a good [xmpp]."""
    found = faults(XMPP + text)
    assert len(found) == 1, [str(each) for each in found]
    return found[0]


# --------------------------------------------------------------------------- good files


def test_the_file_a_person_writes_from_memory_is_exactly_these_values() -> None:
    found = parse(ISSUE, "hub.toml")
    assert found.source == "hub.toml"
    assert found.xmpp == Xmpp(
        jid="greenhouse@example.org", password_file=Path("/etc/hub/greenhouse.password"), certificate=None, key=None,
        server=None, ca_file=None, allow_plain=False,
    )  # fmt: skip
    assert found.access == Access(read=("*@example.org",), control=("owner@example.org",))
    assert found.telemetry == Telemetry(interval=Duration(30), service=None, backlog=100_000)
    assert found.history == History(age=Duration(31 * 86_400), size=16_000_000, flush=Duration(10))
    assert found.node == Node(state_dir=None)
    assert list(found.things) == ["air", "pump"]

    air = found.things["air"]
    assert (air.name, air.driver, air.settings) == ("air", BME280, BME280.Config(address=0x76))
    assert (air.keys.interval, air.keys.change, air.keys.label) == (5.0, {"temperature": 0.2}, "")
    assert air.output is None and air.boot is None and air.safe is None

    pump = found.things["pump"]
    assert (pump.driver, pump.settings) == (Relay, Relay.Config(pin=17, active_high=True))
    assert pump.keys.interval is None and pump.keys.change == {}
    assert pump.output is not None
    assert (pump.boot, pump.safe) == (None, {"output": False})
    assert (pump.output.link_timeout, pump.output.lease) == (300.0, None)


def test_the_least_there_can_be_and_its_defaults() -> None:
    found = parse(XMPP)
    assert found.access == Access(read=(), control=())  # nobody may do anything
    assert found.telemetry == Telemetry()
    assert found.things == {} and found.node.state_dir is None
    pump = parse(XMPP + '[things.pump]\ndriver = "relay"\npin = 4\n').things["pump"]
    assert (pump.boot, pump.safe) == ({"output": False}, {"output": False})


def lamp(states: str) -> Any:
    return parse(f'{XMPP}[things.lamp]\ndriver = "simulated"\nkind = "lamp"\n{states}\n').things["lamp"]


@pytest.mark.parametrize(("states", "boot", "safe"), [
    ('boot = "off"\nsafe = "on"', {"on": False}, {"brightness": 100, "on": True}),
    ('boot = "restore"\nsafe = "keep"', None, None),
    ("boot = { on = true, brightness = 30 }\nsafe = { on = false }", {"on": True, "brightness": 30}, {"on": False}),
    ("[things.lamp.safe]\nbrightness = 0", {"on": False}, {"brightness": 0}),
])  # fmt: skip
def test_states_by_name_and_by_table(states: str, boot: Any, safe: Any) -> None:
    thing = lamp(states)
    assert (thing.boot, thing.safe) == (boot, safe)


def test_a_state_of_every_type_that_toml_has() -> None:
    text = """
        [things.all]
        driver = "simulated"
        kind = "types"
        safe = { boolean = true, double = 21.5, int = 7, long = 5000000000, string = "x", enum = "auto",
    """.rstrip() + ' color = "3399FF", date = 2026-11-21, time = 08:00:00, dateTime = 2026-11-21T08:00:00Z }\n'
    safe = parse(XMPP + text).things["all"].safe
    assert safe is not None
    assert (safe["double"], safe["long"]) == (Decimal("21.5"), 5_000_000_000)
    assert safe["date"] == dt.date(2026, 11, 21) and safe["time"] == dt.time(8)
    assert safe["dateTime"] == dt.datetime(2026, 11, 21, 8, tzinfo=dt.UTC)


@pytest.mark.parametrize(("text", "seconds"), [
    ("200ms", 0.2), ("5s", 5), ("1.5s", 1.5), ("5m", 300), ("1h30m", 5400), ("7d", 604_800), ("1m1s1ms", 61.001),
])  # fmt: skip
def test_durations_carry_their_unit(text: str, seconds: float) -> None:
    thing = parse(f'{XMPP}[things.a]\ndriver = "simulated"\ninterval = "{text}"\n').things["a"]
    assert thing.keys.interval == pytest.approx(seconds)


@pytest.mark.parametrize(("lines", "wanted"), [
    ('server = "10.0.0.5:5222"', {"server": "10.0.0.5:5222"}),
    ('server = "xmpp.example.org:1"', {"server": "xmpp.example.org:1"}),
    ('server = "[fe80::1]:65535"', {"server": "[fe80::1]:65535"}),
    ('ca_file = "ca.pem"\nallow_plain = true', {"ca_file": Path("ca.pem"), "allow_plain": True}),
])  # fmt: skip
def test_what_an_account_can_say(lines: str, wanted: dict[str, Any]) -> None:
    found = parse(XMPP + lines + "\n").xmpp
    assert {key: getattr(found, key) for key in wanted} == wanted


def test_a_certificate_and_its_key_instead_of_a_password() -> None:
    found = parse('[xmpp]\njid = "a@b"\ncertificate = "c.pem"\nkey = "k.pem"\n').xmpp
    assert (found.certificate, found.key, found.password_file) == (Path("c.pem"), Path("k.pem"), None)


def test_a_home_folder_is_written_with_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/pi")
    assert parse('[xmpp]\njid = "a@b"\npassword_file = "~/p"\n').xmpp.password_file == Path("/home/pi/p")


@pytest.mark.parametrize("pattern", ["*", "*@example.org", "owner@example.org", "example.org", "Owner@Example.org"])
def test_patterns_of_access(pattern: str) -> None:
    assert parse(f'{XMPP}[access]\nread = ["{pattern}"]\n').access.read == (pattern,)


@pytest.mark.parametrize("service", ["pubsub.example.org", "hub@example.org"])
def test_a_service_for_telemetry(service: str) -> None:
    assert parse(f'{XMPP}[telemetry]\nservice = "{service}"\n').telemetry.service == service


def test_files_that_are_not_on_this_machine_are_told_and_are_no_fault(tmp_path: Path) -> None:
    there = tmp_path / "password"
    there.write_text("secret")
    text = f'[xmpp]\njid = "a@b"\npassword_file = "{there}"\nca_file = "/not/here.pem"\n'
    assert parse(text).missing_files() == ["xmpp.ca_file: /not/here.pem does not exist here"]


def test_the_example_that_ships_is_good() -> None:
    example = Path(config.__file__).with_name("example.toml")
    assert isinstance(load(example), Config)


# --------------------------------------------------------------------------- a dozen faults at once

DOZEN = """\
[xmpp]
jid = "greenhouse"
pasword_file = "/etc/hub/p"
server = "10.0.0.5"

[acces]
read = ["*@example.org"]

[telemetry]
interval = "30"
backlog = -1

[things.air]
driver = "bme28"

[things.pump]
driver = "relay"
pin = 99
boot = "blue"
link_timeout = 300

[things.light]
driver = "bh1750"
safe = "off"
change = { lux = 5 }

[things.lamp]
driver = "simulated"
kind = "lamp"
boot = { brightness = 150 }
interval = "1ms"
"""

FOUND = [
    (2, "xmpp.jid", "'greenhouse'", 'an address like "greenhouse@example.org"'),
    (3, "xmpp.pasword_file", "an unknown key 'pasword_file'", '"password_file"'),
    (4, "xmpp.server", "'10.0.0.5'", 'a host and port like "10.0.0.5:5222"'),
    (6, "acces", "an unknown key 'acces'", '"access"'),
    (10, "telemetry.interval", "'30'", 'a duration with its unit, like "200ms", "30s" or "5m"'),
    (11, "telemetry.backlog", "-1", "a whole number from 0 to 1000000 readings"),
    (14, "things.air.driver", "'bme28'", 'did you mean "bme280"?'),
    (18, "things.pump.pin", "99", "a whole number from 0 to 27"),
    (19, "things.pump.boot", "'blue'", 'one of "off", "on", "restore"'),
    (20, "things.pump.link_timeout", "300", "a duration with its unit"),
    (24, "things.light.safe", "an unknown key 'safe'", "one of "),
    (31, "things.lamp.interval", "'1ms'", "at least 50ms"),
]


def test_a_file_with_a_dozen_faults_reports_all_of_them_in_the_order_of_the_lines() -> None:
    found = faults(DOZEN)
    assert [(each.line, each.path) for each in found] == [(line, path) for line, path, _, _ in FOUND]
    for each, (line, path, what, right) in zip(found, FOUND, strict=True):
        assert each.found == what and right in each.right, each
        said = str(each)
        assert said.startswith(f"line {line}: {path}: found ") and "right would be" in said


def test_the_order_of_faults_is_the_same_every_time() -> None:
    text = XMPP + "[telemetry]\n" + "\n".join(f"{key} = 1" for key in "zyxwv") + "\n[node]\nb = 1\na = 1\n"
    assert [each.path for each in faults(text)] == [f"telemetry.{key}" for key in "zyxwv"] + ["node.b", "node.a"]
    inline = "node = { q = 1, w = 2, e = 3, r = 4, t = 5, y = 6 }\n" + XMPP
    assert [each.path for each in faults(inline)] == [f"node.{key}" for key in "qwerty"]


# --------------------------------------------------------------------------- one fault at a time

T = '[things.a]\ndriver = "simulated"\n'
LAMP = T + 'kind = "lamp"\n'
R = '[things.r]\ndriver = "relay"\npin = 4\n'

ONE: list[tuple[str, str, int, str, str]] = [
    # text behind [xmpp] (three lines), path, line, found, right
    ('allow_plain = "yes"', "xmpp.allow_plain", 4, "'yes'", "true or false"),
    ('server = "10.0.0.5:0"', "xmpp.server", 4, "'10.0.0.5:0'", "port from 1 to 65535"),
    ('server = "10.0.0.5:65536"', "xmpp.server", 4, "'10.0.0.5:65536'", "port from 1 to 65535"),
    ('server = "host:port"', "xmpp.server", 4, "'host:port'", "a host and port"),
    ("ca_file = 5", "xmpp.ca_file", 4, "5", "a file path"),
    ('certificate = "c.pem"', "xmpp.password_file", 2 + 1, "/etc/hub/greenhouse.password", "either password_file, or"),
    ('key = "k.pem"', "xmpp.certificate", 1, "nothing", "certificate and key together"),
    ('[access]\nread = "*"', "access.read", 5, "'*'", "a list"),
    ('[access]\nread = ["a b"]', "access.read", 5, "a b", "a pattern like"),
    ('[access]\ncontrol = ["own*@example.org"]', "access.control", 5, "own*", "a pattern like"),
    ("[access]\ncontrol = [5]", "access.control", 5, "[5]", "a pattern like"),
    ('[access]\nread = ["a@b/c"]', "access.read", 5, "a@b/c", "a pattern like"),
    ('[access]\nread = [""]', "access.read", 5, "['']", "a pattern like"),
    ('[telemetry]\nservice = ""', "telemetry.service", 5, "''", "an address like"),
    ('[telemetry]\nservice = "not an address"', "telemetry.service", 5, "not an address", "an address like"),
    ('[telemetry]\ninterval = "500ms"', "telemetry.interval", 5, "500ms", "at least 1s"),
    ('[telemetry]\ninterval = "1 h"', "telemetry.interval", 5, "1 h", "a duration"),
    ('[telemetry]\ninterval = "-1s"', "telemetry.interval", 5, "-1s", "a duration"),
    ("[telemetry]\nbacklog = 1.5", "telemetry.backlog", 5, "1.5", "a whole number"),
    ("[telemetry]\nbacklog = true", "telemetry.backlog", 5, "True", "a whole number"),
    ('[history]\nage = "1m"', "history.age", 5, "1m", "at least 1h"),
    ('[history]\nflush = "2h"', "history.flush", 5, "2h", "from 1s to 1h"),
    ("[history]\nsize = 10", "history.size", 5, "10", "at least 100000"),
    ("[telemetry]\nbacklog = 10000000", "telemetry.backlog", 5, "10000000", "from 0 to 1000000"),
    ("[node]\nstate_dir = []", "node.state_dir", 5, "[]", "a file path"),
    ("[node]\nstate_dri = 1", "node.state_dri", 5, "an unknown key 'state_dri'", '"state_dir"'),
    ("[thing.air]\n", "thing", 0, "an unknown key 'thing'", '"things"'),
    ("[things]\nair = 5", "things.air", 5, "5", "a table [things.air] with a driver"),
    ("[things.air]\nlabel = 'x'", "things.air.driver", 4, "nothing", 'a driver, like "bme280"'),
    ("[things.air]\ndriver = 5", "things.air.driver", 5, "5", "a driver's name"),
    ("[things.air]\ndriver = ''", "things.air.driver", 5, "''", "a driver's name"),
    ("[things.air]\ndriver = 'rely'", "things.air.driver", 5, "'rely'", 'did you mean "relay"?'),
    ("[things.air]\ndriver = 'qqqqqqqq'", "things.air.driver", 5, "'qqqqqqqq'", "known: "),
    ("[things.'a b']\ndriver = 'simulated'", "things.a b", 0, "a b", "a name of letters, digits"),
    ("[things." + "x" * 65 + "]\ndriver = 'simulated'", "things." + "x" * 65, 4, "xxx", "at most 64"),
    (T + "interval = 5", "things.a.interval", 6, "5", "a duration"),
    (T + "label = 5", "things.a.label", 6, "5", "a text"),
    (T + "intervall = '5s'", "things.a.intervall", 6, "an unknown key 'intervall'", '"interval"'),
    (T + "change = { value = -1 }", "things.a.change", 6, "{'value': -1}", "a number of at least 0"),
    (T + "change = { value = nan }", "things.a.change", 6, "nan", "a number of at least 0"),
    (T + "change = { value = inf }", "things.a.change", 6, "inf", "a number of at least 0"),
    (T + "change = { valeu = 1 }", "things.a.change", 6, "valeu", "one of its fields: value"),
    (T + "change = 5", "things.a.change", 6, "5", "a table"),
    (T + "string_ids = { other = '1' }", "things.a.string_ids", 6, "other", "one of its fields: value"),
    (T + "kind = 'cosine'", "things.a.kind", 6, "'cosine'", 'one of "sine"'),
    (T + "decimals = 10", "things.a.decimals", 6, "10", "from 0 to 9"),
    (T + "minimum = 5\nmaximum = 5", "things.a.minimum", 6, "5", "a number below maximum (5)"),
    (T + "minimum = nan", "things.a.minimum", 6, "nan", "a number"),
    (T + "safe = 'off'", "things.a.safe", 6, "'off'", "nothing: this thing has nothing to control"),
    ("[things.r]\ndriver = 'relay'", "things.r.pin", 4, "nothing", "a whole number from 0 to 27"),
    ("[things.r]\ndriver = 'relay'\npin = true", "things.r.pin", 6, "True", "a whole number from 0 to 27"),
    ("[things.r]\ndriver = 'relay'\npin = '17'", "things.r.pin", 6, "'17'", "a whole number from 0 to 27"),
    ("[things.b]\ndriver = 'bme280'\naddress = 0x75", "things.b.address", 6, "0x75", "0x76, 0x77"),
    ("[things.b]\ndriver = 'bme280'\nlink_timeout = '5m'", "things.b.link_timeout", 6, "an unknown key", "one of"),
    (R + "active_hihg = true", "things.r.active_hihg", 7, "an unknown key 'active_hihg'", '"active_high"'),
    (R + "lease = '50ms'", "things.r.lease", 7, "'50ms'", "at least 100ms"),
    (R + "link_timeout = '50ms'", "things.r.link_timeout", 7, "'50ms'", "at least 100ms"),
    (R + "safe = 'restore'", "things.r.safe", 7, "'restore'", 'one of "off", "on", "keep"'),
    (R + "boot = 'keep'", "things.r.boot", 7, "'keep'", 'one of "off", "on", "restore"'),
    (R + "boot = true", "things.r.boot", 7, "True", 'one of "off", "on", "restore"'),
    (R + "boot = {}", "things.r.boot", 7, "{}", "at least one of its parameters: output"),
    (R + "safe = {}", "things.r.safe", 7, "{}", "at least one of its parameters: output"),
    (R + "safe = { on = true }", "things.r.safe.on", 7, "True", "one of its parameters: output"),
    (R + "safe = { output = 1 }", "things.r.safe.output", 7, "1", "true or false"),
    (LAMP + "boot = { brightness = 101 }", "things.a.boot.brightness", 7, "101", "0 to 100 %"),
    (LAMP + "boot = { brightness = 5.0 }", "things.a.boot.brightness", 7, "5.0", "0 to 100 %"),
    (R + "[things.s]\ndriver = 'relay'\npin = 4", "things.s", 7, "gpio 4", "things.r uses gpio 4 already"),
    ("[things.b]\ndriver = 'bme280'\naddress = 0x76\n[things.c]\ndriver = 'bme280'\naddress = 0x76", "things.c", 7,
     "i2c 1 0x76", "things.b uses"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "path", "line", "found", "right"), ONE, ids=[f"{row[1]}-{row[3]}"[:60] for row in ONE]
)
def test_a_fault_says_where_what_and_what_would_be_right(
    text: str, path: str, line: int, found: str, right: str
) -> None:
    only = fault(text + "\n")
    assert only.path == path
    assert found in only.found, only
    assert right in only.right, only
    assert only.line == line
    assert "\n" not in str(only) and len(only.found) <= 80


def test_two_things_on_one_bus_with_addresses_of_their_own_are_fine() -> None:
    text = "".join(f"[things.b{n}]\ndriver = 'bme280'\naddress = {n}\n" for n in (0x76, 0x77))
    assert len(parse(XMPP + text).things) == 2


@pytest.mark.parametrize("text", ["", "[access]\n"])
def test_without_an_account_the_address_is_asked_for(text: str) -> None:
    (only,) = faults(text)
    assert (only.path, only.found) == ("xmpp.jid", "nothing") and "greenhouse@example.org" in only.right


@pytest.mark.parametrize("jid", ["", "@", "a@", "@b", "a b@c", "a@b c", "a@b@c", "a@b/", "a@b\\n", "a@b\\n/x"])
def test_an_address_that_is_none(jid: str) -> None:
    assert [each.path for each in faults(f'[xmpp]\njid = "{jid}"\npassword_file = "p"\n')] == ["xmpp.jid"]


@pytest.mark.parametrize("section", ["xmpp", "access", "telemetry", "node", "things"])
def test_a_section_that_is_no_table(section: str) -> None:
    text = f"{section} = 5\n" + ("" if section == "xmpp" else XMPP)
    (only,) = faults(text)
    assert only.path == section and "table" in only.right and only.line == 1


# --------------------------------------------------------------------------- [trust]

TRUST = XMPP + '[trust]\nserver = "provisioning.example.org"\n'


def test_the_smallest_trust_has_safe_defaults() -> None:
    trust = parse(TRUST + "[things.air]\ndriver = 'simulated'\n").trust
    assert trust is not None
    assert (trust.servers, trust.registry, trust.cache, trust.timeout) == (("provisioning.example.org",), None, 2000, 5)
    assert parse(TRUST + "[things.air]\ndriver = 'simulated'\n").things["air"].keys.offline == "refuse"
    assert parse(XMPP).trust is None


@pytest.mark.parametrize(("server", "servers"), [
    ('"discover"', ()),
    ('["A.example.org", "owner@example.net", "a.example.org"]', ("a.example.org", "owner@example.net")),
])  # fmt: skip
def test_servers_are_one_several_or_to_be_discovered(server: str, servers: tuple[str, ...]) -> None:
    trust = parse(f"{XMPP}[trust]\nserver = {server}\n").trust
    assert trust is not None and trust.servers == servers


def test_tags_are_texts_and_numbers() -> None:
    trust = parse(TRUST + "[trust.meta]\nSN = '0001'\nV = 1.20\nFLOOR = 3\n").trust
    assert trust is not None and trust.meta == {"SN": "0001", "V": 1.2, "FLOOR": 3}


TRUST_FAULTS = [
    ('server = "a b"', "trust.server", "an address"),
    ("server = []", "trust.server", "from one to eight"),
    ('server = ["a", "discover"]', "trust.server", '"discover" alone'),
    ('server = "a"\ncache = -1', "trust.cache", "0 to 100000"),
    ('server = "a"\ntimeout = "0s"', "trust.timeout", "100ms"),
    ('server = "a"\nkey = "/k.pem"', "trust.certificate", "together"),
    ('server = "a"\nregistry = "a/b"', "trust.registry", "an address"),
    ('server = "a"\nserver_key = 1', "trust.server_key", "server"),
    ('server = "a"\nmeta = { KEY = "1" }', "trust.meta", "neither KEY"),
    ('server = "a"\nmeta = { key = "1" }', "trust.meta", "neither KEY"),
    ('server = "a"\nmeta = { SN = "1", sn = "2" }', "trust.meta", "each once"),
    ('server = "a"\nmeta = { "A:B" = "1" }', "trust.meta", "without space"),
    ('server = "a"\nmeta = { "' + "A" * 33 + '" = "1" }', "trust.meta", "32 characters"),
    ('server = "a"\nmeta = { SN = "" }', "trust.meta", "1 to 128"),
    ('server = "a"\nmeta = { SN = "' + "1" * 129 + '" }', "trust.meta", "1 to 128"),
    ('server = "a"\nmeta = { V = inf }', "trust.meta", "a number"),
    ('server = "a"\nmeta = { V = true }', "trust.meta", "a text"),
    ('registry = "a"', "trust.server", "an address"),
]


@pytest.mark.parametrize(("lines", "path", "right"), TRUST_FAULTS)
def test_faults_of_trust(lines: str, path: str, right: str) -> None:
    (only,) = faults(f"{XMPP}[trust]\n{lines}\n")
    assert only.path == path and right in only.right, only


def test_trust_and_access_exclude_each_other() -> None:
    (only,) = faults(TRUST + '[access]\nread = ["*"]\n')
    assert only.path == "access" and "not both" in only.right


def test_a_policy_for_an_absent_server_needs_a_server() -> None:
    thing = "[things.air]\ndriver = 'simulated'\noffline = 'allow-owner'\n"
    assert parse(TRUST + thing).things["air"].keys.offline == "allow-owner"
    (only,) = faults(XMPP + thing)
    assert only.path == "things.air.offline" and "[trust]" in only.right


# --------------------------------------------------------------------------- no TOML at all


@pytest.mark.parametrize("text", [
    "[xmpp", "jid = ", 'jid = "a', "[xmpp]\n[xmpp]\n", "a = 1\na = 2\n", "\x00", "= 5", "x = 08:00:61",
    "a = " + "[" * 50_000, "a = " + "{b=" * 5_000,
], ids=lambda t: repr(t[:12]))  # fmt: skip
def test_what_is_no_toml_is_one_fault(text: str) -> None:
    (only,) = faults(text)
    assert only.path == "(file)" and only.found.startswith("a syntax error") and only.right == "TOML"


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    huge = tmp_path / "huge.toml"
    huge.write_text(XMPP + "#" * MAX_FILE_BYTES)
    with pytest.raises(ConfigError, match="more than 1 MB"):
        load(huge)
    huge.write_text(XMPP.ljust(MAX_FILE_BYTES - 1) + "\n")
    assert load(huge).xmpp.jid == "greenhouse@example.org"


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", None, "folder"])
def test_a_file_that_cannot_be_read_is_one_fault(tmp_path: Path, content: bytes | str | None) -> None:
    file = tmp_path / "hub.toml"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content:
        file.mkdir()
    with pytest.raises(ConfigError) as caught:
        load(file)
    (only,) = caught.value.faults
    assert only.path == "(file)" and only.right == "a readable TOML file"
    assert str(caught.value).startswith(str(file))


def test_a_file_is_named_in_each_of_its_faults(tmp_path: Path) -> None:
    file = tmp_path / "hub.toml"
    file.write_text(DOZEN)
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert caught.value.source == str(file)
    assert str(caught.value).count(f"{file}: line ") == 12
