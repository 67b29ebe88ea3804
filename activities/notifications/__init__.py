"""Notices leave from here: what is written, to whom, over which channel, and again until it has arrived."""
