"""`placet up`: one small process that forks the others, passes on what they log, and starts again those that end.

It loads all libraries once and never starts a thread, an event loop or the Temporal SDK, so that it can fork at any
time.
"""
