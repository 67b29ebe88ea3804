"""Simulations: what people ask for, how it is carried out, and shadows that stand."""
