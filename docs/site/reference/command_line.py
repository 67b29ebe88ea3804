"""The command line, from the commands themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import typer

from cli.main import COMMANDS
from docs.site.reference.markdown import code, plain, table

_PLACE: Final = re.compile(r"\{(\w+)\}|\[(\w+)\](?=\.|$)")
"""An argument in a usage line."""


def page() -> str:
    """Return the page of commands."""
    rows = [[f"[`placet {each.name}`](#placet-{each.name})", each.help] for each in COMMANDS]
    parts = [
        "# Commands",
        "`placet --help` and `placet COMMAND --help` say the same in a terminal.",
        table(["command", "what it does"], rows),
    ]
    for listed in COMMANDS:
        for name, command in commands_below(f"placet {listed.name}", listed.load()):
            parts += _section(name, command)
    return "\n\n".join(part for part in parts if part)


def commands_below(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Yield a command with its name, and those below it."""
    yield name, command
    for inner, each in getattr(command, "commands", {}).items():
        yield from commands_below(f"{name} {inner}", each)


def _section(name: str, command: Any) -> list[str]:
    context = typer.Context(command, info_name=name)
    shown = [each for each in command.params if not each.hidden]
    usage = _PLACE.sub(lambda found: (found[1] or f"[{found[2]}]").upper(), _usage(command, context))
    return [
        f"{'##' if name.count(' ') == 1 else '###'} {name}",
        code(usage),
        plain(command.help or ""),
        table(["argument", "meaning"], [_row(each, context) for each in shown if each.param_type_name == "argument"]),
        table(["option", "meaning"], [_row(each, context) for each in shown if each.param_type_name == "option"]),
    ]


def _usage(command: Any, context: typer.Context) -> str:
    return " ".join(str(command.get_usage(context)).removeprefix("Usage: ").split())


def _row(parameter: Any, context: typer.Context) -> list[str]:
    name, told = parameter.get_help_record(context)
    variable = parameter.envvar
    named = f" Also the variable {code(variable)}." if isinstance(variable, str) else ""
    return [code(name.replace("<list[str]>", "<str>, several times")), plain(told) + named]
