"""SLAs of processes and stages, as pure functions: what they measure, their verdicts, and the figures of a window."""
