"""Forecasts for open requests: the past of a process read from the store, learned from, and kept for a while."""
