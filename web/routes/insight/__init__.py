"""Pages of what the past shows: SLAs and their breaches, and event logs of other systems."""
