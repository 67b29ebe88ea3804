"""What runs: workers, couriers and callers, and the store as they reach it."""
