"""BPMN 2.0 and DMN: read what maps to a blueprint, and say of every element what became of it."""

from __future__ import annotations

from placet.definition.bpmn.mapping import Imported, import_bpmn, import_dmn
from placet.definition.bpmn.remarks import ElementRemark

__all__ = ["ElementRemark", "Imported", "import_bpmn", "import_dmn"]
