"""Quality and speed of what is learned from the past, in parts that are sections of `python -m tests.bench` each."""
