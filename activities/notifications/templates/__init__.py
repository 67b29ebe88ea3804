"""Templates of notifications: the sandboxed language, the shipped defaults, and the values that templates may name."""
