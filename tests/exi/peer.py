"""EXIficient, a Java codec, as the other side: fetched with Maven, compiled and run where Java and Maven are.

Opt in with HUB_EXI_PEER=1, as it fetches packages: tests and benchmarks ask `available` first.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

JAVA = Path(__file__).with_name("java")
SECONDS = 600  # for Maven to fetch, and for a benchmark to warm up
CODING = {
    "bit-packed": "BIT_PACKED",
    "byte-packed": "BYTE_PACKED",
    "pre-compression": "PRE_COMPRESSION",
    "compression": "COMPRESSION",
}


def available() -> bool:
    """Whether the peer was asked for and can be built."""
    tools = all(shutil.which(tool) for tool in ("java", "javac", "mvn"))
    return tools and os.environ.get("HUB_EXI_PEER") == "1"


@cache
def build() -> str:
    """The class path of the compiled peer."""
    target = Path(tempfile.gettempdir()) / "hub-exi-peer"
    libraries = target / "lib"
    if not libraries.is_dir():
        command = ["mvn", "-q", "-B", "-f", str(JAVA / "pom.xml"), "dependency:copy-dependencies"]
        subprocess.run([*command, f"-DoutputDirectory={libraries}"], check=True, timeout=SECONDS)
    source = str(JAVA / "Peer.java")
    subprocess.run(["javac", "-cp", f"{libraries}/*", "-d", str(target), source], check=True, timeout=SECONDS)
    return f"{target}:{libraries}/*"


def run(*arguments: str) -> list[str]:
    """The lines that the peer prints."""
    command = ["java", "-cp", build(), "Peer", *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=SECONDS)
    return done.stdout.splitlines()
