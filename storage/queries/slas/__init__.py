"""What is stored of SLAs: their definitions, the executions that they have judged, and the breaches."""
