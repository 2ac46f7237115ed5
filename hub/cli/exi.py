"""`hub exi encode`, `decode`, `compile` and `info`: the codec from the command line, on files or standard input.

With a header that carries options (`--header-options`), decoding needs none of the options given again.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from hub import exi
from hub.errors import HubError
from hub.exi.options import ALIGNMENTS, PRESERVABLE


class ExiFailed(HubError):
    """What the codec says, as an error of the command line."""


@click.group("exi")
def group() -> None:
    """XML ↔ EXI: a stream in a fraction of its bytes."""


def _shared(command: Callable[..., None]) -> Callable[..., None]:
    """The arguments and options that `encode` and `decode` have in common."""
    for option in reversed((
        click.argument("source", type=click.File("rb"), default="-"),
        click.option("-o", "--output", type=click.File("wb"), default="-", help="A file.  [default: standard output]"),
        click.option("--schema", "schemas", multiple=True, type=click.Path(path_type=Path), help="An XSD file."),
        click.option("--grammars", type=click.Path(path_type=Path), help="A compiled grammar file instead."),
        click.option("--alignment", type=click.Choice(ALIGNMENTS), default="bit-packed", show_default=True),
        click.option("--strict", is_flag=True, help="Only what the schema allows."),
        click.option("--fragment", is_flag=True, help="Several roots, one after the other."),
        click.option("--preserve", multiple=True, type=click.Choice(sorted(PRESERVABLE)), help="What to keep."),
        click.option("--block-size", type=int, default=1_000_000, show_default=True, help="Values per block."),
        click.option("--value-max-length", type=int, help="Longest string that enters the tables."),
        click.option("--value-partition-capacity", type=int, help="Most strings in the tables."),
        click.option("--schema-id", help="What the header names; empty: XSD types only."),
    )):  # fmt: skip
        command = option(command)
    return command


@group.command()
@_shared
@click.option("--header-options", is_flag=True, help="Put the options into the header.")
@click.option("--cookie", is_flag=True, help="Begin with $EXI.")
def encode(source: Any, output: Any, header_options: bool, cookie: bool, **settings: Any) -> None:
    """XML text in, an EXI stream out."""
    if output.isatty():
        raise ExiFailed("EXI is binary and not for a terminal: name a file with -o, or send it down a pipe")
    _convert(exi.from_xml, source, output, settings, header_options=header_options, cookie=cookie)


@group.command()
@_shared
def decode(source: Any, output: Any, **settings: Any) -> None:
    """An EXI stream in, XML text out."""
    _convert(exi.to_xml, source, output, settings)


def _convert(
    convert: Callable[[bytes, exi.Grammars | None, exi.Options], bytes], source: Any, output: Any,
    settings: dict[str, Any], **header: Any,
) -> None:  # fmt: skip
    schemas, file = settings.pop("schemas"), settings.pop("grammars")
    if schemas and file:
        raise click.UsageError("--schema and --grammars are two ways to say the same: give one of them")
    try:
        grammars = exi.Grammars.read(file) if file else exi.load_schemas(schemas) if schemas else None
        options = exi.Options(**{**settings, "preserve": frozenset(settings["preserve"])}, **header)
        output.write(convert(source.read(), grammars, options))
    except (exi.EXIError, OSError) as error:
        raise ExiFailed(str(error)) from None


@group.command("compile")
@click.argument("schemas", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The grammar file to write.")
def compile_(schemas: tuple[Path, ...], output: Path) -> None:
    """XSD files, and all they import, to one compact grammar file that loads without a schema library."""
    try:
        exi.load_schemas(schemas).write(output)
    except (exi.EXIError, OSError) as error:
        raise ExiFailed(str(error)) from None
    click.echo(f"{output}: {output.stat().st_size} bytes", err=True)


@group.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
def info(file: Path | None) -> None:
    """Say which form of the codec runs and its limits; of a grammar FILE, what it knows."""
    click.echo(f"codec: {'compiled' if exi.compiled else 'plain Python'}, Python {sys.version.split()[0]}")
    if file is None:
        for limit in dataclasses.fields(exi.Limits):
            click.echo(f"limit {limit.name.replace('_', ' ')}: {getattr(exi.Limits(), limit.name):,}")
        return
    try:
        grammars = exi.Grammars.read(file)
    except (exi.EXIError, OSError) as error:
        raise ExiFailed(str(error)) from None
    click.echo(f"{file}: {file.stat().st_size} bytes, {len(grammars.elements)} global elements in these namespaces:")
    for uri in sorted({grammars.qnames[qname].uri for qname, _ in grammars.elements}):
        click.echo(f"  {uri or '(no namespace)'}")
