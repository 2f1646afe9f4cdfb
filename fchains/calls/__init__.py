"""Calls: from `.remote()` to an outcome, on whatever runner."""
