"""`python -m tests.simulator [PORT [ADDRESS]]`.

Serve until Ctrl-C, and print the settings that point a stack here.
"""

import sys
import threading

from tests.simulator.server import Simulator

port, address = (
    sys.argv[1] if len(sys.argv) > 1 else 0,
    (sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1"),
)
with Simulator(int(port), address) as upstream:
    sys.stdout.write(
        "".join(
            f"export {name}='{value}'\n"
            for name, value in upstream.settings().items()
        )
    )
    sys.stdout.flush()
    threading.Event().wait()
