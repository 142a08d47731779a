"""The program: ``chargepoint`` and ``python -m chargepoint``."""

import sys

from chargepoint.cli import main

if __name__ == "__main__":
    sys.exit(main())
