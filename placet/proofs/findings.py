"""Findings: what a check says about one place of a blueprint, and the report that holds them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from placet.sentences import sentence

if TYPE_CHECKING:
    from placet.proofs.certificate import Certificate

Severity = Literal["error", "warning"]

MOST_FINDINGS = 500  # of one report; the rest appears once these are corrected


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A finding about one place; docs/checks.md lists the codes.

    `pointer` is a JSON Pointer into the blueprint, `message` says what to do. `witness` is an input that shows it: a
    whole request input that passes `normalise_input`, or for findings about people the person concerned
    (`{"requester": id}`); None where none is needed. `opening` is set where the witness gets to the place only as a
    resubmitted input: the input that the request has to begin with.
    """

    code: str
    severity: Severity
    pointer: str
    message: str
    witness: dict[str, Any] | None = None
    opening: dict[str, Any] | None = None

    def described(self) -> dict[str, Any]:
        """Return the finding as JSON values; `opening` only where there is one."""
        told = {
            "code": self.code,
            "severity": self.severity,
            "pointer": self.pointer,
            "message": self.message,
            "witness": self.witness,
        }
        return told if self.opening is None else {**told, "opening": self.opening}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The result of a check. `ok`: no finding is an error, and `certificate` says what was proven."""

    ok: bool
    findings: tuple[Finding, ...]
    certificate: Certificate | None = None

    def described(self) -> dict[str, Any]:
        """Return the report as JSON values, as the API and `placet check --json` give it."""
        return {
            "ok": self.ok,
            "findings": [finding.described() for finding in self.findings],
            "certificate": self.certificate.described() if self.certificate else None,
        }


def error(code: str, pointer: str, message: str, **more: Any) -> Finding:
    """Return a finding that keeps the blueprint from being published."""
    return Finding(code=code, severity="error", pointer=pointer, message=message, **more)


def warning(code: str, pointer: str, message: str, **more: Any) -> Finding:
    """Return a finding that a designer should review."""
    return Finding(code=code, severity="warning", pointer=pointer, message=message, **more)


def what_follows(node: str, *, handled: bool) -> str:
    """Return what becomes of a request where a node fails."""
    return sentence("{node!r} has the result 'failed'", node=node) if handled else sentence("the request fails")


def report(findings: Iterable[Finding], certificate: Certificate | None = None) -> Report:
    """Make the report: each finding once, errors first, in the order in which they were found."""
    once: dict[tuple[str, str, str], Finding] = {}
    for finding in findings:
        once.setdefault((finding.code, finding.pointer, finding.message), finding)
    ordered = sorted(once.values(), key=lambda f: f.severity != "error")
    ok = not any(f.severity == "error" for f in ordered)
    return Report(ok=ok, findings=tuple(ordered[:MOST_FINDINGS]), certificate=certificate if ok else None)
