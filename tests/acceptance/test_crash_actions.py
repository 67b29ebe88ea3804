"""Kill -9 of the worker while actions are under way: what may be repeated is, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.processes import Parts, installation
from tests.unit.core import blueprint, graph
from tests.waiting import poll

# Each action, and what the catalog says of it.
ACTIONS: dict[str, dict[str, bool]] = {
    "once": {"is_idempotent": False},
    "again": {"is_idempotent": True},
    "keyed": {"is_idempotent": False, "accepts_key": True},
}


class Ledger:
    """An HTTP service that never answers the first call of an action, and every other one at once."""

    def __init__(self) -> None:
        self.keys: dict[str, list[str | None]] = {name: [] for name in ACTIONS}  # of each call, in order
        self.under_way: set[str] = set()  # whose first call still waits for its answer
        self.over = threading.Event()

    def called(self, name: str, key: str | None) -> bool:
        """Note a call; returns whether it is answered."""
        self.keys[name].append(key)
        if len(self.keys[name]) > 1:
            return True
        self.under_way.add(name)
        self.over.wait()
        return False

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Give its address."""
        ledger = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                if ledger.called(self.path.strip("/"), self.headers["Idempotency-Key"]):
                    self.send_response(204)
                    self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as it is named there
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            self.over.set()
            server.shutdown()
            server.server_close()
            thread.join()


def process() -> dict[str, Any]:
    """All three at once; it is approved where the first has failed and the others have not."""
    nodes: dict[str, dict[str, Any]] = {
        "all": {"type": "fork"},
        **{name: {"type": "action", "action": name, "input": {"body": {"pay": 7}}} for name in ACTIONS},
        "told": {"type": "join"},
    }
    edges = (
        "start -> all",
        *(f"all -> {name}" for name in ACTIONS),
        "once -> rejected on done",
        "once -> told on failed",
        "again -> told",
        "keyed -> told",
        "told -> approved",
    )
    amount = {"name": "amount", "type": "decimal"}
    return blueprint(variables=[amount], graph_spec=graph(*edges, nodes=nodes))


def test_an_action_that_was_under_way_is_sent_again_only_where_that_does_nothing_twice(tmp_path: Path) -> None:
    ledger = Ledger()
    with (
        ledger.serving() as address,
        installation(tmp_path / "home", PLACET_ACTION_HOSTS=address, PLACET_ACTION_PRIVATE="1") as place,
    ):
        parts = Parts(place)
        for name, metadata in ACTIONS.items():
            config = {"url": f"http://{address}/{name}", "method": "POST"}
            entry = {"name": name, "executor": "http", "latency_class": "fast", "config": config, **metadata}
            parts.caller("olivia")("POST", "action-catalog/", entry, expect=201)
        parts.publish(process())
        request = parts.ask("Test")["id"]
        poll(lambda: ledger.under_way == set(ACTIONS), what="all three calls")
        assert [len(keys) for keys in ledger.keys.values()] == [1, 1, 1]
        parts.worker.kill()
        parts.restart_worker()

        def ended() -> dict[str, Any] | None:
            shown = dict(parts.caller("ann")("GET", f"requests/{request}/"))
            return shown if shown["status"] != "pending" else None

        # The engine gives the lost attempts up after the 30 seconds of their latency class.
        assert poll(ended, seconds=180, what="the end of the request")["outcome"] == "approved"
        assert len(ledger.keys["once"]) == 1
        assert len(ledger.keys["again"]) >= 2
        assert len(ledger.keys["keyed"]) >= 2
        assert set(ledger.keys["keyed"]) == {f"{request}:keyed:1"}
        items = parts.timeline(request)
        came_to = {item["detail"]["node"]: item for item in items if item["kind"] in {"action_run", "action_failed"}}
        kinds = {name: item["kind"] for name, item in came_to.items()}
        assert kinds == {"once": "action_failed", "again": "action_run", "keyed": "action_run"}
        assert "did not end in time" in came_to["once"]["detail"]["why"]
        parts.verified(request)
