"""Innkeeper, the front desk of a SaaS vendor's marketplace apps.

A vendor's follow-up functions need only what is exported here: the two errors with which
they say what is to happen next.
"""

from innkeeper.lifecycle.errors import Permanent, Temporary

__all__ = ["Permanent", "Temporary"]
