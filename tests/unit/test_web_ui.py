"""The Temporal Web UI as `placet up` shows it: its lists have the columns of requests, unless somebody chose others."""

from __future__ import annotations

import base64
import hashlib
import json
import re

from cli.pages.web_ui import COLUMNS, script_of, with_script
from workflows import search_attributes

POLICY = "script-src 'strict-dynamic' 'sha256-abc='"
PAGE = f'<html><head><meta http-equiv="content-security-policy" content="{POLICY}"></head><body></body></html>'


def test_the_columns_say_what_a_request_is_about() -> None:
    assert {key.name for key in search_attributes.ALL} - set(COLUMNS) == {search_attributes.VERSION.name}
    assert COLUMNS[0] == "Status"


def test_the_script_comes_before_all_others_and_the_pages_own_policy_allows_it() -> None:
    page = with_script(PAGE, script_of(["default", "placet-rehearsal"]))
    script = page.partition("<head><script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}' 'strict-dynamic' 'sha256-abc='" in page
    assert '["default", "placet-rehearsal"]' in script
    columns = re.search(r"\[\{.*?\}\]", script)
    assert columns is not None
    assert json.loads(columns[0]) == [{"label": name} for name in COLUMNS]


def test_what_is_no_page_of_the_web_ui_is_left_alone() -> None:
    assert with_script("<p>not ready</p>", "x") == "<p>not ready</p>"
