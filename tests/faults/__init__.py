"""The fault simulator: the real workflow, recorder and dispatcher in one process, under faults that a seed chooses."""
