"""`placet test`: read suites of scenarios, and tell what came of them."""
