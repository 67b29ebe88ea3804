"""Commands that are imported when they are called, so that `--help` and small commands start fast."""

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
        """Import the command's module and return the command."""
        module, _, name = self.target.partition(":")
        found = getattr(import_module(module), name)
        if isinstance(found, typer.Typer):
            return get_group(found)
        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        alone.command(self.name)(found)
        return get_command(alone)


class _Deferred(TyperCommand):
    """A placeholder in the list of commands; it loads the real command when it is called."""

    def __init__(self, listed: LazyCommand) -> None:
        super().__init__(listed.name, help=listed.help)
        self._listed = listed

    def make_context(self, info_name: Any, args: Any, parent: Any = None, **extra: Any) -> Any:
        """Parse the arguments with the real command."""
        return self._listed.load().make_context(info_name, args, parent=parent, **extra)


def commands_of(listed: Sequence[LazyCommand]) -> type[TyperGroup]:
    """Return a command group class with these commands."""

    class Commands(TyperGroup):
        def __init__(self, **attributes: Any) -> None:
            super().__init__(**attributes)
            self.commands.update({each.name: _Deferred(each) for each in listed})

    return Commands
