"""The remarks of an import: what became of every element of the file, one remark for each.

An element is an element of BPMN (or DMN) with an id, or a sequence flow. What has no id of its own, such as an event's
definition or a vendor's attribute, belongs to the element around it. The drawing (shapes and edges) is not counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal
from xml.etree.ElementTree import Element

from placet.definition.bpmn.file.reader import flow_id
from placet.sentences import as_sentence, joined, sentence, shortened

Became = Literal["mapped", "assumed", "lost"]
_GRAVE: dict[Became, int] = {"mapped": 0, "assumed": 1, "lost": 2}
_LONGEST = 1_000  # characters of what is said of one element
_DRAWN = {"textAnnotation", "association", "group", "category", "categoryValue", "documentation", "text"}
_DATA = {"dataObject", "dataObjectReference", "dataStore", "dataStoreReference", "dataState"}
_DECLARED = {
    "message", "signal", "error", "escalation", "itemDefinition", "interface", "operation", "resource", "import",
    "correlationProperty", "partnerEntity", "endPoint", "extension", "property", "inputData", "knowledgeSource",
}  # fmt: skip
_TALK = {"collaboration", "participant", "messageFlow", "choreography", "conversation", "conversationLink"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementRemark:
    """What became of one element: `mapped`, `assumed` (with something that the file did not say), or `lost` (wholly or
    partly).
    """

    kind: Became
    element: str
    id: str
    name: str
    says: str


@dataclass(slots=True)
class _Line:
    tag: str
    id: str
    name: str
    around: int | None  # the line of the element that it lies in
    notes: dict[tuple[Became, str], None] = field(default_factory=dict)

    def note(self, kind: Became, says: str) -> None:
        """Keep a remark, once; several are told in one, each in the reader's language."""
        self.notes[kind, as_sentence(says)] = None

    @property
    def told(self) -> Became | None:
        return max((kind for kind, _ in self.notes), key=lambda kind: _GRAVE[kind], default=None)


class ImportRemarks:
    """Every element of a file, in its order, with its remarks."""

    def __init__(self, root: Element, tag: Callable[[Element], str]) -> None:
        """Read the elements; `tag` returns the name of one that counts, "" of any other."""
        self._lines: list[_Line] = []
        self._by_id: dict[str, _Line] = {}
        pending: list[tuple[Element, int | None]] = [(child, None) for child in reversed(list(root))]
        while pending:
            element, around = pending.pop()
            name = tag(element)
            ident = flow_id(element) if name == "sequenceFlow" else element.get("id", "")
            inside = around
            if name and ident:
                shown = " ".join((element.get("name") or "").split())[:200]
                line = _Line(tag=name, id=ident[:200], name=shown, around=around)
                inside = len(self._lines)
                self._lines.append(line)
                self._by_id.setdefault(ident, line)
            pending += [(child, inside) for child in reversed(list(element))]

    def mapped(self, ident: str, says: str) -> None:
        """Say what an element became."""
        self._note("mapped", ident, says)

    def assumed(self, ident: str, says: str) -> None:
        """Say what the blueprint has that the file did not say."""
        self._note("assumed", ident, says)

    def lost(self, ident: str, says: str) -> None:
        """Say what of an element is not in the blueprint, and what follows from that."""
        self._note("lost", ident, says)

    def lose_inside(self, ident: str, says: str) -> None:
        """Say that nothing inside of an element is in the blueprint."""
        inside = {index for index, line in enumerate(self._lines) if line.id == ident}
        for index, line in enumerate(self._lines):
            if line.around in inside:
                inside.add(index)
                if line.told is None:
                    line.note("lost", says)

    def told(self, ident: str) -> bool:
        """Say whether an element has a remark."""
        return ident in self._by_id and self._by_id[ident].told is not None

    def left(self) -> tuple[ElementRemark, ...]:
        """Return every element once: its worst kind counts, and all of its remarks are kept."""
        return tuple(
            ElementRemark(kind=kind, element=line.tag, id=line.id, name=line.name, says=shortened(says, _LONGEST))
            for line in self._lines
            for kind, says in [self._said(line)]
        )

    def _said(self, line: _Line) -> tuple[Became, str]:
        if line.told is not None:
            order = sorted(line.notes, key=lambda note: -_GRAVE[note[0]])
            return line.told, joined("; ", [text for _, text in order])
        found = _unsaid(line.tag)
        if found is not None:
            return found
        if line.around is not None:
            around = self._lines[line.around]
            return self._said(around)[0], sentence("part of {tag} {around_id!r}", tag=around.tag, around_id=around.id)
        return "lost", sentence("a blueprint has nothing of its kind")

    def _note(self, kind: Became, ident: str, says: str) -> None:
        line = self._by_id.get(ident)
        if line is not None:
            line.note(kind, says)


def _unsaid(tag: str) -> tuple[Became, str] | None:
    """Return the remark for a kind of element without a remark of its own."""
    if tag in _DRAWN:
        return "lost", sentence("a note for readers of the drawing; it has no effect on the process")
    if tag in _DATA:
        return "lost", sentence("data objects are not taken over; conditions read variables")
    if tag in _DECLARED:
        return "mapped", sentence("its content is taken over where it is referred to")
    if tag in _TALK:
        return "lost", sentence("no messages go between pools: only the process itself is in the blueprint")
    if tag == "sequenceFlow":
        return "lost", sentence("no edge of the blueprint passes here")
    if tag == "lane":
        return "lost", sentence("nobody is asked because of this lane")
    if tag.endswith(("Task", "Event", "Gateway", "Activity")) or tag in {"task", "subProcess", "transaction"}:
        return "lost", sentence("no edge of the blueprint leads here")
    return None
