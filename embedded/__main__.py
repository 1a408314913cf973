"""`python -m embedded COMMAND`: what the Makefile's targets call."""

from __future__ import annotations

import os
import sys

from embedded import commands
from embedded.console import Console
from embedded.demo import demo
from embedded.errors import StackError
from embedded.servers import passwords
from embedded.upkeep import backup, upgrade
from shared.errors import CONFIG_EXIT_CODE, ConfigError

COMMANDS: dict[str, commands.Command] = {
    "up": commands.up,
    "down": commands.down,
    "open": commands.open_console,
    "status": commands.status,
    "logs": commands.logs,
    "stop": commands.stop,
    "start": commands.start,
    "kafka-groups": commands.kafka_groups,
    "backup": backup.backup,
    "restore": backup.restore,
    "upgrade": upgrade.upgrade,
    "downgrade": upgrade.downgrade,
    "clean": commands.clean,
    "demo": demo,
}


def main() -> int:
    name, *arguments = sys.argv[1:] or ["help"]
    command = COMMANDS.get(name)
    if command is None:
        sys.stderr.write(
            f"usage: python -m embedded {' | '.join(COMMANDS)}\n"
        )
        return 2
    os.umask(0o077)  # state, logs and data are their owner's
    try:
        passwords.provide()
        return command(Console(), arguments)
    except ConfigError as error:
        for line in str(error).splitlines():
            sys.stderr.write(f"configuration error: {line}\n")
        return CONFIG_EXIT_CODE
    except StackError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except (
        BrokenPipeError
    ):  # `make up | head`: whoever reads has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
