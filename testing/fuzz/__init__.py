"""The API under random and hostile input: python -m testing.fuzz."""
