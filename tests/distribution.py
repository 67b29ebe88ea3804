"""How the tests of a run are spread over its processes: file by file, the longest first.

A file's tests share what a module has set up. Files that use the one `placet up` of the acceptance tests stay together
in one process, so that it runs once for them; one group of all of them would be the last to end. What takes long
begins first, so that at the end no process waits for another.
"""

from __future__ import annotations

import re

import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

BROWSER = "the pages of one installation"
CONTRACT = "the contract of one installation"
PROGRAMS = "the programs that call one installation"
_GROUPS = {
    BROWSER: re.compile(r"tests/acceptance/test_browser(?!_pictures|_story)"),
    CONTRACT: re.compile(r"tests/acceptance/test_(contract|suggestions)"),
    PROGRAMS: re.compile(r"tests/acceptance/test_(agents_guide|canaries|client|mcp)"),
}
# By the seconds that they took; the others follow by their number of tests.
LONGEST: tuple[str, ...] = (
    BROWSER,
    "tests/acceptance/test_faults.py",
    "tests/acceptance/test_crash.py",
    CONTRACT,
    PROGRAMS,
    "tests/acceptance/test_processes.py",
    "tests/acceptance/test_browser_pictures.py",
    "tests/acceptance/test_browser_story.py",
    "tests/acceptance/test_simulations.py",
    "tests/acceptance/test_readme.py",
    "tests/acceptance/test_erasure.py",
    "tests/acceptance/test_backup.py",
    "tests/acceptance/test_chaos.py",
    "tests/acceptance/test_crash_new_request.py",
    "tests/acceptance/test_rolling_upgrade.py",
    "tests/acceptance/test_cluster.py",
    "tests/acceptance/test_crash_actions.py",
    "tests/acceptance/test_bombs.py",
    "tests/acceptance/test_fuzz.py",
    "tests/acceptance/test_untrusted.py",
    "tests/acceptance/test_operations.py",
    "tests/acceptance/test_site.py",
    "tests/acceptance/test_many_at_once.py",
    "tests/acceptance/test_shadow.py",
    "tests/acceptance/test_no_mutation.py",
    "tests/acceptance/test_stopping.py",
    "tests/integration/test_rehearse_properties.py",
    "tests/integration/test_slas.py",
    "tests/integration/test_storage_indexes.py",
    "tests/integration/test_api_access.py",
    "tests/integration/test_large_installation.py",
    "tests/integration/test_suggestions_generated.py",
    "tests/integration/test_cli_edges.py",
    "tests/integration/test_engine_serve.py",
    "tests/unit/test_rehearsal_bounds.py",
    "tests/unit/test_fault_simulator.py",
    "tests/unit/test_check_soundness_nodes.py",
    "tests/unit/test_alerts.py",
    "tests/unit/test_machine_properties.py",
    "tests/unit/test_check_broken.py",
)


class ByFile(LoadScopeScheduling):
    """Hand out files of tests."""

    def _split_scope(self, nodeid: str) -> str:
        """Return what a test is run together with."""
        file = nodeid.split("::", 1)[0]
        return next((group for group, files in _GROUPS.items() if files.match(file)), file)

    def _assign_work_unit(self, node: WorkerController) -> None:
        """Give a process the longest of what is left."""
        self.workqueue.move_to_end(min(self.workqueue, key=self._place), last=False)
        super()._assign_work_unit(node)

    def _place(self, scope: str) -> tuple[int, int]:
        place = LONGEST.index(scope) if scope in LONGEST else len(LONGEST)
        return place, -len(self.workqueue[scope])


@pytest.hookimpl
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling | None:
    """Spread the tests with `--dist loadfile`; None leaves other ways to pytest-xdist."""
    return ByFile(config, log) if config.getvalue("dist") == "loadfile" else None
