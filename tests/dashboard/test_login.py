"""Who may see and do what: logging in, what a cookie is, what other sites and forged messages can do."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.dashboard.conftest import HUB
from tests.dashboard.page_process import Page as Process
from tests.helpers import wait_until

USERS = {"ann": ("correct horse", True), "guest": ("look only", False)}


@pytest.fixture(scope="module")
def guarded() -> Iterator[Process]:
    with Process(USERS) as process:
        yield process


@pytest.fixture
def doors(guarded: Process) -> Callable[..., Any]:
    guarded.board("clear")
    guarded.board("hub", HUB, ["lamp"])
    guarded.board("put", HUB, "lamp", "on", value=False, type="boolean", writable=True)
    return guarded.board


def log_in(page: Page, process: Process, name: str, password: str) -> None:
    page.goto(process.url)
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def ask(
    process: Process, method: str, path: str, headers: dict[str, str] | None = None, body: str = ""
) -> http.client.HTTPResponse:
    link = http.client.HTTPConnection("127.0.0.1", process.port, timeout=10)
    link.request(method, path, body or None, headers or {})
    answer = link.getresponse()
    answer.read()
    link.close()
    return answer


def cookie_of(process: Process, name: str) -> str:
    body = f"name={name}&password={USERS[name][0].replace(' ', '+')}"
    answer = ask(process, "POST", "/login", {"Content-Type": "application/x-www-form-urlencoded"}, body)
    assert answer.status == 303
    return (answer.getheader("set-cookie") or "").partition(";")[0]


def test_without_log_in_there_is_nothing_but_its_page(
    doors: Any, guarded: Process, context: BrowserContext, picture: Callable[[Page, str], None]
) -> None:
    page = context.new_page()
    page.goto(guarded.url)
    expect(page).to_have_title("Log in – Greenhouses")
    picture(page, "login")
    assert "lamp" not in page.content()
    for path in ("/_nicegui_ws/socket.io/?EIO=4&transport=polling", "/_nicegui/anything", "/logout"):
        assert ask(guarded, "GET", path).status in (401, 405)
    assert ask(guarded, "GET", "/elsewhere").status == 404
    assert ask(guarded, "GET", "/assets/../page.py").status == 404


def test_wrong_then_right_then_out(doors: Any, guarded: Process, context: BrowserContext) -> None:
    page = context.new_page()
    log_in(page, guarded, "ann", "wrong horse")
    expect(page.get_by_role("alert")).to_have_text("That name and password do not belong together.")
    expect(page.get_by_label("Name")).to_have_value("ann")
    log_in(page, guarded, "ann", "correct horse")
    expect(page.get_by_role("switch", name="Lamp")).to_be_visible()
    (cookie,) = context.cookies()
    assert cookie["httpOnly"] and cookie["sameSite"] == "Lax" and not cookie["secure"]
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_title("Log in – Greenhouses")
    context.add_cookies([cookie])  # what somebody kept
    page.goto(guarded.url)
    expect(page).to_have_title("Log in – Greenhouses")


def test_a_restart_logs_nobody_out(context: BrowserContext, tmp_path: Path) -> None:
    with Process(USERS, state=tmp_path) as first:
        page = context.new_page()
        log_in(page, first, "ann", "correct horse")
        expect(page.get_by_role("button", name="Log out")).to_be_visible()
    with Process(USERS, port=first.port, state=tmp_path):
        expect(page.get_by_text("was lost at")).to_have_count(0, timeout=20_000)
        expect(page.get_by_role("button", name="Log out")).to_be_visible()
        page.get_by_role("button", name="Log out").click()
        expect(page).to_have_title("Log in – Greenhouses")


def test_logging_out_ends_the_other_windows_too(doors: Any, guarded: Process, context: BrowserContext) -> None:
    first, second = context.new_page(), context.new_page()
    log_in(first, guarded, "ann", "correct horse")
    second.goto(guarded.url)
    expect(second.get_by_role("switch", name="Lamp")).to_be_visible()
    first.get_by_role("button", name="Log out").click()
    expect(first).to_have_title("Log in – Greenhouses")
    expect(second).to_have_title("Log in – Greenhouses")


def test_too_many_attempts_are_said(doors: Any, guarded: Process, context: BrowserContext) -> None:
    page = context.new_page()
    for _ in range(3):
        log_in(page, guarded, "nobody", "guess")
        expect(page.get_by_role("alert")).to_contain_text("do not belong together")
    log_in(page, guarded, "nobody", "guess")
    expect(page.get_by_role("alert")).to_have_text("Too many attempts; try again in 60 s.")
    assert doors("asked")[-1] == ["authenticate", "nobody", "127.0.0.1"]


@pytest.mark.parametrize("body", ["", "name=ann", "%00", "name=ann&password=" + "x" * 9_000, "&" * 4_000, "\xff"])
def test_a_form_that_is_none_is_no_log_in(doors: Any, guarded: Process, body: str) -> None:
    assert ask(guarded, "POST", "/login", {}, body).status == 401


def test_what_is_typed_as_a_name_is_text(doors: Any, guarded: Process, context: BrowserContext) -> None:
    page = context.new_page()
    log_in(page, guarded, '"><script>document.title=1</script>', "x")
    expect(page.get_by_label("Name")).to_have_value('"><script>document.title=1</script>')
    expect(page).to_have_title("Log in – Greenhouses")


FORGE = """() => {
    const named = Object.entries(mounted_app.elements);
    for (const [id, element] of named)
        for (const listener of [...(element.events || []).map((each) => each.listener_id), 'set', 'form', '0'])
            for (const type of ['set', 'form', 'chart'])
                window.socket.emit('event', {id: Number(id), client_id: window.clientId, listener_id: listener, type,
                    args: [JSON.stringify({hub: '%s', thing: 'lamp', name: 'on', value: 'true'})]});
    return named.length;
}""" % HUB  # noqa: UP031


def test_who_may_only_look_has_no_controls_and_cannot_forge_them(
    doors: Any, guarded: Process, context: BrowserContext
) -> None:
    page = context.new_page()
    log_in(page, guarded, "guest", "look only")
    expect(page.locator(".tile")).to_have_count(1)
    page.wait_for_function("window.did_handshake")
    assert page.locator(".control, [role=switch]").count() == 0
    assert page.get_by_role("button", name="Controls").count() == 0
    assert page.evaluate(FORGE) > 0
    doors("put", HUB, "lamp", "on", value=True)  # comes behind what was forged
    expect(page.locator(".tile .value")).to_have_text("on")
    assert [call for call in doors("asked") if call[0] in ("set", "form")] == []


def test_a_forged_message_of_one_who_may_control_is_his_own(
    doors: Any, guarded: Process, context: BrowserContext
) -> None:
    """Whoever it claims to be, the board is told who is logged in."""
    page = context.new_page()
    log_in(page, guarded, "ann", "correct horse")
    expect(page.get_by_role("switch", name="Lamp")).to_be_visible()
    page.evaluate(FORGE.replace("'lamp', name", "'lamp', visitor: {name: 'root', control: true}, name"))
    wait_until(lambda: any(call[0] == "set" for call in doors("asked")))
    assert {(call[1], call[2]) for call in doors("asked") if call[0] == "set"} == {("ann", True)}


ODD = """() => {
    const [id, element] = Object.entries(mounted_app.elements).find(([, each]) => each.events?.length);
    const odd = [null, 1, 'x', [], {}, {tile: 1e9}, {tile: -1, span: 'DAY', points: 5},
        {tile: 0, span: '__class__', points: 5}, {tile: true, span: 'DAY', points: 5}, {tile: 0, span: {}, points: 5},
        {tile: 0, span: 'DAY', points: 1e300}, {hub: 1, thing: 2},
        {hub: 'x'.repeat(90000), thing: 'y'}, {hub: 'a', thing: 'b', name: 'c', value: {}}];
    for (const { listener_id } of element.events)
        for (const args of odd)
            window.socket.emit('event',
                {id: Number(id), client_id: window.clientId, listener_id, args: [JSON.stringify(args)]});
}"""


def test_odd_messages_change_nothing(doors: Any, guarded: Process, context: BrowserContext) -> None:
    page = context.new_page()
    log_in(page, guarded, "ann", "correct horse")
    expect(page.get_by_role("switch", name="Lamp")).to_be_visible()
    page.evaluate(ODD)
    page.get_by_role("switch", name="Lamp").click()
    expect(page.get_by_role("switch", name="Lamp")).to_have_attribute("aria-checked", "true")
    assert [call[5] for call in doors("asked") if call[0] == "set"] == [{"on": "true"}]


SOCKET = "/_nicegui_ws/socket.io/?EIO=4&transport="
UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
           "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}  # fmt: skip


@pytest.mark.parametrize(
    ("origin", "transport", "status"),
    [
        ("http://evil.example", "websocket", 403),
        ("null", "websocket", 403),
        (None, "websocket", 403),
        ("https://127.0.0.1:{port}", "websocket", 403),
        ("http://127.0.0.1:{port}", "websocket", 101),
        ("http://evil.example", "polling", 403),
        ("http://127.0.0.1:{port}", "polling", 200),
    ],
)
def test_another_site_cannot_use_a_visitors_cookie(
    doors: Any, guarded: Process, origin: str | None, transport: str, status: int
) -> None:
    headers = {"Cookie": cookie_of(guarded, "ann"), **(UPGRADE if transport == "websocket" else {})}
    if origin is not None:
        headers["Origin"] = origin.format(port=guarded.port)
    link = http.client.HTTPConnection("127.0.0.1", guarded.port, timeout=10)
    link.request("GET", SOCKET + transport, headers=headers)
    assert link.getresponse().status == status
    link.close()


def test_another_sites_form_does_not_log_out(doors: Any, guarded: Process) -> None:
    cookie = cookie_of(guarded, "ann")
    assert ask(guarded, "POST", "/logout", {"Cookie": cookie, "Origin": "http://evil.example"}).status == 403
    assert ask(guarded, "GET", "/", {"Cookie": cookie}).status == 200


def test_a_page_belongs_to_the_session_that_opened_it(doors: Any, guarded: Process, context: BrowserContext) -> None:
    page = context.new_page()
    log_in(page, guarded, "ann", "correct horse")
    expect(page.get_by_role("switch", name="Lamp")).to_be_visible()
    client = page.evaluate("window.clientId")
    own = {**UPGRADE, "Origin": guarded.url, "Cookie": cookie_of(guarded, "guest")}
    assert ask(guarded, "GET", f"{SOCKET}websocket&client_id={client}", own).status == 403


def test_pages_carry_a_policy(doors: Any, guarded: Process) -> None:
    answer = ask(guarded, "GET", "/", {"Cookie": cookie_of(guarded, "ann")})
    policy = answer.getheader("content-security-policy") or ""
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert "'unsafe-inline'" not in policy.partition("script-src")[2].partition(";")[0]
    for name, value in (("x-frame-options", "DENY"), ("x-content-type-options", "nosniff"),
                        ("cache-control", "no-store"), ("referrer-policy", "same-origin")):  # fmt: skip
        assert answer.getheader(name) == value
    other = ask(guarded, "GET", "/", {"Cookie": cookie_of(guarded, "ann")}).getheader("content-security-policy")
    assert other != policy  # a nonce is for one answer


def test_without_users_a_foreign_name_of_this_machine_is_refused() -> None:
    with Process() as process:
        assert ask(process, "GET", "/", {"Host": f"evil.example:{process.port}"}).status == 421
        assert ask(process, "GET", "/", {"Host": f"localhost:{process.port}"}).status == 200


def test_forwarded_headers_do_not_count_without_a_proxy(doors: Any, guarded: Process) -> None:
    forwarded = {"X-Forwarded-Prefix": "/evil", "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}
    answer = ask(guarded, "GET", "/", forwarded)
    assert answer.getheader("location") == "/login"
    ask(guarded, "POST", "/login", forwarded, "name=ann&password=no")
    assert doors("asked")[-1] == ["authenticate", "ann", "127.0.0.1"]
