"""mosquitto with TLS on a free port, and mqtt-io with mock sensors connected to it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from hub.demo.prosody import free_port
from tests.benchmarks.measure import Child

ONLINE = "Connected to MQTT"  # what mqtt-io logs when the broker has accepted it

BROKER = """\
listener {port} 127.0.0.1
cafile {certificates}/ca.pem
certfile {certificates}/cert.pem
keyfile {certificates}/key.pem
allow_anonymous true
persistence false
{user}
"""


class Broker:
    """`certificates` is a folder with ca.pem, cert.pem and key.pem."""

    def __init__(self, folder: Path, certificates: Path) -> None:
        self.port = free_port()
        self._ca_file = certificates / "ca.pem"
        self._folder = folder
        program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        if program is None:
            raise RuntimeError("mosquitto is not installed")
        config = folder / "mosquitto.conf"
        user = "user root" if os.geteuid() == 0 else ""
        config.write_text(BROKER.format(port=self.port, certificates=certificates, user=user))
        self.process = Child([program, "-c", str(config)], folder / "mosquitto.log")
        self.process.wait_for_log("running")

    def mqtt_io(self, python: str, sensors: list[str], interval_s: int = 1) -> Child:
        """mqtt-io with one mock sensor per name, each read and published every `interval_s` seconds."""
        config = self._folder / "mqtt-io.json"  # JSON is YAML
        config.write_text(
            json.dumps({
                "mqtt": {"host": "127.0.0.1", "port": self.port, "topic_prefix": "bench",
                         "tls": {"enabled": True, "ca_certs": str(self._ca_file)}},
                "sensor_modules": [{"name": "mock", "module": "mock"}],
                "sensor_inputs": [{"name": name, "module": "mock", "interval": interval_s} for name in sensors],
            })
        )  # fmt: skip
        log = self._folder / "mqtt-io.log"
        log.unlink(missing_ok=True)
        return Child([python, "-m", "mqtt_io", str(config)], log, cwd=self._folder)
