"""Benchmarks: the agent beside its baselines, measured side by side in one run (docs/benchmarks.md)."""
