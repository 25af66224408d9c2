"""A receiver that soon asks an issuer for its keys anew: `python hasty.py receiver …`.

What takes the product a minute, and an hour, takes a test no longer. Nothing else is different.
"""

from __future__ import annotations

from innkeeper_console.cli import main
from innkeeper_receiver import discovery

RETRY_SECONDS = 0.3
FRESH_SECONDS = 0.6

if __name__ == "__main__":
    discovery.RETRY_SECONDS = RETRY_SECONDS
    discovery.FRESH_SECONDS = FRESH_SECONDS
    main()
