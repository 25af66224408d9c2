"""Rebilly."""
