"""What a node remembers of its servers' verdicts: bounded, on disk, whole or not at all, and gone when it must be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.demo.prosody import end_with_parent
from hub.errors import StoreError
from hub.things.model import FieldTypes, NodeRef, Tokens
from hub.things.questions import AS_ASKED, REFUSED, Question, Right, Verdict
from hub.trust.cache import MAX_VERDICT_BYTES, SPARE_LINES, VerdictCache, digest

SERVER = "provisioning.example.org"
ALLOWED = Verdict(True)


def question(number: int = 0, right: Right = Right.READ) -> Question:
    return Question(right, f"caller{number}@example.org", (NodeRef("air"), NodeRef("pump")), ("temperature",))


def reopened(path: Path, capacity: int = 100, trusting: str = "us") -> VerdictCache:
    return VerdictCache(path, capacity, trusting)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "verdicts.log"


VERDICTS = [
    REFUSED,
    ALLOWED,
    Verdict(True, secondary_trust=True),
    Verdict(True, (NodeRef("air"),)),
    Verdict(True, (NodeRef("air", "source", "cache"), NodeRef("pump é")), ("température", "a b")),
    Verdict(True, None, ("x",), FieldTypes.MOMENTARY | FieldTypes.HISTORICAL),
]


@pytest.mark.parametrize("verdict", VERDICTS)
def test_a_verdict_outlives_a_restart(path: Path, verdict: Verdict) -> None:
    cache = reopened(path)
    assert cache.get(SERVER, question()) is None
    cache.put(SERVER, question(), verdict)
    assert cache.get(SERVER, question()) == verdict
    assert reopened(path).get(SERVER, question()) == verdict, "without a close: it has been killed"
    cache.close()
    assert reopened(path).get(SERVER, question()) == verdict


OTHERS = [
    Question(Right.CONTROL, "c@x", (NodeRef("n"),), ("f",)),
    Question(Right.READ, "d@x", (NodeRef("n"),), ("f",)),
    Question(Right.READ, "c@x", None, ("f",)),
    Question(Right.READ, "c@x", (), ("f",)),
    Question(Right.READ, "c@x", (NodeRef("n"), NodeRef("f")), ()),
    Question(Right.READ, "c@x", (NodeRef("f"),), ("n",)),
    Question(Right.READ, "c@x", (NodeRef("n", "f"),), ()),
    Question(Right.READ, "c@x", (NodeRef("n"),), ("f",), FieldTypes.MOMENTARY),
    Question(Right.READ, "c@x", (NodeRef("n"),), ("f",), tokens=Tokens(service="t")),
    Question(Right.READ, "c@x", (NodeRef("n"),), ("f",), tokens=Tokens(device="t")),
]


def test_another_question_or_another_server_is_not_answered() -> None:
    one = Question(Right.READ, "c@x", (NodeRef("n"),), ("f",))
    cache = VerdictCache(None, 100)
    cache.put(SERVER, one, ALLOWED)
    assert [cache.get(SERVER, other) for other in OTHERS] == [None] * len(OTHERS)
    assert cache.get("other.example.org", one) is None
    assert len({digest(SERVER, each) for each in [one, *OTHERS]}) == len(OTHERS) + 1


names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4)
nodes = st.builds(NodeRef, names, names, names)
questions = st.builds(
    Question, st.sampled_from(Right), names, st.none() | st.lists(nodes, max_size=3).map(tuple),
    st.lists(names, max_size=3).map(tuple), st.sampled_from([AS_ASKED, FieldTypes.ALL]),
    st.builds(Tokens, names, names, names),
)  # fmt: skip


@given(questions, questions)
def test_only_equal_questions_have_equal_digests(one: Question, other: Question) -> None:
    assert (digest(SERVER, one) == digest(SERVER, other)) == (one == other)


def test_the_least_recently_used_goes_first_also_after_a_restart(path: Path) -> None:
    cache = reopened(path, capacity=4)  # three of them for what is allowed
    for number in range(3):
        cache.put(SERVER, question(number), ALLOWED)
    cache.get(SERVER, question(0))
    cache.close()
    cache = reopened(path, capacity=4)
    cache.put(SERVER, question(3), ALLOWED)
    assert [cache.get(SERVER, question(n)) is not None for n in range(4)] == [True, False, True, True]
    assert len(cache) == 3


def test_strangers_push_out_strangers_only(path: Path) -> None:
    cache = reopened(path, capacity=100)
    for number in range(75):
        cache.put(SERVER, question(number), ALLOWED)
    for number in range(1000, 3000):
        cache.put(SERVER, question(number), REFUSED)
    assert all(cache.get(SERVER, question(n)) == ALLOWED for n in range(75))
    assert len(cache) == 100
    assert len(reopened(path)) == 100


def test_the_file_stays_small(path: Path) -> None:
    cache = reopened(path, capacity=40)
    for number in range(5000):
        cache.put(SERVER, question(number), ALLOWED)
        cache.put(SERVER, question(number), ALLOWED)  # nothing new: nothing is written
    assert path.read_bytes().count(b"\n") <= SPARE_LINES + 40 + 2
    assert len(reopened(path, capacity=40)) == 30


def test_a_change_of_mind_replaces_the_verdict(path: Path) -> None:
    cache = reopened(path)
    cache.put(SERVER, question(), ALLOWED)
    cache.put(SERVER, question(), REFUSED)
    assert cache.get(SERVER, question()) == REFUSED
    assert reopened(path).get(SERVER, question()) == REFUSED
    cache.put(SERVER, question(), ALLOWED)
    assert reopened(path).get(SERVER, question()) == ALLOWED


def test_what_is_cleared_is_gone_from_the_disk_when_clear_returns(path: Path) -> None:
    cache = reopened(path)
    cache.put(SERVER, question(), ALLOWED)
    before = cache.generation
    cache.clear()
    assert cache.get(SERVER, question()) is None
    assert cache.generation > before
    assert path.read_bytes().count(b"\n") == 1, "the header alone"
    assert len(reopened(path)) == 0
    cache.put(SERVER, question(1), ALLOWED)
    assert len(reopened(path)) == 1


def test_a_file_of_another_trust_is_emptied(path: Path) -> None:
    cache = reopened(path, trusting="us: provisioning.example.org")
    cache.put(SERVER, question(), ALLOWED)
    assert len(reopened(path, trusting="us: other.example.org")) == 0
    assert len(reopened(path, trusting="us: provisioning.example.org")) == 0, "the old trust does not come back"


def test_without_room_nothing_is_remembered(path: Path) -> None:
    cache = reopened(path, capacity=0)
    cache.put(SERVER, question(), ALLOWED)
    cache.put(SERVER, question(1), REFUSED)
    assert len(cache) == 0


def test_a_verdict_too_long_to_keep_is_asked_for_each_time(path: Path) -> None:
    cache = reopened(path)
    cache.put(SERVER, question(), Verdict(True, (NodeRef("n" * MAX_VERDICT_BYTES),)))
    assert cache.get(SERVER, question()) is None


# --------------------------------------------------------------------------- broken files


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, bytes]]:
    path = tmp_path_factory.mktemp("torn") / "verdicts.log"
    cache = reopened(path)
    for number, verdict in enumerate(VERDICTS):
        cache.put(SERVER, question(number), verdict)
    yield path, path.read_bytes()


@given(st.data())
def test_a_torn_file_loses_verdicts_and_changes_none(whole: tuple[Path, bytes], data: st.DataObject) -> None:
    path, content = whole
    cut = bytearray(content[: data.draw(st.integers(0, len(content)))])
    for index in data.draw(st.lists(st.integers(0, max(len(cut) - 1, 0)), max_size=3)):
        if cut:
            cut[index] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(cut))
    cache = reopened(path)
    for number, verdict in enumerate(VERDICTS):
        assert cache.get(SERVER, question(number)) in (None, verdict)
    cache.put(SERVER, question(99), ALLOWED)
    assert reopened(path).get(SERVER, question(99)) == ALLOWED, "it is written to again as if nothing had been"


@pytest.mark.parametrize("content", [b"", b"\0" * 5000, b"{}\n", b"[" * 100_000, b"\xff\n\n\n"])
def test_a_file_that_is_none_of_ours_is_an_empty_one(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    cache = reopened(path)
    assert len(cache) == 0
    cache.put(SERVER, question(), ALLOWED)
    assert len(reopened(path)) == 1


def test_where_nothing_can_be_written_it_remembers_still(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    cache = reopened(tmp_path / "file" / "verdicts.log")
    for number in range(3):
        cache.put(SERVER, question(number), ALLOWED)
    assert len(cache) == 3
    assert caplog.text.count("until this hub stops") == 1


def test_what_cannot_be_forgotten_on_the_disk_is_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = reopened(path)
    cache.put(SERVER, question(), ALLOWED)

    def full(*_: object) -> None:
        raise OSError("read-only")

    monkeypatch.setattr("hub.trust.cache.write_durably", full)
    cache.clear()
    assert not path.exists(), "not written anew, so taken away"
    monkeypatch.setattr("hub.trust.cache.remove_durably", full)
    with pytest.raises(StoreError, match="cannot be emptied"):
        cache.clear()
    assert cache.get(SERVER, question()) is None


WRITER = """
import sys
from pathlib import Path
from hub.things.questions import Question, Right, Verdict
from hub.trust.cache import VerdictCache
cache = VerdictCache(Path(sys.argv[1]), 1_000_000, "us")
number = 0
while True:
    cache.put("provisioning.example.org", Question(Right.FRIEND, f"caller{number}@example.org"), Verdict(True))
    number += 1
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


@pytest.mark.parametrize("after", [1, 700, 2000])
def test_a_kill_loses_no_verdict_that_was_taken(path: Path, after: int) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE,
                          cwd=Path(__file__).parents[2], preexec_fn=end_with_parent) as writer:  # fmt: skip
        assert writer.stdout is not None
        taken = 0
        while taken < after:
            taken = int(writer.stdout.readline())
        os.kill(writer.pid, signal.SIGKILL)
    cache = reopened(path, capacity=1_000_000)
    assert all(cache.get(SERVER, Question(Right.FRIEND, f"caller{n}@example.org")) == ALLOWED for n in range(taken))
