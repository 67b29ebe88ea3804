"""The action of a request in a real browser: wide and on a phone, in light and dark, with long and hostile values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser import Visitors
from tests.contract import Placet, open_tasks

HOSTILE: dict[str, Any] = {
    "amount": 82000,
    "currency": "EUR",
    "to": {
        "name": "Nordwind GmbH",
        "accounts": [{"iban": "DE02120300000000202051"}, {"iban": "DE02500105170137075030"}],
    },
    "<script>document.title = 'taken'</script>": "<img src=x onerror=\"document.title = 'taken'\">",
    "turned": "invoice\u202egpj.exe",
    "a" * 300: "b" * 3000,
    "note": "First line\nsecond line",
}


@pytest.mark.parametrize("width", [360, 1400])
def test_an_action_is_read_decided_and_claimed(placet: Placet, visit: Visitors, width: int) -> None:
    expires_at = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    action = {"type": "payment", "target": "DE02120300000000202051", "parameters": HOSTILE, "expires_at": expires_at}
    template = placet.publish(placet.process({"approvers": ["user:max"]}))
    request = placet.start(template, title=f"Pay Nordwind, {width}", action=action)
    (task,) = open_tasks(request).values()
    visitor = visit("max", width=width)
    page = visitor.go("/")
    page.locator(f'[data-row-id="{task}"] [data-pick]').check()
    page.get_by_role("button", name="Decide the selected…").click()
    expect(page.locator(".results .bound")).to_contain_text("b" * 3000)
    assert visitor.findings(f"several decisions with an action, {width}") == []
    page = visitor.go(f"/tasks/{task}")
    section = page.locator("#action")
    expect(section).to_contain_text("What will be done")
    expect(section).to_contain_text("to → accounts → #2 → iban")
    expect(section).to_contain_text("invoice\\u{202e}gpj.exe")
    expect(section).to_contain_text("b" * 3000)
    top, decides = (page.locator(one).bounding_box() for one in ("#action", "#decide"))
    assert top is not None
    assert decides is not None
    assert width > 360 or top["y"] < decides["y"], "who decides on a phone has come past the action"
    assert visitor.findings(f"task with an action, {width}") == []
    page.get_by_role("button", name="Approve", exact=True).click()
    page.wait_for_url("**done=**")
    asker = visit("rita", width=width)
    page = asker.go(f"/requests/{request['id']}")
    expect(page.locator("#action .pill")).to_contain_text("can be claimed")
    placet.post("rita", f"requests/{request['id']}/claim/", {"action": action})
    page = asker.go(f"/requests/{request['id']}")
    expect(page.locator("#action")).to_contain_text("Claimed by")
    expect(page.locator("#history")).to_contain_text("claimed the approved action")
    assert asker.findings(f"request with a claimed action, {width}") == []
    assert "taken" not in page.title()
