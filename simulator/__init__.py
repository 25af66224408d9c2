"""Stand-ins for the marketplaces: the other side. Imports nothing of the product."""
