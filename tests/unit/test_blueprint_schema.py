"""The published JSON Schema of a blueprint: up to date, sound, and taking what the reader takes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from placet.definition.model import definition_schema, parse_definition
from placet.errors import BlueprintInvalid
from placet.nodes.registry import NODE_TYPES
from tests.unit.test_forks import forked
from tests.unit.test_nodes import table

ROOT = Path(__file__).parents[2]
GALLERY = sorted(p for p in (ROOT / "blueprints").glob("*.json") if p.name != "people.json")
VALIDATOR = jsonschema_rs.Draft202012Validator(definition_schema())


def test_the_published_schema_is_that_of_the_code() -> None:
    published = (ROOT / "docs" / "blueprint.schema.json").read_text()
    assert published == json.dumps(definition_schema(), indent=2) + "\n", (
        "write it again: python -c 'import json; from placet.definition.model import definition_schema; "
        "print(json.dumps(definition_schema(), indent=2))' > docs/blueprint.schema.json"
    )


@pytest.mark.parametrize("file", GALLERY, ids=lambda file: file.stem)
def test_the_gallery_fits_the_schema(file: Path) -> None:
    assert not list(VALIDATOR.iter_errors(json.loads(file.read_text())))


@pytest.mark.parametrize(
    "change",
    [
        {"nodes": [{"id": "w", "type": "wait", "hour": 3}]},  # an unknown member
        {"nodes": [{"id": "w", "type": "pause"}]},  # an unknown type of node
        {"nodes": [{"id": "j", "type": "join", "need": "most"}]},
        {"nodes": [{"id": "d", "type": "decision", "table": {"inputs": ["1"], "rules": []}}]},
        {"edges": [{"from": "a"}]},
    ],
)
def test_what_the_schema_refuses_the_reader_refuses(change: dict[str, Any]) -> None:
    raw = forked()
    raw["graph_spec"] |= change
    assert not VALIDATOR.is_valid(raw)
    with pytest.raises(BlueprintInvalid):
        parse_definition(raw)


@pytest.mark.parametrize("raw", [forked({"at_least": 2}), table(), table(hit_policy="any", default=None)])
def test_what_the_reader_takes_fits_the_schema(raw: dict[str, Any]) -> None:
    assert parse_definition(raw)
    assert not list(VALIDATOR.iter_errors(raw))


def documented() -> list[dict[str, Any]]:
    """Return the nodes that docs/blueprint.md shows."""
    text = (ROOT / "docs" / "blueprint.md").read_text()
    shown = re.findall(r'^```json\n(.*?)^```|`(\{"id": [^`]*\})`', text, re.MULTILINE | re.DOTALL)
    blocks = [block or inline for block, inline in shown]
    listed = ["[" + re.sub(r"\}\s+\{", "},{", block) + "]" for block in blocks]
    return [node for text in listed for node in json.loads(text) if "type" in node]


def test_every_kind_of_node_is_documented_with_an_example_that_is_one() -> None:
    nodes = documented()
    assert {node["type"] for node in nodes} == NODE_TYPES.keys()
    assert parse_definition({"name": "Documented", "version": "1.0.0", "graph_spec": {"nodes": nodes, "edges": []}})
