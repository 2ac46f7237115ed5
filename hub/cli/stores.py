"""The store of a provisioning server, for the commands that work on it beside the running service."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

import click

from hub.config.file import load_provisioning
from hub.errors import StoreError
from hub.provisioning.store import Store

DEFAULT_CONFIG: Final = Path("/etc/hub/provisioning.toml")
T = TypeVar("T")

config_option = click.option("--config", type=click.Path(path_type=Path), default=DEFAULT_CONFIG, show_default=True)


def with_store(config: Path, work: Callable[[Store], Awaitable[T]]) -> T:
    """Raises ConfigError and StoreError."""
    from hub.programs.provisioning import store_of

    settings = load_provisioning(config)
    if not settings.store and not (settings.state_folder / "provisioning.sqlite").exists():
        raise StoreError(f"there is no store in {settings.state_folder} yet: the service makes it when it first runs. "
                         "If it is elsewhere, name it: provisioning.state_dir or provisioning.store.")  # fmt: skip

    async def opened() -> T:
        store = store_of(settings)
        await store.open()
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(opened())
