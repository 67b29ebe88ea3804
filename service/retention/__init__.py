"""Retention: how long what is kept, and the run that deletes what is older."""
