"""Build the site: `python -m docs.site` writes build/site, which can be opened from the file system."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from docs.site.build import ROOT, SiteInvalid, build


def main() -> int:
    """Build the site, and return the exit code: 1 where the generator warns of anything."""
    parser = argparse.ArgumentParser(prog="python -m docs.site", description=__doc__)
    parser.add_argument("--into", type=Path, default=ROOT / "build", help="the folder of the site's sources and pages")
    folder = parser.parse_args().into
    try:
        site = build(folder)
    except SiteInvalid as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{site / 'index.html'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
