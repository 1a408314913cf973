"""`python -m embedded up | down | status | logs | demo | clean` — what the Makefile's targets call."""

from __future__ import annotations

import os
import sys

from embedded import commands
from embedded.console import Console
from embedded.errors import StackError
from shared.errors import CONFIG_EXIT_CODE, ConfigError


def main() -> int:
    name, *arguments = sys.argv[1:] or ["help"]
    console = Console()
    try:
        return commands.COMMANDS[name](console, arguments)
    except KeyError:
        sys.stderr.write(f"usage: python -m embedded {' | '.join(commands.COMMANDS)}\n")
        return 2
    except ConfigError as error:
        for line in str(error).splitlines():
            sys.stderr.write(f"configuration error: {line}\n")
        return CONFIG_EXIT_CODE
    except StackError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except BrokenPipeError:  # `make up | head`: whoever read has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
