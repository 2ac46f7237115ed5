"""Text from elsewhere, made fit for a terminal or a log."""

from __future__ import annotations


def printable(text: str) -> str:
    """`text` without control characters: what a peer sent must not move the cursor, or write lines of its own."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
