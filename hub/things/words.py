"""Values and qualities in the words that people read: the command line's and the dashboard's alike."""

from __future__ import annotations

from devices.base import Value
from hub.things.model import Quality
from hub.things.values import to_text

GOOD = (Quality.AUTOMATIC_READOUT, Quality.AUTOMATIC_READOUT | Quality.MANUAL_READOUT | Quality.SIGNED)


def quality_words(quality: Quality) -> list[str]:
    return [str(flag.name).lower().replace("_", "-") for flag in quality]


def quality_text(quality: Quality) -> str:
    """Empty for a plain good value: there is nothing to say of it."""
    return "" if quality in GOOD else " ".join(quality_words(quality))


def value_text(value: Value) -> str:
    """As people say it: a switch is on or off."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return to_text(value)
