"""Build the site: copy what people have written, write what the code says, and hand both to the generator."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from docs.site import navigation, pages
from docs.site.reference import write_reference

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
CONFIGURATION = HERE / "zensical.toml"
# What a page would load from elsewhere, and the copy beside the site that it loads instead.
COPIES = {"https://unpkg.com/iframe-worker/shim": "iframe_worker.js"}
_LOADED = re.compile(r"""<(?:script|img|iframe|source)\b[^>]*\bsrc="([^"]+)"|<link\b[^>]*\bhref="([^"]+)""")
_SECONDS = 600


class SiteInvalid(Exception):
    """The site has a fault: a link that leads nowhere, a page without a place, or whatever the generator warns of."""


def build(folder: Path) -> Path:
    """Build the site from sources in `folder`/docs, and return `folder`/site; raises SiteInvalid."""
    sources, site = folder / "docs", folder / "site"
    for old in (sources, site):
        shutil.rmtree(old, ignore_errors=True)
    sources.mkdir(parents=True)
    pages.copy(ROOT, sources)
    write_reference(sources / "reference")
    (sources / "decisions" / "index.md").write_text(navigation.listed("Decisions", sources, "decisions/0*.md"))
    for name in ("extra.css", *COPIES.values()):
        shutil.copy(HERE / name, sources / name)
    configuration = navigation.expanded(CONFIGURATION.read_text(), sources)
    (folder / "zensical.toml").write_text(configuration)
    without = navigation.pages_without_a_place(configuration, sources)
    if without:
        raise SiteInvalid(f"name these pages in the navigation of docs/site/{CONFIGURATION.name}: {', '.join(without)}")
    _generate(folder)
    for page in site.rglob("*.html"):
        _keep_here(page, site)
    return site


def _generate(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--clean", "--strict"],
        cwd=folder,
        env={"NO_COLOR": "1", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise SiteInvalid(done.stdout + done.stderr)


def _keep_here(page: Path, site: Path) -> None:
    """Have a page load the copies of this site; raises SiteInvalid where it would load anything else from elsewhere."""
    text = page.read_text()
    up = "../" * (len(page.relative_to(site).parts) - 1)
    for address, name in COPIES.items():
        text = text.replace(f'src="{address}"', f'src="{up}{name}"')
    loaded = ["".join(found) for found in _LOADED.findall(text)]
    elsewhere = sorted({address for address in loaded if re.match(r"(?:[a-z]+:)?//", address)})
    if elsewhere:
        raise SiteInvalid(f"{page.relative_to(site)} would load {', '.join(elsewhere)}; put copies beside the site")
    page.write_text(text)
