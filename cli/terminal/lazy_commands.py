"""Commands that are loaded when they are called: a help text and a small command need nothing of the large ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """A command as `placet --help` lists it; `target` is `module:name` of its function, or of a Typer for a group."""

    name: str
    target: str
    help: str

    def load(self) -> Any:
        """Import the command's module and return the command as the command line carries it out."""
        module, _, name = self.target.partition(":")
        found = getattr(import_module(module), name)
        if isinstance(found, typer.Typer):
            return get_group(found)
        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        alone.command(self.name)(found)
        return get_command(alone)


class _Deferred(TyperCommand):
    """Stand for a command in the list, and give way to the command itself once it is called."""

    def __init__(self, listed: LazyCommand) -> None:
        super().__init__(listed.name, help=listed.help)
        self._listed = listed

    def make_context(self, info_name: Any, args: Any, parent: Any = None, **extra: Any) -> Any:
        """Read the arguments as the command itself does."""
        return self._listed.load().make_context(info_name, args, parent=parent, **extra)


def commands_of(listed: Sequence[LazyCommand]) -> type[TyperGroup]:
    """Return the class of a group that has these commands."""

    class Commands(TyperGroup):
        def __init__(self, **attributes: Any) -> None:
            super().__init__(**attributes)
            self.commands.update({each.name: _Deferred(each) for each in listed})

    return Commands
