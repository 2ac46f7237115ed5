"""Pictures and Parquet of a history. The libraries are extras, and are said when they are missing."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hub.errors import HubError
from hub.things.values import to_text

SWITCH = {"true": 1.0, "false": 0.0}
INCHES, DPI = (10.0, 3.0), 120


def draw(lines: Sequence[dict[str, Any]], target: str) -> None:
    """Curves into a PNG file, or into the terminal when `target` is `-`. Raises HubError."""
    curves = curves_of(lines)
    if not curves:
        raise HubError("nothing of it can be drawn: there are no numbers and no switches")
    if target == "-":
        _terminal(curves)
    elif target.lower().endswith(".png"):
        _png(curves, Path(target))
    else:
        raise HubError(f"{target!r} is neither a .png file nor - for the terminal")


def curves_of(lines: Sequence[dict[str, Any]]) -> dict[str, list[tuple[Any, float]]]:
    """(moment, value) by `thing.field (unit)`; means where there are some."""
    curves: dict[str, list[tuple[Any, float]]] = {}
    for line in lines:
        text = line["mean"] if "mean" in line else line["value"]
        try:
            value = SWITCH[text] if text in SWITCH else float(text)
        except ValueError:
            continue
        unit = f" ({line['unit']})" if line["unit"] else ""
        curves.setdefault(f"{line['thing']}.{line['field']}{unit}", []).append((line["time"], value))
    return curves


def _png(curves: dict[str, list[tuple[Any, float]]], path: Path) -> None:
    matplotlib = _library("matplotlib", "plot")
    matplotlib.use("Agg")
    pyplot = importlib.import_module("matplotlib.pyplot")
    figure, axes = pyplot.subplots(
        len(curves), 1, sharex=True, squeeze=False, figsize=(INCHES[0], INCHES[1] * len(curves)), layout="constrained"
    )
    for (name, points), (axis,) in zip(curves.items(), axes, strict=True):
        axis.plot([moment for moment, _ in points], [value for _, value in points], linewidth=1)
        axis.set_title(name, loc="left", fontsize=10)
        axis.grid(alpha=0.3)
    figure.autofmt_xdate()
    try:
        figure.savefig(path, dpi=DPI)
    except OSError as error:
        raise HubError(f"{path} cannot be written: {error}") from None
    finally:
        pyplot.close(figure)


def _terminal(curves: dict[str, list[tuple[Any, float]]]) -> None:
    plotext = _library("plotext", "plot")
    plotext.clear_figure()
    plotext.date_form("Y-m-d H:M:S")
    for name, points in curves.items():
        moments = [f"{moment.astimezone():%Y-%m-%d %H:%M:%S}" for moment, _ in points]
        plotext.plot(moments, [value for _, value in points], label=name)
    plotext.theme("clear")
    plotext.show()


def parquet(lines: Sequence[dict[str, Any]], columns: Sequence[str], path: Path) -> None:
    """A table with a column for each of `columns`: moments as such, figures as numbers, all else as text."""
    pyarrow = _library("pyarrow", "parquet")
    writer = importlib.import_module("pyarrow.parquet")
    arrays = {name: _column(pyarrow, name, [line[name] for line in lines]) for name in columns}
    try:
        writer.write_table(pyarrow.table(arrays), path)
    except OSError as error:
        raise HubError(f"{path} cannot be written: {error}") from None


def _column(pyarrow: Any, name: str, cells: list[Any]) -> Any:
    if name == "time":
        return pyarrow.array(cells, pyarrow.timestamp("ms", tz="UTC"))
    if name == "count":
        return pyarrow.array([int(cell) for cell in cells], pyarrow.int64())
    if name in ("mean", "min", "max", "last"):
        return pyarrow.array([float(cell) for cell in cells], pyarrow.float64())
    return pyarrow.array([cell if isinstance(cell, str) else to_text(cell) for cell in cells], pyarrow.string())


def _library(name: str, extra: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise HubError(f"{name} is not installed: pip install 'xmpp-iot-hub[{extra}]'") from None
