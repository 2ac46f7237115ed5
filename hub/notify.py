"""Telling systemd how we are (sd_notify(3)): ready, reloading, stopping, alive. Without systemd it all does nothing."""

from __future__ import annotations

import os
import socket
import time


def _send(message: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.sendto(message.encode(), address)
    except OSError:
        return  # the one who asked to be told does not listen: not our trouble


def ready(status_text: str) -> None:
    _send(f"READY=1\nSTATUS={status_text}")


def reloading() -> None:
    """systemd wants the moment too (Type=notify-reload)."""
    _send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")


def stopping() -> None:
    _send("STOPPING=1")


def status(text: str) -> None:
    _send(f"STATUS={text}")


def alive() -> None:
    _send("WATCHDOG=1")


def watchdog_interval() -> float | None:
    """Seconds between two signs of life, half of what systemd allows; None when it does not watch."""
    usec = os.environ.get("WATCHDOG_USEC", "")
    if not usec.isdigit() or os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(usec) / 2_000_000
