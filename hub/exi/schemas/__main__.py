"""`python -m hub.exi.schemas [FOLDER]`: compile the XSD files of each set, and the schema of schemas, into the
grammar files that ship.

Needs the library xmlschema (the extra `schemas`). Without FOLDER the files beside this one are replaced.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from hub.exi.errors import SchemaError
from hub.exi.grammarfile import dumps
from hub.exi.schemas import SETS, canonical_schema, files
from hub.exi.xsd import load_schemas, schema_of_schemas

HERE = Path(__file__).parent


def compiled(set_: str) -> bytes:
    """The grammar file of a set, from its XSD files. Raises SchemaError."""
    imported = [(file.namespace, (HERE / file.name).as_uri()) for file in files(set_)]
    with tempfile.TemporaryDirectory() as folder:
        wrapper = Path(folder) / f"{set_}.xsd"
        wrapper.write_text(canonical_schema(imported), encoding="utf-8")
        return dumps(load_schemas([wrapper]))


def main(arguments: list[str]) -> int:
    folder = Path(arguments[0]) if arguments else HERE
    try:
        made = {set_: compiled(set_) for set_ in SETS} | {"xsd": dumps(schema_of_schemas())}
        for name, data in made.items():
            (folder / f"{name}.exig").write_bytes(data)
            print(f"{folder / name}.exig: {len(data)} bytes")
    except (SchemaError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
