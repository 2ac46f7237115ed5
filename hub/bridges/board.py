"""What the broker should hold and does not hold yet: the newest payload of every retained topic.

Rules of this file
* Sans-IO. Memory is bounded by the number of topics: a payload that a newer one has overtaken is forgotten, so after an
  hour without a broker the newest state is sent, once.
* At most `WINDOW` publications wait for their acknowledgement; a topic has at most one under way, so that the newest is
  the last to arrive.
"""

from __future__ import annotations

WINDOW = 20


class Board:
    """`put` what should be there; `take` what has to be sent, and say when it is `settled`. An empty payload takes a
    topic off the broker."""

    def __init__(self) -> None:
        self._wanted: dict[str, bytes] = {}
        self._waiting: dict[str, None] = {}
        self._under_way: dict[str, bytes] = {}

    @property
    def is_settled(self) -> bool:
        return not self._waiting and not self._under_way

    @property
    def waiting(self) -> int:
        """Topics of which the broker does not have the newest yet."""
        return len(self._waiting.keys() | self._under_way.keys())

    def wanted(self, topic: str) -> bytes | None:
        return self._wanted.get(topic)

    def topics(self) -> list[str]:
        return list(self._wanted)

    def put(self, topic: str, payload: bytes) -> None:
        if self._wanted.get(topic) != payload:
            self._wanted[topic] = payload
            self._waiting[topic] = None

    def put_last(self, topic: str, payload: bytes) -> None:
        """The same, sent again in any case and behind everything that waits now."""
        self._waiting.pop(topic, None)
        self._wanted.pop(topic, None)
        self.put(topic, payload)

    def take(self) -> tuple[str, bytes] | None:
        """The next to be sent; None when there is none, or too many are under way."""
        if len(self._under_way) >= WINDOW:
            return None
        topic = next((topic for topic in self._waiting if topic not in self._under_way), None)
        if topic is None:
            return None
        del self._waiting[topic]
        self._under_way[topic] = self._wanted[topic]
        return topic, self._wanted[topic]

    def settled(self, topic: str) -> None:
        """The broker has it."""
        payload = self._under_way.pop(topic, None)
        if payload == b"" and self._wanted.get(topic) == b"":
            del self._wanted[topic]
            self._waiting.pop(topic, None)  # something else was wanted in between, and no longer

    def begin(self) -> None:
        """A new connection: nobody knows what the broker has kept."""
        self._under_way.clear()
        self._waiting = dict.fromkeys(self._wanted)
