"""What Placet runs with is known, and has licences that are allowed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests import sbom
from tests.sbom import Part

ROOT = Path(__file__).parents[2]
LICENCES = (ROOT / "docs" / "licences.md").read_text()
ALLOWED = set(re.findall(r"^\| `([^`]+)` \| [^|]+ \|$", LICENCES, re.MULTILINE))
BY_NAME = set(re.findall(r"^\| `([^`]+)` \| [^|]+ \| [^|]+ \|$", LICENCES, re.MULTILINE))


def allowed(licence: str) -> bool:
    """Tell whether one may run with something of this licence, an SPDX expression without brackets."""
    return any(set(either.split(" AND ")) <= ALLOWED for either in licence.split(" OR "))


def test_every_part_has_a_licence_that_is_allowed() -> None:
    wrong = [
        f"{part.name} {part.version} ({part.kind}): {part.licence or 'no licence is known'}"
        for part in sbom.parts()
        if part.name not in BY_NAME and not allowed(part.licence)
    ]
    remedy = "Not in the table of docs/licences.md; read the licence, add it with the reason, or take another library:"
    assert not wrong, "\n".join([remedy, *wrong])


@pytest.mark.parametrize(
    ("licence", "may"),
    [
        ("MIT", True),
        ("Apache-2.0 AND MIT", True),
        ("GPL-3.0-only OR MIT", True),
        ("GPL-3.0-only", False),
        ("AGPL-3.0-or-later", False),
        ("MIT AND GPL-2.0-only", False),
        ("", False),  # none is known
    ],
)
def test_a_licence_is_allowed_where_all_of_one_choice_is(licence: str, may: bool) -> None:
    assert allowed(licence) is may


def test_the_table_names_no_part_that_is_not_there() -> None:
    assert {part.name for part in sbom.parts()} >= BY_NAME


def test_the_libraries_of_the_bill_are_those_that_are_locked() -> None:
    # Several versions of one are for several versions of Python.
    locked = set(re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    differ = [part for part in sbom.python_parts() if (part.name, part.version) not in locked]
    assert differ == [], "run `make install`, so that what is installed is what requirements.lock says"


def test_every_module_of_the_engine_is_in_the_bill() -> None:
    lines = (ROOT / "engine" / "go.mod").read_text().splitlines()
    required = {line.split()[0] for line in lines if re.match(r"\t\S+ v\d", line)}
    assert {part.name for part in sbom.engine_parts()} == required
    assert len(required) > 200


def test_the_bill_is_cyclonedx_and_names_each_part_once() -> None:
    bill = json.loads(sbom.document())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert sorted(one["purl"] for one in bill["components"]) == sorted({one["purl"] for one in bill["components"]})
    assert len(bill["components"]) == len(sbom.parts())
    kinds = {one["purl"].split("/")[0] for one in bill["components"]}
    assert kinds == {"pkg:pypi", "pkg:golang", "pkg:npm"}
    assert all(one["licenses"] for one in bill["components"])
    assert {"pkg:npm/swagger-ui-dist@5.35.0"} <= {one["purl"] for one in bill["components"]}


def test_what_only_an_extra_needs_is_optional() -> None:
    optional = {part.name: part.optional for part in sbom.python_parts()}
    assert optional["fastapi"] is False
    assert optional["mcp"] is True
    assert "pytest" not in optional


def test_a_library_without_an_expression_is_known_by_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    licences = {part.name: part.licence for part in sbom.python_parts()}
    assert licences["certifi"] == "MPL-2.0"  # by its field
    assert licences["obstore"] == "MIT"  # by its classifier
    assert licences["wtforms"] == "BSD-3-Clause"  # by its file
    monkeypatch.setattr(sbom, "parts", lambda: [Part(kind="pypi", name="new", version="1", licence="GPL-3.0-only")])
    with pytest.raises(AssertionError, match=r"docs/licences\.md(?s:.*)new 1 \(pypi\): GPL-3\.0-only"):
        test_every_part_has_a_licence_that_is_allowed()
