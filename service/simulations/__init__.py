"""Simulations: starting and showing them, background jobs, the modes, and shadows."""
