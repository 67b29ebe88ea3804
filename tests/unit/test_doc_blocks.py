"""Every command, program and document that README and docs show is run by a test, or held against the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.doc_blocks import PAGES, ROOT, Block, blocks_of, every_block
from tests.doc_blocks.commands import OF_CLIENTS, faults_of, faults_of_words, settings
from tests.doc_blocks.documents import faults_of_json, faults_of_program

EXCERPTS = 8
"""How many blocks can be neither run nor checked. Make it no larger without need: write what can be checked instead."""
OF_TESTS = {"PLACET_PICTURES", "PLACET_SCREENSHOTS"}


def faults(block: Block) -> list[str]:
    """Return what is wrong with a block."""
    ran, excerpt = (block.mark.removeprefix(word) for word in ("run by ", "excerpt: "))
    if excerpt != block.mark:
        return [] if len(excerpt.split()) > 1 else ["say why it is an excerpt"]
    if ran != block.mark:
        file = ROOT / ran
        known = file.is_file() and block.page.name in file.read_text()
        return [] if known else [f"{ran} does not run {block.page.name}"]
    if block.source:
        return [] if block.text in (ROOT / block.source).read_text() else [f"this is no part of {block.source}"]
    match block.language:
        case "sh":
            return faults_of(block.text)
        case "json":
            return faults_of_json(block.text, block.mark.removeprefix("checked as "))
        case "python":
            return faults_of_program(block.text)
    return [f"nothing checks blocks of the language {block.language!r}; see tests/doc_blocks/__init__.py"]


@pytest.mark.parametrize("block", every_block(), ids=str)
def test_a_block_is_run_or_holds_against_the_code(block: Block) -> None:
    assert faults(block) == []


def test_few_blocks_are_excerpts_that_nothing_checks() -> None:
    assert sum(block.mark.startswith("excerpt: ") for block in every_block()) == EXCERPTS


def test_every_fence_is_found() -> None:
    for page in PAGES:
        assert len(re.findall(r"^ *```", page.read_text(), re.MULTILINE)) == 2 * len(list(blocks_of(page))), page


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("```\nplacet up\n```\n", "nothing checks blocks of the language ''"),
        ("```yaml\na: 1\n```\n", "nothing checks blocks of the language 'yaml'"),
        ("```sh\nplacet upp\n```\n", "there is no command placet upp"),
        ("```sh\nplacet up --prot 1 &\n```\n", "No such option"),
        ("```sh\nplacet up --port many   # it's a port\n```\n", "valid integer"),
        ("```sh\nTOKEN=$(placet tokn rita)\n```\n", "there is no command placet tokn"),
        ('```sh\nTOKEN="$(placet tokn rita)"\n```\n', "there is no command placet tokn"),
        ("```sh\nplacet check a.json && placet chek b.json\n```\n", "there is no command placet chek"),
        ("```sh\nexport PLACET_PROT=1\n```\n", "there is no setting PLACET_PROT"),
        ("```sh\nrm -rf /\n```\n", "rm is not known"),
        ("```sh\nmake al\n```\n", "there is no target al"),
        ("```sh\nmake faults SECOND=1\n```\n", "the Makefile reads no SECOND"),
        ("```sh\npython -m tests.faults --sed 7\n```\n", "has no option --sed"),
        ("```sh\npip install 'placet[all]'\n```\n", "placet has no extra all"),
        ("```sh\nhelm install placet deploy/helm/placet --set publicUr=x\n```\n", "the chart has no value publicUr"),
        ("```sh\ndocker build -f deploy/Dockerfil .\n```\n", "there is no deploy/Dockerfil"),
        ("```sh\ncurl $API/workflow/request/\n```\n", "no call is GET /workflow/request/"),
        ("```sh\ncurl -X PATCH $API/workflow/requests/\n```\n", "no call is PATCH"),
        ('```sh\ncurl $API/workflow/requests/ \\\n  -d \'{"templat": "x"}\'\n```\n', "templat"),
        ("```python\nfrom placet.client import Cliet\n```\n", "placet.client has no Cliet"),
        ("```json\n{}\n```\n", "is no shape"),
        ('<!-- checked as graph -->\n```json\n{"from": "a"}\n```\n', '"to" is a required property'),
        ('<!-- checked as graph -->\n```json\n{"id": "a", "type": "approvl"}\n```\n', "approvl"),
        ('<!-- checked as people -->\n```json\n[{"id": "a", "acess": []}]\n```\n', "acess"),
        ('<!-- checked as blueprint -->\n```json\n{"name": "A", "version": "one"}\n```\n', "semantic version"),
        ('<!-- checked as script -->\n```json\n[{"on": "A", "do": "decidee"}]\n```\n', "cannot be read"),
        ('<!-- checked as body of POST /api/v1/workflow/workflow-slas/ -->\n```json\n{"nam": 1}\n```\n', "nam"),
        ("<!-- checked as answer of GET /nowhere/ -->\n```json\n{}\n```\n", "OpenAPI has no call"),
        ("<!-- excerpt: -->\n```text\nx\n```\n", "nothing checks"),
        ("<!-- run by tests/unit/test_docs.py -->\n```sh\nx\n```\n", "does not run"),
        ("From `Makefile`:\n\n```ts\nconst a = 1;\n```\n", "this is no part of Makefile"),
    ],
)
def test_a_block_that_does_not_work_is_found(text: str, says: str) -> None:
    [block] = blocks_of(Path(ROOT / "docs" / "nowhere.md"), text)
    assert says in "\n".join(faults(block))


def test_the_commands_that_running_text_names_are_there() -> None:
    wrong = [
        f"{page.relative_to(ROOT)}: {fault}"
        for page in PAGES
        for text in re.findall(r"(?<!`)`((?:placet|\.venv/bin/placet) [^`\n]+)`", page.read_text())
        for fault in faults_of_words(text)
    ]
    assert wrong == []


def test_the_targets_of_make_that_running_text_names_are_there() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        (page.name, target)
        for page in PAGES
        for target in re.findall(r"`(?:[A-Z_]+=\S+ )*make ([a-z][\w-]*)", page.read_text())
    }
    assert {(page, target) for page, target in named if target not in targets} == set()


def test_the_settings_that_documents_name_are_there() -> None:
    # A name that goes on, such as PLACET_SECRET_NAME or PLACET_WEBHOOK_SECRET_…, begins with what is documented.
    named = {
        (page.name, name)
        for page in PAGES
        for name in re.findall(r"\bPLACET_[A-Z_]*[A-Z]\b(?![_…*])", page.read_text())
    }
    assert {(page, name) for page, name in named if name not in settings() | OF_CLIENTS | OF_TESTS} == set()
