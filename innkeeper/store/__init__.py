"""The store: the only code that knows Redis (Valkey). `keys.py` lists every key."""
