"""Find or make a Temporal server, run it beside Placet, and prepare it."""
