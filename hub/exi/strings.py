"""Value string tables: the global partition and one local partition per qualified name (section 7.3).

A value met for the first time gets the next number in both partitions. With a bounded capacity the global
numbers go round: the newcomer takes the oldest number, and the string that had it also loses its local
number, which stays behind as a hole, for widths of codes count holes too (7.3.3). The empty string never
enters, nor does a value longer than valueMaxLength.

`ValueTable` serves an encoder (find the number of a string) and a decoder (find the string of a number)
alike.
"""

from __future__ import annotations

from .names import Journal, QName
from .native import i64


class Value:
    """One string of the table and where it is numbered."""

    def __init__(self, text: str, owner: QName, local_id: i64, global_id: i64) -> None:
        self.text = text
        self.owner = owner  # under which name it was first met
        self.local_id: i64 = local_id
        self.global_id: i64 = global_id
        self.shadowed: Value | None = None  # the same string, numbered before by a peer that sent it twice


class Partition:
    """The values first met under one qualified name.

    Numbers are never used twice, and widths of codes count those that are no longer assigned; what is kept
    are the values still in the table, so a long session with a bounded table needs bounded memory.
    """

    def __init__(self) -> None:
        self.count: i64 = 0
        self.values: dict[int, Value] = {}


class ValueTable:
    """All values of one body or session. Values know names, not partitions: nothing here is a cycle."""

    def __init__(self, max_length: int | None, capacity: int | None) -> None:
        self.max_length: i64 = -1 if max_length is None else max_length
        self.capacity: i64 = -1 if capacity is None else capacity
        self.by_text: dict[str, Value] = {}
        self.global_values: list[Value] = []
        self.partitions: dict[QName, Partition] = {}
        self.next_global: i64 = 0  # only meaningful once the capacity is used up
        self.characters: i64 = 0  # of all values in the table

    def partition(self, qname: QName) -> Partition:
        """The local partition of a name; empty ones need no journal, as they code like absent ones."""
        found = self.partitions.get(qname)
        if found is None:
            found = Partition()
            self.partitions[qname] = found
        return found

    def add(self, text: str, qname: QName, journal: Journal) -> None:
        """Number a string that has just been written or read in full."""
        length: i64 = len(text)
        if length == 0 or self.capacity == 0 or (self.max_length >= 0 and length > self.max_length):
            return
        values = self.global_values
        if self.capacity >= 0 and len(values) >= self.capacity:
            self.replace(text, qname, journal)
            return
        partition = self.partition(qname)
        value = Value(text, qname, partition.count, len(values))
        value.shadowed = self.by_text.get(text)
        values.append(value)
        partition.values[int(partition.count)] = value
        partition.count += 1
        self.by_text[text] = value
        self.characters += length
        journal.numbered(self, value)

    def forget(self, value: Value) -> None:
        """Take back the latest addition, if the table was not full then."""
        self.global_values.pop()
        self.characters -= len(value.text)
        partition = self.partition(value.owner)
        partition.count -= 1
        del partition.values[int(partition.count)]
        if value.shadowed is None:
            del self.by_text[value.text]
        else:
            self.by_text[value.text] = value.shadowed

    def replace(self, text: str, qname: QName, journal: Journal) -> None:
        """Number a string in a full table: round-robin over the global numbers."""
        index = self.next_global
        journal.changed(self, "next_global", int(index))
        self.next_global = index + 1 if index + 1 < self.capacity else 0
        old = self.global_values[index]
        journal.changed(self, "characters", int(self.characters))
        self.characters += len(text) - len(old.text)
        place = self.partition(old.owner).values
        journal.replaced(place, int(old.local_id), old)
        del place[int(old.local_id)]
        if self.by_text.get(old.text) is old:
            journal.replaced(self.by_text, old.text, old)
            del self.by_text[old.text]
        partition = self.partition(qname)
        value = Value(text, qname, partition.count, index)
        journal.replaced(self.global_values, int(index), old)
        self.global_values[index] = value
        partition.values[int(partition.count)] = value
        journal.added(partition.values, int(partition.count))
        journal.changed(partition, "count", int(partition.count))
        partition.count += 1
        if text not in self.by_text:
            self.by_text[text] = value
            journal.added(self.by_text, text)
