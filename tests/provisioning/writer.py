"""A program that writes until it is killed, and says each thing once the store has acknowledged it.

python -m tests.provisioning.writer WHERE NAME
"""

from __future__ import annotations

import asyncio
import sys
from decimal import Decimal

from hub.provisioning.model import Rule, ThingId
from hub.provisioning.sql import Limits
from hub.provisioning.stores import store_at
from hub.things.questions import Right


async def main(where: str, name: str) -> None:
    store = store_at(where, Limits(rules_per_owner=100_000))
    await store.open()
    number = 0
    while True:
        number += 1
        note = f"{name} {number}"
        await store.add_rule(Rule(Right.READ, True, owner="owner@x", note=note))
        print(f"rule {note}", flush=True)
        await store.register(ThingId(f"{name}{number}@x"), {"SN": note, "N": Decimal(number)}, self_owned=True)
        print(f"thing {note}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
