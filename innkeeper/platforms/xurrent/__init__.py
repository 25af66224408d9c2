"""Xurrent (formerly 4me, white-labelled as R-Service)."""
