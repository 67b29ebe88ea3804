"""How a page looks and is used, for tests: findings of axe, its width, its frame, and what the Tab key reaches.

A page is loaded once and looked at as on a wide screen and on a phone, in light and in dark.
"""

from __future__ import annotations

from typing import Any

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

from tests.browser import Visitor

WIDTHS = (1400, 360)
_HALF = 700  # the wide screen at a zoom of 200 %
_SERIOUS = {"serious", "critical"}
# What colours can change; all else is the same in the dark.
_OF_COLOURS = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}

_FRAME = """() => {
  const said = [], count = document.querySelectorAll("h1").length;
  if (count !== 1) said.push(`${count} headings of the first level`);
  if (!document.title.trim()) said.push("no title");
  if (!document.documentElement.lang) said.push("no language");
  return said;
}"""

# Elements that can be used, and what each looks like without the focus; then each that gets the focus is compared.
_WATCH = """() => {
  const all = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")];
  const group = one => [...document.getElementsByName(one.name)];
  const radio = one => one.type === "radio" && one !== (group(one).find(other => other.checked) || group(one)[0]);
  const usable = one => !one.disabled && one.tabIndex >= 0 && one.type !== "hidden" && !one.closest("[inert]") &&
    one.checkVisibility({visibilityProperty: true}) && one.getClientRects().length > 0 && !radio(one);
  const look = one => [one, one.parentElement, ...[...one.querySelectorAll("*")].slice(0, 20)].map(each => {
    const style = getComputedStyle(each);
    return [style.outlineStyle === "none" ? "" : style.outline, style.boxShadow, style.borderColor,
            style.backgroundColor, style.stroke, style.strokeWidth].join();
  }).join("|");
  const named = one => one.outerHTML.replace(/\\s+/g, " ").slice(0, 140);
  const waiting = new Map(all.filter(usable).map(one => [one, look(one)]));
  window.looks = {waiting: () => [...waiting.keys()].map(named), left: () => waiting.size, unseen: []};
  document.addEventListener("focusin", event => {
    const one = event.target;
    if (!waiting.has(one)) return;
    if (look(one) === waiting.get(one)) window.looks.unseen.push(named(one));
    waiting.delete(one);
  });
  document.activeElement?.blur?.();
  document.body.tabIndex = -1;
  document.body.focus();
  document.body.removeAttribute("tabindex");
  window.scrollTo(0, 0);
  return waiting.size;
}"""
_TABS_AT_ONCE = 20

# What a page is wider than its window by: the innermost elements that reach beyond it.
_TOO_WIDE = """() => {
  if (document.documentElement.scrollWidth <= innerWidth) return [];
  const within = one => one !== document.body &&
    (getComputedStyle(one).overflowX !== "visible" || within(one.parentElement));
  const beyond = [...document.body.querySelectorAll("*")].filter(
    one => one.getBoundingClientRect().right > innerWidth && !within(one.parentElement));
  const inner = beyond.filter(one => !beyond.some(other => one !== other && one.contains(other)));
  return (inner.length ? inner : [document.body]).slice(0, 3).map(one => one.outerHTML.slice(0, 160));
}"""


def look_at(visitor: Visitor, name: str) -> list[str]:
    """Return what is wrong with the page that is shown."""
    page = visitor.page
    page.wait_for_load_state()
    found = [f"{name}: {said}" for said in page.evaluate(_FRAME)]
    page.evaluate(AXE_SCRIPT)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        visitor.picture(name)
        found += [f"{name} scrolls sideways at {width}: {said}" for said in page.evaluate(_TOO_WIDE)]
        found += [f"{name} at {width}: {said}" for said in _axe(page, {})]
        page.emulate_media(color_scheme="dark")
        visitor.picture(f"{name} in the dark")
        found += [f"{name} at {width} in the dark: {said}" for said in _axe(page, _OF_COLOURS)]
        page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": _HALF, "height": 900})
    found += [f"{name} scrolls sideways at {_HALF}: {said}" for said in page.evaluate(_TOO_WIDE)]
    page.set_viewport_size({"width": WIDTHS[-1], "height": 900})
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    found += [f"{name} scrolls sideways on a phone with large letters: {said}" for said in page.evaluate(_TOO_WIDE)]
    page.evaluate("document.documentElement.style.fontSize = ''")
    page.set_viewport_size({"width": WIDTHS[0], "height": 900})
    return [*found, *(f"{name}: {said}" for said in by_keyboard(page))]


def by_keyboard(page: Page) -> list[str]:
    """Press Tab through a page; return what it does not reach, and what does not show that it has the focus."""
    usable: int = page.evaluate(_WATCH)
    for _ in range((3 * usable) // _TABS_AT_ONCE + 2):  # a date has several stops
        for _ in range(_TABS_AT_ONCE):
            page.keyboard.press("Tab")
        if page.evaluate("window.looks.left()") == 0:
            break
    missed, unseen = page.evaluate("[window.looks.waiting(), window.looks.unseen]")
    return [f"Tab does not reach {one}" for one in missed] + [f"the focus is not seen on {one}" for one in unseen]


def _axe(page: Page, options: dict[str, Any]) -> list[str]:
    violations = page.evaluate(
        "options => axe.run(document, options).then(found => found.violations)",
        options | {"resultTypes": ["violations"]},
    )
    return [
        f"{one['id']} {[node['html'][:120] for node in one['nodes'][:3]]}"
        for one in violations
        if one["impact"] in _SERIOUS
    ]
