"""The experiments, each a fault and its end. See `catalogue`."""
