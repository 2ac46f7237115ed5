"""`hub check`, `config-schema` and `devices`: nothing is connected, nothing is touched."""

from __future__ import annotations

import dataclasses
from importlib import resources
from pathlib import Path
from typing import Any

import click

import devices
from devices.base import Driver, FieldSpec, OutputDriver, ParameterSpec
from devices.settings import meaning, settings_of
from hub.cli import show
from hub.cli.exits import NO
from hub.config.file import load, load_dashboard, load_gateway, load_provisioning, service_of
from hub.config.schema import schema
from hub.errors import ConfigError


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--example", "example", flag_value="example", help="Print a commented file to start from.")
@click.option("--gateway-example", "example", flag_value="example_gateway", help="The same for a gateway.")
@click.option("--provisioning-example", "example", flag_value="example_provisioning",
              help="The same for a provisioning server.")
@click.option("--dashboard-example", "example", flag_value="example_dashboard", help="The same for a dashboard.")
def check(file: Path | None, example: str | None) -> None:
    """Check a configuration FILE: every fault at once, with what would be right. Exit code 1 when there is one."""
    if example is not None:
        click.echo(resources.files("hub.config").joinpath(f"{example}.toml").read_text(encoding="utf-8"), nl=False)
        return
    if file is None:
        raise click.UsageError("name a FILE, or ask for --example")
    try:
        match service_of(file):
            case "gateway":
                gateway = load_gateway(file, {})
                click.echo(f"{file}: good: a gateway for {', '.join(gateway.domains)}")
                return
            case "provisioning":
                click.echo(f"{file}: good: the provisioning server {load_provisioning(file).jid}")
                return
            case "dashboard":
                _check_dashboard(file)
                return
        config = load(file)
    except ConfigError as error:
        click.echo(str(error))  # the faults are what was asked for: on standard output
        raise SystemExit(NO) from None
    for missing in config.missing_files():
        click.echo(f"{file}: note: {missing}", err=True)
    if config.trust is None and not (config.access.read or config.access.control):
        click.echo(f"{file}: note: [access] lets nobody read or control anything", err=True)
    click.echo(f"{file}: good: {config.xmpp.jid} with {len(config.things)} things")


def _check_dashboard(file: Path) -> None:
    config = load_dashboard(file)
    for missing in config.missing_files():
        click.echo(f"{file}: note: {missing}", err=True)
    page = config.dashboard
    named = len(page.named)
    of = f"{named} hub{'s' * (named != 1)}" if named else f"the hubs of the {page.hubs}"
    users = f"those who log in ({len(page.users)})" if page.users else "this machine only"
    click.echo(f"{file}: good: a dashboard for {of}, on {page.listen} for {users}")


@click.command("config-schema")
def config_schema() -> None:
    """Print the JSON Schema of a configuration file, for editors."""
    show.print_json(schema())


@click.command("devices")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="For programs: JSON on standard output.")
def devices_(name: str | None, as_json: bool) -> None:
    """List the drivers, or show the settings, fields and parameters of one."""
    chosen = [devices.find(name)] if name else sorted(devices.drivers(), key=lambda driver: driver.NAMES[0])
    if as_json:
        show.print_json([_as_json(driver) for driver in chosen])
    elif name:
        _describe(chosen[0])
    else:
        table = show.table("driver", "what it is")
        for driver in chosen:
            table.add_row(", ".join(driver.NAMES), driver.TITLE)
        show.console().print(table)


def _describe(driver: type[Driver]) -> None:
    console = show.console()
    console.print(f"{driver.TITLE}\n{driver.DATASHEET}\n", markup=False)
    settings = show.table("setting", "what it takes", "default")
    for key, annotation in settings_of(driver.Config).items():
        settings.add_row(key, meaning(annotation, key), _default(driver, key))
    console.print(settings)
    if fields_of(driver):
        fields = show.table("field", "type", "unit", "range", "what it is")
        for spec in fields_of(driver):
            fields.add_row(spec.name, spec.type.value, spec.unit, _range(spec), spec.description)
        console.print("", fields)
    if issubclass(driver, OutputDriver) and driver.PARAMETERS:
        parameters = show.table("parameter", "allowed", "what it does")
        for parameter in driver.PARAMETERS:
            parameters.add_row(parameter.name, parameter.limits(), parameter.description)
        console.print("", parameters)


def fields_of(driver: type[Driver]) -> tuple[FieldSpec, ...]:
    """A driver's fields; of one that takes them from its settings, those of the defaults."""
    try:
        return driver(driver.Config(), None).fields  # type: ignore[arg-type]  # it touches nothing before `open`
    except TypeError:  # a setting that must be given
        return driver.FIELDS


def _default(driver: type[Driver], key: str) -> str:
    field = next(field for field in dataclasses.fields(driver.Config) if field.name == key)
    if field.default is dataclasses.MISSING:
        return "(must be given)" if field.default_factory is dataclasses.MISSING else "none"
    return f"0x{field.default:02x}" if key == "address" else str(field.default)


def _range(spec: FieldSpec) -> str:
    if spec.minimum is None or spec.maximum is None:
        return ""
    return f"{spec.minimum:g} to {spec.maximum:g}"


def _as_json(driver: type[Driver]) -> dict[str, Any]:
    parameters: tuple[ParameterSpec, ...] = driver.PARAMETERS if issubclass(driver, OutputDriver) else ()
    return {
        "names": list(driver.NAMES),
        "title": driver.TITLE,
        "datasheet": driver.DATASHEET,
        "settings": {key: meaning(annotation, key) for key, annotation in settings_of(driver.Config).items()},
        "fields": [{"name": spec.name, "type": spec.type.value, "unit": spec.unit} for spec in fields_of(driver)],
        "parameters": [{"name": p.name, "type": p.type.value, "allowed": p.limits()} for p in parameters],
    }
