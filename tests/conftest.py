"""What every test can ask for: a real Temporal server (tests.engine) and both real databases (tests.databases)."""

pytest_plugins = ["tests.engine", "tests.databases"]
