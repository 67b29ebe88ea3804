"""BPMN 2.0: read the part of it that maps to a blueprint, and say what does not."""

from __future__ import annotations

from placet.bpmn.mapping import Imported, Left, import_bpmn

__all__ = ["Imported", "Left", "import_bpmn"]
