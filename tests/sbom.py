"""The software bill of materials: what Placet runs with, with versions and licences, as CycloneDX.

`python -m tests.sbom FILE` (or `make sbom`) writes it, and beside it licences.txt with a line for each part. Python
libraries are those that are installed, which are those of requirements.lock; modules of the engine those of
engine/go.mod; the rest is in the repository itself.
"""

from __future__ import annotations

import json
import re
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Final, Literal

import cyclonedx.schema
import jsonschema_rs
from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement

ROOT: Final = Path(__file__).parents[1]
_EXTRAS: Final = ("drafting", "mcp")  # examples and dev are not run with
_SCHEMAS: Final = Path(cyclonedx.schema.__file__).parent / "_res"
_BESIDE: Final = ("spdx", "jsf-0.82", "cryptography-defs")  # which the schema of a bill refers to
_SAME_EVERY_TIME: Final = uuid.UUID("5f1c2a52-6a3b-5d0e-9c1e-3d9a0d1b7c11")

# What a library says that does not say its licence by an SPDX expression in its metadata.
_SPDX: Final = {
    "3-clause bsd license": "BSD-3-Clause",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "isc license (iscl)": "ISC",
    "isc license": "ISC",
    "mit license": "MIT",
    "psfl": "PSF-2.0",
    "python software foundation license": "PSF-2.0",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
}
# Of libraries whose metadata says no more than "BSD" or "Dual License": what their licence file says.
_AS_THEIR_FILES_SAY: Final = {
    "itsdangerous": "BSD-3-Clause",
    "jinja2": "BSD-3-Clause",
    "pyasn1-modules": "BSD-2-Clause",
    "python-dateutil": "Apache-2.0 AND BSD-3-Clause",
    "wtforms": "BSD-3-Clause",
}


@dataclass(frozen=True, kw_only=True)
class Part:
    """One thing that Placet runs with."""

    kind: Literal["pypi", "golang", "npm"]
    name: str
    version: str
    licence: str
    """An SPDX expression, or what the part calls it where that is none."""
    optional: bool = False
    """Whether only an extra needs it."""


@cache
def python_parts() -> list[Part]:
    """Return the libraries that Placet needs, and what they need, as they are installed."""
    needed = _closure("placet", ())
    found = []
    for name in sorted(_closure("placet", _EXTRAS) - {"placet"}):
        there = distribution(name)
        licence = _licence_of(name, there)
        optional = name not in needed
        found.append(Part(kind="pypi", name=name, version=there.version, licence=licence, optional=optional))
    return found


def engine_parts() -> list[Part]:
    """Return the modules that the engine is built of."""
    lines = (ROOT / "engine" / "licences.tsv").read_text().splitlines()
    licences = dict(line.split("\t") for line in lines if not line.startswith("#"))
    required = re.findall(
        r"^\s*(?:require )?([\w~./-]+\.[\w~./-]+) (v\S+)", (ROOT / "engine" / "go.mod").read_text(), re.MULTILINE
    )
    return [
        Part(kind="golang", name=name, version=version, licence=licences.get(name, ""), optional=True)
        for name, version in required
    ]


def web_parts() -> list[Part]:
    """Return what is served to browsers and not written here, and what the TypeScript client needs."""
    name, version = (ROOT / "api" / "static" / "swagger-ui" / "VERSION").read_text().split(",")[0].split()
    parts = [Part(kind="npm", name=name, version=version, licence="Apache-2.0")]
    locked = json.loads((ROOT / "clients" / "typescript" / "package-lock.json").read_text())["packages"]
    parts += [
        Part(kind="npm", name=path.removeprefix("node_modules/"), version=of["version"], licence=of["license"])
        for path, of in locked.items()
        if path and not of.get("dev")
    ]
    return parts


def parts() -> list[Part]:
    """Return everything."""
    return [*python_parts(), *engine_parts(), *web_parts()]


def document() -> str:
    """Return the bill as CycloneDX 1.6 in JSON, held to the schema of CycloneDX; the same parts give the same parts."""
    bom = Bom(serial_number=_SAME_EVERY_TIME)
    licences = LicenseFactory()
    bom.metadata.component = Component(
        name="placet", version=distribution("placet").version, type=ComponentType.APPLICATION, bom_ref="placet"
    )
    for part in parts():
        where = PackageURL(type=part.kind, name=part.name, version=part.version)
        bom.components.add(
            Component(
                name=part.name,
                version=part.version,
                type=ComponentType.LIBRARY,
                bom_ref=str(where),
                purl=where,
                scope=ComponentScope.OPTIONAL if part.optional else ComponentScope.REQUIRED,
                licenses=[licences.make_from_string(part.licence)],
            )
        )
    bom.register_dependency(bom.metadata.component, bom.components)
    written = JsonV1Dot6(bom).output_as_string(indent=2)
    _held_to_the_schema(written)
    return written


def _held_to_the_schema(written: str) -> None:
    """Raise ValidationError unless the document is CycloneDX."""
    beside = [(f"http://cyclonedx.org/schema/{name}.SNAPSHOT.schema.json", _schema(name)) for name in _BESIDE]
    registry = jsonschema_rs.Registry(beside)
    jsonschema_rs.validator_for(_schema("bom-1.6"), registry=registry).validate(json.loads(written))


def _schema(name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((_SCHEMAS / f"{name}.SNAPSHOT.schema.json").read_text())
    return found


def _closure(name: str, extras: tuple[str, ...], seen: set[tuple[str, str]] | None = None) -> set[str]:
    """Return the names of a distribution and of all that it needs here, with these extras."""
    seen = set() if seen is None else seen
    for extra in ("", *extras):
        if (_plain(name), extra) in seen:
            continue
        seen.add((_plain(name), extra))
        for requirement in _needed(distribution(name), extra):
            _closure(requirement.name, tuple(requirement.extras), seen)
    return {found for found, _ in seen}


def _needed(there: Distribution, extra: str) -> Iterator[Requirement]:
    for line in there.requires or ():
        requirement = Requirement(line)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        try:
            distribution(requirement.name)
        except PackageNotFoundError:  # of another platform or version of Python, else nothing here would run
            continue
        yield requirement


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _licence_of(name: str, there: Distribution) -> str:
    """Return the licence of a library as an SPDX expression, where it says one."""
    if expression := there.metadata.get("License-Expression"):
        return str(expression)
    if name in _AS_THEIR_FILES_SAY:
        return _AS_THEIR_FILES_SAY[name]
    said = (there.metadata.get("License") or "").strip().splitlines()
    classes = [
        line.split("::")[-1].strip() for line in there.metadata.get_all("Classifier") or () if line[:7] == "License"
    ]
    short = said[0].strip() if said else ""
    for one in (short, *classes):
        if one and one.lower() in _SPDX:
            return _SPDX[one.lower()]
    return short or " AND ".join(classes)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(document() + "\n")
    target.with_name("licences.txt").write_text(
        "".join(f"{part.kind}\t{part.name}\t{part.version}\t{part.licence}\n" for part in parts())
    )
