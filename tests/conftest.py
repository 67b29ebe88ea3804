"""What every test can ask for: a real Temporal server (tests.engine), both real
databases (tests.databases), and a real mail server (tests.mailbox)."""

pytest_plugins = ["tests.engine", "tests.databases", "tests.mailbox"]
