#!/usr/bin/env python3
"""`innkeeper replay` by another name: posts captured deliveries from a file to a receiver."""

from __future__ import annotations

import sys

from innkeeper_console.cli import main

if __name__ == "__main__":
    main(["replay", *sys.argv[1:]])
