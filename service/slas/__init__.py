"""SLAs: their definitions, what is judged by them, and the breaches that people acknowledge."""
