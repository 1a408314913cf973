"""`crypto-ingest`, or `python -m crypto_ingest`"""

from __future__ import annotations

import sys

from crypto_ingest.app import app
from crypto_ingest.errors import CommandError
from crypto_ingest.output import errors, plain


def main() -> None:
    """Ends with an exit code of `errors`; typer sees to wrong use, Ctrl-C and closed pipes."""
    try:
        app()
    except CommandError as error:
        errors.print(f"[red]error:[/] {plain(error)}")
        sys.exit(error.code)


if __name__ == "__main__":
    main()
