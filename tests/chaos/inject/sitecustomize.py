"""Found by Python at its start because tests put this folder on PYTHONPATH.

Installs the fault points into a service.
"""

import os
import sys

if os.environ.get("FAULT_DIR"):
    for argument in sys.orig_argv:
        if argument.startswith("services."):
            from tests.chaos import fault_points

            fault_points.install(argument.partition(".")[2])
