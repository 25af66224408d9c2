"""What is so on the marketplaces: customers, their instances, and what happens to them."""
