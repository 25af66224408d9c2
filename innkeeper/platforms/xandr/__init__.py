"""Xandr: sends nothing; its list of app installations is read."""
