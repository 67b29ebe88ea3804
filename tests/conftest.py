"""What every test can ask for: a real Temporal server (tests.engine), both real
databases (tests.databases), a real mail server (tests.mailbox), and a real HTTP server (tests.receiver)."""

import os
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

# The same examples in every run, whatever it draws: a run tells of a change, and not of luck. To look for what nobody
# has met yet, `pytest --hypothesis-profile=search` draws others. A slow machine is no failure in either.
settings.register_profile(
    "placet", derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
)
settings.register_profile("search", settings.get_profile("placet"), derandomize=False)
settings.load_profile("placet")

pytest_plugins = ["tests.distribution", "tests.engine", "tests.databases", "tests.mailbox", "tests.receiver"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    """Run each test with the umask of an ordinary login; commands that are run in a test change it for the process."""
    before = os.umask(0o022)
    try:
        return (yield)
    finally:
        os.umask(before)
