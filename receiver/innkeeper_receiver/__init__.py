"""The HTTP edge: takes deliveries in, proves them, stores them, answers. Knows no worker."""
