"""The walk of an operator over one machine, as docs/operations.md describes it, under load."""
