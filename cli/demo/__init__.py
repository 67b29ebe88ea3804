"""The chapters of `placet demo`, and how they are told."""
