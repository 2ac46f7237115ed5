"""`[dashboard]`: what it takes, and every fault in words."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from hub.config.dashboard import Alarm, Dashboard
from hub.config.file import load, load_dashboard, parse_dashboard, service_of
from hub.config.schema import schema
from hub.errors import ConfigError

XMPP = '[xmpp]\njid = "dashboard@example.org"\npassword_file = "/etc/hub/dashboard.password"\n'
HASH = "$argon2id$v=19$m=19456,t=3,p=1$6arrrjxA0QSl4xAaWgs5wQ$XO7kAHk1rtMSNXQLrXwoWLnCtRZs4aHzKLqIWYgJBjU"
ANN = f'[dashboard.users.ann]\npassword_hash = "{HASH}"\n'


def page(text: str) -> Dashboard:
    return parse_dashboard(XMPP + "[dashboard]\n" + text).dashboard


def test_an_account_is_enough() -> None:
    found = page("")
    assert (found.listen, found.hubs, found.users, found.open_control) == ("127.0.0.1:8080", "roster", {}, False)
    assert found.address == ("127.0.0.1", 8080) and found.named == () and found.stale_after is None


def test_everything_that_can_be_said() -> None:
    found = page(
        'title = "Ours"\nlisten = "[::]:8443"\nhubs = ["B@example.org", "a@example.org", "b@example.org"]\n'
        f'behind_proxy = true\nstale_after = "5m"\n{ANN}control = true\n'
        '[[dashboard.alarms]]\nthing = "air"\nfield = "temperature"\nabove = 35\n'
        '[[dashboard.alarms]]\nhub = "a@example.org"\nthing = "air"\nfield = "temperature"\nbelow = 5.5\n'
        'hysteresis = 0.5\nfor = "30s"\n'
    )
    assert found.address == ("::", 8443) and found.named == ("b@example.org", "a@example.org")
    assert found.users["ann"].control and found.stale_after == 300
    assert found.alarms == (
        Alarm(thing="air", field="temperature", above=35.0),
        Alarm(thing="air", field="temperature", hub="a@example.org", below=5.5, hysteresis=0.5, for_=30),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('listen = "[::]:8080"', "dashboard.listen: found '[::]:8080'; right would be an address of this machine"),
        ('listen = "192.0.2.1:80"', "or users who log in"),
        ('listen = "127.example.org:80"', "or users who log in"),
        ('listen = "127.0.0.1:0"', "a port from 1 to 65535"),
        ("behind_proxy = true", "or users who log in: a proxy lets others"),
        ('hubs = "everything"', '"roster", "registry", or a list'),
        ("hubs = []", "from one to 500 addresses"),
        ('hubs = ["greenhouse"]', 'an address like "greenhouse@example.org"'),
        ('hubs = ["a@b/c"]', 'an address like "greenhouse@example.org"'),
        ('registry = "registry.example.org"', 'hubs = "registry" beside it'),
        ('owner = "ann@example.org"', 'hubs = "registry" beside it'),
        ('stale_after = "10ms"', "from 1s to 7d"),
        ('title = ""', "1 to 80 characters"),
        ('tilte = "x"', '"title"'),
        ("open_control = true\n" + ANN, "with users, each one's `control` says it"),
        ('users = "ann"', "tables like [dashboard.users.ann]"),
        ("[dashboard.users.ann]\n", "dashboard.users.ann.password_hash: found nothing"),
        ('[dashboard.users." "]\npassword_hash = "' + HASH + '"', "a name of 1 to 64 characters"),
        (ANN.replace("m=19456", "m=9999999"), "a hash that a log-in can bear"),
        (ANN.replace("t=3", "t=999"), "a hash that a log-in can bear"),
        (ANN.replace("argon2id", "argon2i"), "what `hub dashboard password` prints"),
        (ANN + "controll = true", '"control"'),
        ("alarms = 3", "tables [[dashboard.alarms]]"),
        ('[[dashboard.alarms]]\nthing = "a"\nfield = "b"', "alarms[1].above: found nothing; right would be a number"),
        ('[[dashboard.alarms]]\nthing = "a"\nfield = "b"\nabove = nan', "above: found nan"),
        ('[[dashboard.alarms]]\nthing = "a"\nfield = "b"\nabove = 1\nbelow = 2', "less than `above`"),
        ('[[dashboard.alarms]]\nthing = "a"\nfield = "b"\nabove = 2\nbelow = 1\nhysteresis = 1', "would never be over"),
        ('[[dashboard.alarms]]\nthing = "a"\nfield = "b"\nabove = 2\nhysteresis = -1', "at least 0"),
        ('[[dashboard.alarms]]\nthing = "a"\nfield = "b"\nabove = 2\nfor = 30', "dashboard.alarms[1].for: found 30"),
        ('[[dashboard.alarms]]\nthing = "a"\nfield = "b"\nabove = 2\nfor = "30d"', "at most 7d"),
        ('hubs = ["a@b"]\n[[dashboard.alarms]]\nhub = "c@b"\nthing = "a"\nfield = "b"\nabove = 2', "of `hubs`: a@b"),
    ],
)
def test_faults(text: str, fault: str) -> None:
    with pytest.raises(ConfigError) as found:
        page(text)
    assert fault in str(found.value)


def test_a_password_in_the_place_of_a_hash_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as found:
        page('[dashboard.users.ann]\npassword_hash = "hunter2hunter2"')
    assert "never a password" in str(found.value) and "hunter2" not in str(found.value)


def test_faults_of_several_alarms_have_their_lines() -> None:
    alarm = '[[dashboard.alarms]]\nthing = "a"\nfield = "b"\n'
    with pytest.raises(ConfigError) as found:
        page(f"{alarm}above = 1\n{alarm}abvoe = 1\n{alarm}")
    first, *_ = str(found.value).splitlines()
    assert "line 12: dashboard.alarms[2].abvoe" in first
    assert any("line 13: dashboard.alarms[3].above" in line for line in str(found.value).splitlines())


def test_every_fault_of_the_file_is_said_at_once() -> None:
    with pytest.raises(ConfigError) as found:
        parse_dashboard('[xmpp]\njid = "x"\n[dashboard]\nlisten = 3\n[acess]\n')
    assert all(word in str(found.value) for word in ("xmpp.jid", "dashboard.listen", "acess"))


def test_a_file_is_for_a_dashboard_or_for_a_node(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text(XMPP + "[dashboard]\n")
    assert service_of(file) == "dashboard"
    file.write_text(XMPP + '[dashboard]\n[things.air]\ndriver = "bme280"\n')
    assert service_of(file) == "" and load(file).things and load_dashboard(file).dashboard == Dashboard()
    file.write_text(XMPP + '[dashboard]\nlisten = "x"\n[things.air]\ndriver = "bme280"\n')
    with pytest.raises(ConfigError, match=r"dashboard\.listen"):
        load(file)


def test_the_example_is_good_with_what_is_commented_out() -> None:
    text = resources.files("hub.config").joinpath("example_dashboard.toml").read_text(encoding="utf-8")
    assert parse_dashboard(text).dashboard.alarms[0].for_ == 30
    for key in Dashboard.__dataclass_fields__:
        assert f"{key} =" in text or f"[dashboard.{key}." in text or f"[[dashboard.{key}]]" in text, key


def test_the_schema_knows_it() -> None:
    table = schema()["properties"]["dashboard"]
    assert table["properties"]["alarms"]["items"]["properties"]["for"]["type"] == "string"
    assert "password_hash" in table["properties"]["users"]["additionalProperties"]["properties"]
