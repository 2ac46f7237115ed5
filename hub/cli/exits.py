"""Exit codes, and every error in one sentence that says what to do."""

from __future__ import annotations

import sys
from typing import Any

import click

from devices.base import DeviceError
from hub.cli.text import printable
from hub.errors import ConfigError, HubError, LinkError, PeerSilent

EXIT_CODES = """\b
Exit codes:
  0    done
  1    the answer is no: refused, faults found, nothing arrived
  2    the command line is wrong
  3    no link: server, certificate or password
  4    the hub did not answer in time
  130  interrupted
"""

NO, USAGE, NO_LINK, SILENT, INTERRUPTED = 1, 2, 3, 4, 130


def guarded(command: click.Command, arguments: list[str] | None) -> Any:
    try:
        command.main(args=arguments, prog_name="hub", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(USAGE if isinstance(error, click.UsageError) else NO)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has gone: nothing left to say
        sys.exit(NO)
    except (HubError, DeviceError) as error:
        sys.exit(report(error))
    except click.exceptions.Exit as ended:
        sys.exit(ended.exit_code)


def report(error: Exception) -> int:
    """Say it and return the exit code."""
    ours = isinstance(error, ConfigError | LinkError)  # may have several lines; the others may quote a peer
    click.echo(str(error) if isinstance(error, ConfigError) else f"hub: {error if ours else printable(str(error))}",
               err=True)  # fmt: skip
    if isinstance(error, LinkError):
        return NO_LINK
    return SILENT if isinstance(error, PeerSilent) else NO
