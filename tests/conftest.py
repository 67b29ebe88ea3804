"""What every test can ask for: a real Temporal server (tests.engine), both real
databases (tests.databases), a real mail server (tests.mailbox), and a real HTTP server (tests.receiver)."""

pytest_plugins = ["tests.engine", "tests.databases", "tests.mailbox", "tests.receiver"]
