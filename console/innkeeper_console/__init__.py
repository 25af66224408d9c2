"""Operators' side: HTTP API, command line, and `up` with its embedded servers."""
