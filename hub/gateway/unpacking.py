"""Schemas that come as EXI (XEP-0322, "Uploading compressed schema files") to XSD text, in a process of their own.

Rules of this file
* The options are those of the text: EXI's defaults, prefixes preserved, the schema of schemas. A body has no header;
  the header of a document may say other options, but no other schema.
* What comes out is what the client's file says, and not its bytes: no size and no hash can be told from it.
* The child reads one file and writes another, within `Bounds`; what it makes of the input is bounded before it is made.
* Run as `python -m hub.gateway.unpacking FOLDER CPU_SECONDS MEMORY_BYTES FILE_BYTES SIZE DEPTH`.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Final

from hub import exi
from hub.exi import schemas
from hub.exi.header import read_header
from hub.gateway.bounds import Bounds
from hub.gateway.compilation import REFUSED, confine, judged, one_line, run_child
from hub.gateway.xsdfile import SchemaRefused

INPUT: Final = "upload.exi"
OUTPUT: Final = "upload.xsd"
HEADER: Final = b"\x80"  # EXI 1.0 section 5: no cookie, no options, version 1
DOCUMENT: Final = "ExiDocument"


async def unpacked(data: bytes, content_type: str, bounds: Bounds, scratch: Path) -> bytes:
    """XSD text. `content_type`: ExiBody or ExiDocument. Raises SchemaRefused, NotCompiled."""
    with tempfile.TemporaryDirectory(dir=scratch, prefix="unpack-") as name:
        folder = Path(name)
        stream = data if content_type == DOCUMENT else HEADER + data
        await asyncio.to_thread((folder / INPUT).write_bytes, stream)
        size = bounds.schema_size
        limits = (bounds.compile_cpu, bounds.compile_memory, size, size, bounds.schema_depth)
        status, said = await run_child(__name__, folder, limits, bounds.compile_time)
        judged(status, said, bounds)
        return await asyncio.to_thread((folder / OUTPUT).read_bytes)


# ---------------------------------------------------------------------------------------------- the child


def text_of(stream: bytes, size: int, depth: int) -> bytes:
    """`size`: bytes that the text may have; `depth` in elements. Raises DecodeError, SchemaRefused."""
    limits = exi.Limits(depth=depth, string_length=size, decoded_size=4 * size, table_size=4 * size)
    options = exi.Options(preserve=frozenset({"prefixes"}), limits=limits)
    header = read_header(stream, options)
    if header.options is not None and (
        header.schema_less or header.options.schema_id not in (None, schemas.SCHEMA_OF_SCHEMAS)
    ):
        raise SchemaRefused(f"its header names another schema than {schemas.SCHEMA_OF_SCHEMAS}")
    text = exi.to_xml(stream, schemas.schema_of_schemas(), options)
    if len(text) > size:
        raise SchemaRefused(f"it has more than {size} bytes")
    return text


def main(folder: str, *numbers: str) -> int:
    cpu, memory, largest, size, depth = map(int, numbers)
    confine(cpu, memory, largest)
    try:
        text = text_of((Path(folder) / INPUT).read_bytes(), size, depth)
        (Path(folder) / OUTPUT).write_bytes(text)
    except exi.DecodeError as error:
        print(one_line(f"it is no EXI of a schema: {error}"), file=sys.stderr)
        return REFUSED
    except (SchemaRefused, MemoryError) as error:
        print(one_line(str(error) or "it needs too much memory"), file=sys.stderr)
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
