"""Benchmarks: each figure with its limit, measured in the same run (docs/benchmarks.md)."""
