"""Value string tables: the global partition and one local partition per qualified name (section 7.3).

A value met for the first time gets the next number in both partitions. With a bounded capacity the global
numbers go round: the newcomer takes the oldest number, and the string that had it also loses its local
number, which stays behind as a hole, for widths of codes count holes too (7.3.3). The empty string never
enters, nor does a value longer than valueMaxLength.

An encoder finds the number of a string (`numbers`), a decoder the string of a number (`texts`); `add` serves
both and keeps for each only what it needs. A value that was added to a table with room needs no note in the
journal: `cut` takes the youngest back.
"""

from __future__ import annotations

from typing import Final

from .names import Journal, QName
from .native import i64

KEPT_PARTITIONS: Final = 1_000  # that a table takes along when it starts anew
DROPPED_AT_ONCE: Final = 32  # texts without a number at the front of a partition before they are dropped


class Partition:
    """The values first met under one qualified name.

    Numbers are never used twice, and widths of codes count those that are no longer assigned. As the oldest
    value of a table is the first to go, those still assigned are the numbers from `first` on.
    """

    def __init__(self, generation: i64) -> None:
        self.generation: i64 = generation  # of the table, when the partition was last emptied
        self.count: i64 = 0
        self.first: i64 = 0
        self.texts: list[str] = []  # of a decoder, by number less `base`
        self.base: i64 = 0

    def empty(self, generation: i64) -> None:
        """Forget everything."""
        self.generation = generation
        self.count = 0
        self.first = 0
        self.base = 0
        if self.texts:
            self.texts = []

    def text(self, number: i64) -> str | None:
        """The string with a local number; None if the number is not assigned."""
        if number < self.first or number >= self.count:
            return None
        return self.texts[number - self.base]


class ValueTable:
    """All values of one body or session; the lists are indexed by global numbers."""

    def __init__(self, max_length: int | None, capacity: int | None) -> None:
        self.max_length: i64 = -1 if max_length is None else max_length
        self.capacity: i64 = -1 if capacity is None else capacity
        self.numbers: dict[str, int] = {}  # of an encoder
        self.texts: list[str] = []
        self.owners: list[Partition] = []
        self.local_numbers: list[int] = []
        self.partitions: dict[QName, Partition] = {}
        self.generation: i64 = 0
        self.next_global: i64 = 0  # only meaningful once the capacity is used up
        self.characters: i64 = 0  # of all values in the table

    def restart(self, names_too: bool) -> None:
        """Forget everything; partitions of names that stay are used again."""
        if self.texts:
            self.numbers.clear()
            self.texts = []
            self.owners = []
            self.local_numbers = []
        self.generation += 1
        if names_too or len(self.partitions) > KEPT_PARTITIONS:
            self.partitions.clear()
        self.next_global = 0
        self.characters = 0

    def partition(self, qname: QName) -> Partition:
        """The local partition of a name; empty ones need no journal, as they code like absent ones."""
        found = self.partitions.get(qname)
        if found is None:
            found = Partition(self.generation)
            self.partitions[qname] = found
        elif found.generation != self.generation:
            found.empty(self.generation)
        return found

    def add(self, text: str, partition: Partition, decoding: bool, journal: Journal) -> None:
        """Number a string that has just been written or read in full."""
        length: i64 = len(text)
        if length == 0 or self.capacity == 0 or (self.max_length >= 0 and length > self.max_length):
            return
        texts = self.texts
        if self.capacity >= 0 and len(texts) >= self.capacity:
            self.replace(text, partition, decoding, journal)
            return
        if decoding:
            partition.texts.append(text)
        else:
            self.numbers[text] = len(texts)
        texts.append(text)
        self.owners.append(partition)
        self.local_numbers.append(int(partition.count))
        partition.count += 1
        self.characters += length

    def cut(self, count: i64) -> None:
        """Take back all but the first `count` values, where the table was not full."""
        while len(self.texts) > count:
            text = self.texts.pop()
            partition = self.owners.pop()
            self.local_numbers.pop()
            partition.count -= 1
            if partition.texts:
                partition.texts.pop()
            else:
                del self.numbers[text]
            self.characters -= len(text)

    def replace(self, text: str, partition: Partition, decoding: bool, journal: Journal) -> None:
        """Number a string in a full table: round-robin over the global numbers."""
        index = self.next_global
        journal.changed(self, "next_global", int(index))
        self.next_global = index + 1 if index + 1 < self.capacity else 0
        old = self.texts[index]
        journal.changed(self, "characters", int(self.characters))
        self.characters += len(text) - len(old)
        if decoding:
            self.unassign(self.owners[index], journal)
            partition.texts.append(text)
            journal.appended(partition.texts)
        else:
            journal.replaced(self.numbers, old, int(index))
            del self.numbers[old]
            self.numbers[text] = int(index)
            journal.added(self.numbers, text)
        journal.replaced(self.texts, int(index), old)
        self.texts[index] = text
        journal.replaced(self.owners, int(index), self.owners[index])
        self.owners[index] = partition
        journal.replaced(self.local_numbers, int(index), self.local_numbers[index])
        self.local_numbers[index] = int(partition.count)
        journal.changed(partition, "count", int(partition.count))
        partition.count += 1

    def unassign(self, owner: Partition, journal: Journal) -> None:
        """The oldest number of a decoder's partition is no longer assigned; now and then its text is dropped."""
        journal.changed(owner, "first", int(owner.first))
        owner.first += 1
        unused = owner.first - owner.base
        if unused >= DROPPED_AT_ONCE and unused * 2 > len(owner.texts):
            journal.changed(owner, "texts", owner.texts)
            journal.changed(owner, "base", int(owner.base))
            owner.texts = owner.texts[unused:]
            owner.base = owner.first
