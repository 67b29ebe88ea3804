"""A language model for tests: a server on loopback that speaks OpenAI's protocol and gives the answers of a script."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer: a text, an HTTP status in its place, a refusal, or nothing until the test ends (`silent`)."""

    text: str | None = None
    status: int = 200
    refusal: str | None = None
    silent: bool = False


@dataclass
class ScriptedModel:
    """What a model was asked, and what it answers: one after the other, the last one again and again."""

    answers: list[Answer]
    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    was_asked: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    def next(self, body: dict[str, Any], key: str | None) -> Answer:
        """Note what was asked, and return the answer."""
        self.asked.append(body)
        self.keys.append(key)
        self.was_asked.set()
        return self.answers[min(len(self.asked), len(self.answers)) - 1]

    @property
    def told(self) -> list[list[dict[str, Any]]]:
        """The messages of each call."""
        return [body["messages"] for body in self.asked]


@contextmanager
def scripted_model(*answers: str | Answer) -> Iterator[ScriptedModel]:
    """Run a model that answers so."""
    model = ScriptedModel([Answer(text=one) if isinstance(one, str) else one for one in answers])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = model.next(body, self.headers.get("Authorization"))
            if answer.silent:
                model.over.wait(30)
                return
            message = {"role": "assistant", "content": answer.text, "refusal": answer.refusal}
            document = {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1_760_000_000,
                "model": body["model"],
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
            }
            if answer.status != 200:
                document = {"error": {"message": f"no, {self.headers.get('Authorization')}", "type": "server_error"}}
            sent = json.dumps(document).encode()
            self.send_response(answer.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    model.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield model
    finally:
        model.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
