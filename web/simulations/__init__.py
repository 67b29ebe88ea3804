"""Simulations as pages: ordering one, watching it, its branches and rows, and two timelines side by side."""
