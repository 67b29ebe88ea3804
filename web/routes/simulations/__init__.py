"""Simulations on pages: ordered, watched while they run, and what they found."""
