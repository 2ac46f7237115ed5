"""Builds the compiled form of hub.exi where that can be done; everything else about the package is in pyproject.toml.

    pip install .                       compiles the hot files of the codec with mypyc where a C compiler finds Python's
                                        headers (Debian: gcc, libc6-dev, python3-dev), else installs them as they are
    HUB_EXI_PURE=1 pip install .        does not try
    HUB_EXI_COMPILE=1 pip install .     fails where it cannot be done, and says why (`pip -v` says it in any case)

Rules of this file
* An install never fails because of the compiled form, unless that was asked for: whatever goes wrong, from no compiler
  to little memory to a module that does not load, ends in plain Python. `hub exi info` says which form is installed.
* Editable installs stay plain: they are for work on the sources.
* mypy is fetched here, and not named in pyproject.toml, because an installer gives up when what is named there cannot
  be had, as on a processor for which part of it is not built. Only ready-built packages are taken: an older mypy does.
* Every build starts in a new folder, and takes it away: none finds what another one left.

One C file per module (`multi_file`): a codec as fast and a build as long as with one for all (30 s of processor time on
a PC), but the C compiler needs 80 MiB in place of 330; mypyc itself takes 270. One library per module (`separate`)
takes nearly twice as long and three times the space.

Do not mark classes `@mypyc_attr(acyclic=True)`, which promises speed. Such an object has no header for the garbage
collector, but mypyc (2.4) still frees it through the interpreter's trashcan, which from the fiftieth nested object on
keeps its list in that header: it overwrites the memory in front of the object.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build import build

BUILD = Path("build")  # setuptools takes only sources whose path is relative
MYPY = "mypy>=1.18"
NEEDED_MIB = 400  # of memory in the machine: mypyc and the C compiler take 350 together
COMPILED = [
    "bits",
    "lexical",
    "names",
    "strings",
    "datatypes",
    "states",
    "grammars",
    "tables",
    "codewriter",
    "attributewriter",
    "encoder",
    "codereader",
    "decoder",
    "channels",
    "blocks",
    "sinks",
    "elements",
    "stream",
]
WORKS = """\
import sys
sys.path.insert(0, "")
from xml.etree import ElementTree as ET
from hub import exi
assert exi.compiled
assert exi.decode(exi.encode(ET.fromstring("<a b='1'>c</a>"))).text == "c"
"""


class NotBuilt(Exception):
    """The compiled form cannot be made here; says why."""


def run(what: str, *command: str | Path, folder: Path | None = None) -> None:
    """Run a program; its output is told only if it fails."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              cwd=folder, text=True, errors="replace", check=False)  # fmt: skip
    except OSError as error:
        raise NotBuilt(f"{what}: {error}") from None
    if done.returncode:
        raise NotBuilt(f"{what}:\n{done.stdout.strip()}")


def check_memory() -> None:
    """A machine that swaps for an hour is worse than a slow codec."""
    mib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
    if mib < NEEDED_MIB and not os.environ.get("HUB_EXI_COMPILE"):
        raise NotBuilt(f"this machine has {mib} MiB of memory; {NEEDED_MIB} are needed")


def check_compiler(folder: Path) -> None:
    """Compile next to nothing, before anything is fetched for the compiler to do."""
    source = folder / "trial.c"
    source.write_text("#include <Python.h>\nint main(void) { return 0; }\n")
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    headers = {sysconfig.get_path("include"), sysconfig.get_path("platinclude")}
    run("no C compiler that finds Python's headers", *compiler, *(f"-I{each}" for each in sorted(headers)), "-c",
        source, "-o", folder / "trial.o")  # fmt: skip


def fetch_mypy(folder: Path) -> None:
    """Make mypyc importable: the one that is here, or one of its own."""
    try:
        importlib.import_module("mypyc.build")
    except ImportError:
        pip: list[str | Path] = [sys.executable, "-I", "-m", "pip"]
        if subprocess.run([*pip, "--version"], capture_output=True, check=False).returncode:
            # Not every front end has a pip where it builds
            run("no pip", sys.executable, "-I", "-m", "venv", folder / "venv")
            pip[0] = folder / "venv/bin/python"
        run("mypy cannot be installed", *pip, "install", "--quiet", "--disable-pip-version-check",
            "--only-binary=:all:", "--target", folder / "mypy", MYPY)  # fmt: skip
        sys.path.insert(0, str((folder / "mypy").resolve()))
        importlib.invalidate_caches()


def extensions(folder: Path) -> list[Extension]:
    """The extension modules of the codec, as C."""
    mypycify: Callable[..., list[Extension]] = importlib.import_module("mypyc.build").mypycify
    options = ["--config-file=", "--ignore-missing-imports", f"--cache-dir={folder / 'cache'}"]
    return mypycify(
        [*options, *(f"hub/exi/{name}.py" for name in COMPILED)],
        opt_level=os.environ.get("MYPYC_OPT_LEVEL", "3"),
        debug_level=os.environ.get("MYPYC_DEBUG_LEVEL", "0"),
        multi_file=True,
        group_name="hub_exi",
        target_dir=str(folder / "c"),
    )


class CheckedBuild(build):
    """A build whose compiled form has been tried before it goes into a package."""

    def run(self) -> None:
        super().run()
        # Who asked for it may have asked for more, as a sanitizer, which does not load by itself
        if not os.environ.get("HUB_EXI_COMPILE"):
            run("the compiled form does not work", sys.executable, "-c", WORKS, folder=Path(self.build_lib))


def kept_in(folder: Path) -> dict[str, dict[str, str]]:
    """Options of setuptools that keep all it writes in a folder; a list of files there would outlive a failed try."""
    folder.mkdir()
    return {"build": {"build_base": str(folder)}, "egg_info": {"egg_base": str(folder)}}


def set_up_compiled(folder: Path) -> None:
    """What `setup` does, with the compiled form. Exits with 1 where that does not work."""
    try:
        check_memory()
        check_compiler(folder)
        fetch_mypy(folder)
        print("compiling hub.exi: half a minute on a PC, several minutes on a small machine", flush=True)
        setup(
            ext_modules=extensions(folder),
            cmdclass={"build": CheckedBuild},
            options=kept_in(folder / "compiled"),
        )
    except NotBuilt as error:
        sys.exit(str(error))


def main() -> None:
    if "bdist_wheel" not in sys.argv:
        setup()
        return
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="hub-exi.", dir=BUILD) as made:
        folder = BUILD / Path(made).name
        if not os.environ.get("HUB_EXI_PURE"):
            # In a process of its own: one that is killed for its memory does not take the install along
            child = multiprocessing.get_context("fork").Process(target=set_up_compiled, args=(folder,))
            child.start()
            child.join()
            if child.exitcode == 0:
                return
            if os.environ.get("HUB_EXI_COMPILE"):
                sys.exit("hub.exi could not be compiled, which HUB_EXI_COMPILE asks for: see above")
        print("hub.exi stays plain Python", file=sys.stderr, flush=True)
        setup(options=kept_in(folder / "plain"))


main()
