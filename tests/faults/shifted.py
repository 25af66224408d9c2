"""A receiver whose clock is off: `python shifted.py SECONDS receiver …`, ahead of all others.

Only what the product asks for the time is told otherwise; the store and the workers are not.
"""

from __future__ import annotations

import sys
import time

from innkeeper_console.cli import main

if __name__ == "__main__":
    ahead, right = float(sys.argv.pop(1)), time.time
    time.time = lambda: right() + ahead
    main()
