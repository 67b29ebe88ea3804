"""Answers of the API tell browsers to run nothing, to guess no type, and to keep nothing."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256

import httpx
import pytest

from api import app as api

PATHS = ["openapi.json", "docs", "nothing-here", "static/swagger-ui/swagger-ui.css"]


async def answer(path: str, *, base: str = "https://placet.example", method: str = "GET") -> httpx.Response:
    """Ask the application, which needs neither context nor database for these paths."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=api._application()), base_url=base) as client:
        return await client.request(method, f"/api/v1/{path}")


@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_of_the_api_has_the_headers(path: str) -> None:
    headers = (await answer(path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert ("default-src 'none'" in headers["content-security-policy"]) is (path != "docs")
    assert (headers.get("cache-control") == "no-store") is not path.startswith("static")


async def test_browsers_are_held_to_https_only_where_they_came_by_it() -> None:
    assert (await answer("openapi.json")).headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
    assert "strict-transport-security" not in (await answer("openapi.json", base="http://localhost")).headers


async def test_the_page_of_the_api_may_run_its_own_scripts_and_no_others() -> None:
    page = await answer("docs")
    policy = page.headers["content-security-policy"]
    (script,) = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    assert f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" in policy
    (scripts,) = re.findall(r"script-src ([^;]+)", policy)
    assert "unsafe" not in scripts


async def test_trace_is_not_answered() -> None:
    assert (await answer("openapi.json", method="TRACE")).status_code == 405
