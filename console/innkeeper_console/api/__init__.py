"""The console's HTTP API: what operators ask and do, a module a resource. Knows no terminal."""

from innkeeper_console.api.app import create_app

__all__ = ["create_app"]
