"""`python -m tests.simulator [PORT]`: serve until Ctrl-C, and print the settings that point a stack here."""

import sys
import threading

from tests.simulator.server import Simulator

with Simulator(int(sys.argv[1]) if len(sys.argv) > 1 else 0) as upstream:
    sys.stdout.write("".join(f"export {name}='{value}'\n" for name, value in upstream.settings().items()))
    sys.stdout.flush()
    threading.Event().wait()
