"""The API under random and hostile input: python -m apps.core.testing.fuzz."""
