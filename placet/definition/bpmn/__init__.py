"""BPMN 2.0 and DMN: read what maps to a blueprint, and say of every element what became of it."""

from __future__ import annotations

from placet.definition.bpmn.account import Left
from placet.definition.bpmn.mapping import Imported, import_bpmn, import_dmn

__all__ = ["Imported", "Left", "import_bpmn", "import_dmn"]
