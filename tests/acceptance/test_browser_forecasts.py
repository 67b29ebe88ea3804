"""The forecast beside an open request in a real browser: on the request's page, and on a page of its own."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser import Visitors, started
from tests.contract import Placet
from tests.page_looks import look_at

# As the page writes it with enough past requests, with a long text in each place.
SAID = """<h2>When it may be finished</h2><p><strong>4 Mar 2026, 10:12</strong> (<time>in 2 days</time>)
<span class="sub">as likely earlier as later</span></p>
<p>With a chance of 80 % between 3 Mar 2026, 09:40 and 9 Mar 2026, 15:05.</p>
<p>The chance that its next deadline, 4 Mar 2026, 09:00, is missed is 21 %.</p>
<p class="hint">Worked out from 640 finished requests of this version, in 100 runs of what may follow. Of 122 later
requests, 81 % finished in their range; 80 % would be exact. The Brier score of 118 chances to miss a deadline was 0.094
(0 is best, always saying one half gives 0.25). That it is withdrawn or moved to another version is left out.</p>"""


def test_the_forecast_stands_at_the_side_of_an_open_request(placet: Placet, visit: Visitors) -> None:
    request = started(placet, "A forecast")
    rita = visit("rita")
    page = rita.go(f"/requests/{request['id']}")
    panel = page.locator("section#forecast")
    expect(panel.get_by_role("heading", name="When it may be finished")).to_be_visible()
    expect(panel).to_contain_text("Too few requests of this version have finished to say: 100 are needed.")
    panel.evaluate("(panel, said) => { panel.innerHTML = said }", SAID)
    assert look_at(rita, "beside a request") == []
    rita.go(f"/requests/{request['id']}/forecast")
    page.locator("section#forecast").evaluate("(panel, said) => { panel.innerHTML = said }", SAID)
    assert look_at(rita, "a forecast") == []
