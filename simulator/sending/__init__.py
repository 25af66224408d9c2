"""How the marketplaces tell it: webhooks, attempts, and what goes wrong on the way."""
