"""The command line: a module a group of commands. Presents; what is asked is in `operations`.

Nothing heavy is imported before a command runs, so that `--help` is there at once.
"""

from __future__ import annotations

import sys


def main(argv: list[str] | None = None) -> None:
    """Run `innkeeper` and exit: 0 fine, 1 not fine or no store, 2 wrong usage or configuration."""
    from innkeeper_console.cli.commands import app
    from innkeeper_console.cli.failing import explain_failure

    try:
        app(args=argv, prog_name="innkeeper")
    except BrokenPipeError:
        # Whoever read our output has gone; so may the interpreter's last flush.
        sys.stdout = None
        sys.exit(1)
    except Exception as error:
        sys.exit(explain_failure(error))
