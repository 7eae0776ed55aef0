"""Faults under load, and what clients lose by them: python -m testing.chaos (docs/chaos.md)."""
