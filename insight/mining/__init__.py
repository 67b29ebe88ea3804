"""Mining: what the past of a process suggests to change in its blueprint, with the evidence for it.

`history` is what is read, `mine` runs every miner over it, and a `Finding` (`suggestion`) is what comes out. Nothing
here does I/O or reads a clock. docs/suggestions.md has each criterion and its statistics in plain words.
"""
