"""`python -m embedded.servers.broker NUMBER`: one of several brokers of Kafka.

One whose disk was lost while the others go on joins them anew when it is started again.
"""

from __future__ import annotations

import os
import sys

from embedded.errors import StackError
from embedded.servers import kafka
from embedded.settings import StackSettings
from shared.runtime.settings import load


def main() -> None:
    settings = load(StackSettings)
    broker = kafka.brokers(settings)[int(sys.argv[1]) - 1]
    try:
        kafka.prepare_one(settings, broker)
    except StackError as error:
        raise SystemExit(str(error)) from error
    command = kafka.command(settings, broker)
    os.execv(command[0], command)  # noqa: S606  that is what it is for


if __name__ == "__main__":
    main()
