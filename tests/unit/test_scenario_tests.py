"""`placet test`: scenarios of blueprints pass and fail where they should, with the place of each difference."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema_rs
import pytest
from typer.testing import CliRunner

from cli.main import app
from placet.yaml_text import read_yaml
from simulation.testing.suite import suite_schema

ROOT = Path(__file__).parents[2]
GALLERY = ROOT / "blueprints" / "tests"
VALIDATOR = jsonschema_rs.Draft202012Validator(suite_schema())
ASKED = "requester: rita\ninput: {amount: 1}\n"
LARGE = "requester: rita\ninput: {amount: 6000}\n"
HEAD = f"blueprint: {ROOT}/blueprints/expense.json\npeople: {ROOT}/blueprints/people.json\nscenarios:\n"


def called(*arguments: str | Path) -> tuple[int, str]:
    """Call `placet test`; return its exit code and everything that it printed."""
    printed = CliRunner().invoke(app, ["test", *map(str, arguments)])
    return printed.exit_code, printed.output


def written(folder: Path, scenario: str, head: str = HEAD) -> Path:
    """Write a suite with one scenario, whose fields begin in line 5."""
    file = folder / "one.test.yaml"
    lines = "".join(f"    {line}\n" for line in scenario.strip().splitlines())
    file.write_text(f"{head}  - name: One\n{lines}")
    return file


def told(folder: Path, scenario: str) -> dict[str, Any]:
    """Return what `placet test --json` says of a suite with one scenario."""
    code, output = called(written(folder, scenario), "--json")
    (one,) = json.loads(output)["scenarios"]
    assert code == (0 if one["passed"] else 1)
    found: dict[str, Any] = one
    return found


def test_the_gallery_passes_its_scenarios_and_misses_nothing(tmp_path: Path) -> None:
    report = tmp_path / "results.xml"
    code, output = called(GALLERY, "--require-coverage", "--junit", report)
    assert code == 0, output
    root = ET.parse(report).getroot()
    named = {suite.get("name", "") for suite in root.iter("testsuite")}
    blueprints = {file.stem for file in (ROOT / "blueprints").glob("*.json")} - {"people"}
    assert {Path(name).name.removesuffix(".test.yaml") for name in named if name != "coverage"} == blueprints
    assert not root.findall(".//failure")


def test_the_published_schema_is_that_of_the_code_and_takes_the_gallery() -> None:
    published = (ROOT / "docs" / "blueprint-tests.schema.json").read_text()
    assert published == json.dumps(suite_schema(), indent=2) + "\n", (
        "write it again: python -c 'import json; from simulation.testing.suite import suite_schema; "
        "print(json.dumps(suite_schema(), indent=2))' > docs/blueprint-tests.schema.json"
    )
    for file in GALLERY.glob("*.test.yaml"):
        value = json.loads(json.dumps(read_yaml(file.read_bytes()).value, default=float))
        assert not [error.message for error in VALIDATOR.iter_errors(value)], file


def test_the_suite_of_the_documentation_passes(tmp_path: Path) -> None:
    document = (ROOT / "docs" / "blueprint-tests.md").read_text()
    (example,) = re.findall(r"```yaml\n(blueprint: .*?)```", document, re.DOTALL)
    file = tmp_path / "docs.test.yaml"
    file.write_text(
        example.replace("../blueprints/", f"{ROOT}/blueprints/").replace("../people", f"{ROOT}/blueprints/people")
    )
    code, output = called(file)
    assert code == 0, output


@pytest.mark.parametrize(
    ("scenario", "place", "said"),
    [
        # expectations of the end
        (
            ASKED + "until: 1h\nexpect: {outcome: approved}",
            "8:23",
            "waits for Manager Approval: max",
        ),
        (
            ASKED + "steps: [{after: 1h, by: max, do: reject}]\nexpect:\n  outcome: approved",
            "9:16",
            "expected outcome approved, but it is rejected",
        ),
        (
            ASKED + "steps: [{after: 1h, by: max, do: approve}]\nexpect: {ended: 2h}",
            "8:21",
            "it ended at 1h",
        ),
        (
            (ASKED + "steps: [{after: 1h, by: max, do: approve}]\nexpect: {skipped: {CFO Approval: end}}"),
            "8:38",
            "it was skipped by the decision large",
        ),
        (
            ASKED + "steps: [{after: 1h, by: max, do: approve}]\nexpect: {skipped: []}",
            "8:23",
            "expected nothing of the stage CFO Approval",
        ),
        (
            ASKED + "until: 25h\nexpect: {escalated: [{to: carla}]}",
            "8:26",
            "there was dana at 1d (Manager Approval)",
        ),
        (ASKED + "until: 9h\nexpect: {reminded: []}", "8:24", "max at 8h"),
        (
            ASKED + "until: 9h\nexpect: {reminded: [{to: max, at: 7h}]}",
            "8:25",
            "expected max reminded at 7h",
        ),
        (
            ASKED + "until: 17h\nexpect: {reminded: [{to: max, times: 3}]}",
            "8:25",
            "3 times, but there was max at 8h",
        ),
        (ASKED + "until: 9h\nexpect: {variables: {amount: 2}}", "8:34", 'it is "1"'),
        (
            ASKED + "until: 9h\nexpect: {stages: {CFO Approval: approved}}",
            "8:37",
            "not reached",
        ),
        (ASKED + "until: 9h\nexpect: {actions: [pay]}", "8:23", "these were run: none"),
        # what is expected on the way
        (
            ASKED + "steps:\n  - {at: 1h, expect: {open: {Manager Approval: dana}}}",
            "8:33",
            "but there are those of Manager Approval: max",
        ),
        # acts
        (
            (ASKED + "steps:\n  - {at: 1h, by: paul, on: Manager Approval, do: approve}\nexpect: {status: pending}"),
            "8:9",
            "this was refused (not-permitted)",
        ),
        (
            (
                ASKED + "steps:\n  - {after: 1h, by: max, do: approve, refused: not-permitted}\n"
                "expect: {outcome: approved}"
            ),
            "8:52",
            "but it was accepted",
        ),
        (
            (ASKED + "steps:\n  - {after: 1h, by: paul, do: approve}\nexpect: {status: pending}"),
            "8:9",
            "this never happened, and nothing after it was tried: paul never had a task",
        ),
        (
            (
                LARGE + "steps:\n  - {after: 5h, by: max, do: approve}\n"
                "  - {at: 3h, by: carla, do: approve}\nexpect: {outcome: approved}"
            ),
            "9:14",
            "this could happen only at 5h",
        ),
        (
            (
                LARGE + "steps:\n  - {at: 3h, expect: {status: pending}}\n"
                "  - {after: 1h, by: max, do: approve}\nexpect: {status: pending}"
            ),
            "9:9",
            "this happens at 1h, before what is expected at 3h above",
        ),
        # the request
        (
            "requester: rita\ninput: {amount: -1}\nexpect: {outcome: approved}",
            "6:12",
            "the request is refused (input-invalid)",
        ),
        (ASKED + "refused: input-invalid", "7:14", "but it was accepted"),
    ],
)
def test_a_difference_is_told_with_its_place_and_what_happened(
    tmp_path: Path, scenario: str, place: str, said: str
) -> None:
    one = told(tmp_path, scenario)
    assert not one["passed"]
    fault = one["faults"][0]
    assert fault.startswith(f"{tmp_path}/one.test.yaml:{place}: "), fault
    assert said in fault
    assert one["timeline"] or "refused" in scenario or "-1" in scenario


@pytest.mark.parametrize(
    ("scenario", "place", "said"),
    [
        ("requester: rita\nexpects: {outcome: approved}", "6:14", 'did you mean "expect"?'),
        ("requester: rita\nexpect: {outcom: approved}", "6:22", 'did you mean "outcome"?'),
        ("requester: rita\nexpect: {ended: 2}", "6:21", "with its unit"),
        (
            "requester: rita\nsteps: [{at: 1 hour, by: max, do: approve}]\nexpect: {status: pending}",
            "6:18",
            "with its unit",
        ),
        ("requester: rita\nsteps: [{by: max, do: agree}]\nexpect: {status: pending}", "6:27", "'approve'"),
        ("requester: rita\nsteps: [{by: max}]\nexpect: {status: pending}", "6:13", "say what is done"),
        ("requester: rita\nsteps: [{by: max, do: delegate}]\nexpect: {status: pending}", "6:13", 'needs "to"'),
        ("requester: rita\ninput: {}", "4:5", "nothing is expected of this scenario"),
        ("requester: rita\nexpect: {}", "6:13", "nothing is expected here"),
        ("requester: nobody\nexpect: {status: pending}", "5:16", "there is no 'nobody' in"),
        (
            "requester: rita\nsteps: [{by: max, to: user:nobody, do: delegate}]\nexpect: {status: pending}",
            "6:27",
            "there is no 'nobody' in",
        ),
        (
            "requester: rita\nexpect: {status: pending}\nsteps: [{at: 2h, do: withdraw}, {at: 1h, do: withdraw}]",
            "4:5",
            "step 2 is before 1",
        ),
    ],
)
def test_a_suite_that_cannot_be_read_is_told_by_its_place(tmp_path: Path, scenario: str, place: str, said: str) -> None:
    code, output = called(written(tmp_path, scenario))
    assert code == 2
    assert f"{tmp_path}/one.test.yaml:{place}: " in output, output
    assert said in output


def test_a_step_on_a_stage_that_there_is_not_fails_at_its_place(tmp_path: Path) -> None:
    steps = "steps:\n  - {by: max, on: Manager Aproval, do: approve}\nexpect: {status: pending}"
    one = told(tmp_path, f"requester: rita\ninput: {{amount: 1}}\n{steps}")
    assert one["faults"][0].startswith(f"{tmp_path}/one.test.yaml:8:23: ")
    assert "did you mean 'Manager Approval'?" in one["faults"][0]


@pytest.mark.parametrize(
    ("head", "place", "said"),
    [
        (HEAD.replace("expense.json", "none.json"), "1:12", "cannot be read"),
        (HEAD.replace("expense.json", "people.json"), "1:12", "cannot be used"),
        (HEAD.replace("/people.json", "/expense.json"), "2:9", "no list of people"),
        (HEAD.replace("people:", "persons:"), "", "this field is required"),
    ],
)
def test_a_file_that_a_suite_names_is_told_where_it_is_named(tmp_path: Path, head: str, place: str, said: str) -> None:
    code, output = called(written(tmp_path, "requester: rita\nexpect: {status: pending}", head))
    assert code == 2
    assert f"one.test.yaml:{place}" in output
    assert said in output


def test_a_folder_without_scenarios_is_told(tmp_path: Path) -> None:
    assert called(tmp_path)[0] == 2
    assert called(tmp_path / "none")[0] == 2


def test_what_no_scenario_reaches_is_told_with_an_input_and_fails_where_it_is_required(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        ASKED + "steps: [{by: max, do: approve}]\nexpect: {outcome: approved}",
    )
    code, output = called(file, "--json")
    assert code == 0
    (covered,) = json.loads(output)["coverage"]
    missed = {(one["kind"], one["name"], one["result"]): one["witness"] for one in covered["missed"]}
    assert missed.keys() == {
        ("route", "large", "cfo"),
        ("outcome", "rejected", None),
        ("stage", "CFO Approval", "approved"),
        ("stage", "CFO Approval", "rejected"),
        ("stage", "Manager Approval", "rejected"),
    }
    assert float(missed["route", "large", "cfo"]["amount"]) > 5000
    assert (covered["reached"], covered["total"]) == (3, 8)
    report = tmp_path / "results.xml"
    code, output = called(file, "--require-coverage", "--junit", report)
    assert code == 1
    assert "not reached: stage CFO Approval: rejected" in output
    assert len(ET.parse(report).getroot().findall(".//failure")) == 1


def test_a_report_has_each_scenario_with_its_place_and_what_failed(tmp_path: Path) -> None:
    file = written(tmp_path, ASKED + "expect: {outcome: approved}")
    report = tmp_path / "results.xml"
    assert called(file, "--junit", report)[0] == 1
    (case,) = ET.parse(report).getroot().iter("testcase")
    assert (case.get("name"), case.get("line")) == ("One", "4")
    (failure,) = case
    assert "one.test.yaml:7:23: " in (failure.get("message") or "")
    assert "max is asked" in (failure.text or "")
    assert called(file, "--junit", tmp_path / "none" / "x.xml")[0] == 2


def test_others_approve_where_the_scenario_says_so(tmp_path: Path) -> None:
    one = told(tmp_path, LARGE + "others: approve\nexpect: {outcome: approved, ended: 1d 12h}")
    assert one["passed"], one["faults"]
