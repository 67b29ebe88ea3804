"""Commands of a shell, as documents show them: each is held against what it calls, without running it."""

from __future__ import annotations

import itertools
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import typer
import yaml

from cli.main import COMMANDS, app
from docs.site.reference.settings import names
from tests.doc_blocks import ROOT
from tests.doc_blocks.documents import call_of, faults_of_body

OF_CLIENTS = {"PLACET_URL", "PLACET_TOKEN", "PLACET_TOKEN_FILE"}
"""The variables of whoever calls an installation from elsewhere; docs/client.md describes them."""
NOTHING_OF_OURS = {"cat", "cd", "date", "export", "head", "kubectl", "openssl", "pg_dump", "pg_restore", "psql"}
"""Programs of the machine, and of the shell."""
_BETWEEN = set("\n;&|()")
_REDIRECTED = set("<>&")


def faults_of(text: str) -> list[str]:
    """Return what is wrong with the commands of a block."""
    return [fault for command in commands_of(text) for fault in _faults(command)]


def commands_of(text: str) -> Iterator[list[str]]:
    """Yield each command as its words, also those whose output becomes a part of another; without redirections."""
    lexer = shlex.shlex(_bare(text), posix=True, punctuation_chars="();<>|&\n")
    lexer.whitespace = " \t\r"
    lexer.whitespace_split = True
    lexer.commenters = ""
    command: list[str] = []
    words = iter([*lexer, "\n"])
    for word in words:
        if set(word) <= _BETWEEN:
            if command:
                yield command
            command = []
        elif set(word) <= _REDIRECTED:
            next(words)  # the file
        else:
            for inner in re.findall(r"\$\(([^()]+)\)", word):
                yield from commands_of(inner)
            command.append(word)


def _bare(text: str) -> str:
    """Return a script without comments, the texts that are handed to commands, and ends of lines that mean nothing."""
    text = re.sub(r"<<'?(\w+)'?(.*?\n).*?^\1$", r"\2", text, flags=re.MULTILINE | re.DOTALL)
    text = text.replace("\\\n", " ")
    kept: list[str] = []
    quote = ""
    comment = False
    for before, letter in zip(" " + text, text, strict=False):
        if comment and letter != "\n":
            continue
        comment = False
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter == "#" and before.isspace():
            comment = True
            continue
        kept.append(letter)
    return "".join(kept)


def _faults(command: Sequence[str]) -> Iterator[str]:
    words = list(command)
    while words and (given := re.match(r"([A-Z_]+)=", words[0])):
        yield from _variable(given[1])
        words.pop(0)
    if not words:
        return
    name, *rest = words
    if name == "export":
        for word in rest:
            yield from _variable(word.partition("=")[0])
    elif name in CHECKS:
        yield from CHECKS[name](rest)
    elif "/" in name:
        if not (ROOT / name).exists():
            yield f"there is no {name}"
    elif name not in NOTHING_OF_OURS:
        yield f"{name} is not known to tests/doc_blocks/commands.py: say there how it is checked"


def _variable(name: str) -> Iterator[str]:
    ours = name.startswith(("PLACET_", "TEMPORAL_"))
    if ours and name not in settings():
        yield f"there is no setting {name}"


@cache
def settings() -> set[str]:
    """Return the names of all settings."""
    return names() | OF_CLIENTS


@cache
def placet_commands() -> dict[str, Any]:
    """Return the commands of `placet` by their names."""
    return {listed.name: listed.load() for listed in COMMANDS}


def own_options() -> set[str]:
    """Return the options of `placet` itself."""
    return {option for each in typer.main.get_command(app).params for option in each.opts}


def _placet(words: Sequence[str]) -> Iterator[str]:
    if not words or words[0] not in placet_commands():
        yield f"there is no command placet {' '.join(words[:1])}"
        return
    name, *rest = words
    command = placet_commands()[name]
    while rest and rest[0] in getattr(command, "commands", {}):
        command = command.commands[rest[0]]
        name, rest = f"{name} {rest[0]}", rest[1:]
    try:
        command.make_context(f"placet {name}", rest)
    except typer.Exit:  # of --help
        return
    except typer.TyperException as error:
        if "does not exist" not in str(error):  # of a file that the reader has
            yield f"placet {name}: {error}"


def faults_of_words(text: str) -> list[str]:
    """Return what is wrong with a command of `placet` in running text, which may leave out what it is given."""
    if re.fullmatch(r"placet \w+ \d+", text):  # what is signed or hashed begins with such words
        return []
    words = [word for word in re.split(r"[\s\[\]]+", text) if word][1:]
    command: Any = None
    commands = placet_commands()
    while words and words[0] in commands:
        command = commands[words.pop(0)]
        commands = getattr(command, "commands", {})
    if command is None:
        placeholder = not words or words[0].isupper() or words[0] in {"…", "--help"} or words[0] in own_options()
        return [] if placeholder else [f"there is no command placet {words[0]}"]
    known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)} | {"--help"}
    used = [word.partition("=")[0].rstrip("…") for word in words if word.startswith("--")]
    return [f"{text} has no option {option}" for option in used if option not in known]


def _curl(words: Sequence[str]) -> Iterator[str]:
    url = next((word for word in words if re.match(r"https?://|\$\w+/|\$\{", word)), "")
    data = next((words[at + 1] for at, word in enumerate(words[:-1]) if word in {"-d", "--data"}), None)
    method = next(
        (words[at + 1] for at, word in enumerate(words[:-1]) if word == "-X"), "GET" if data is None else "POST"
    )
    path = re.sub(r"^(?:https?://[^/]*|\$\w+)", "", url).partition("?")[0]
    found = call_of(method, path)
    if found is None:
        yield f"no call is {method} {path}"
    elif data is not None and "$" not in data and not data.startswith("@"):
        yield from faults_of_body(found, data)


def _make(words: Sequence[str]) -> Iterator[str]:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))
    for word in words:
        name, given, _ = word.partition("=")
        if given and f"$({name})" not in makefile:
            yield f"the Makefile reads no {name}"
        if not given and name not in targets:
            yield f"there is no target {name} in the Makefile"


def _python(words: Sequence[str]) -> Iterator[str]:
    if words[:1] == ["-m"]:
        found = find_spec(words[1])
        if found is None or found.origin is None:
            yield f"there is no module {words[1]}"
            return
        source = "\n".join(file.read_text() for file in Path(found.origin).parent.glob("*.py"))
        yield from (
            f"{words[1]} has no option {word}" for word in words if word.startswith("--") and f'"{word}"' not in source
        )
    elif words and not (ROOT / words[0]).is_file():
        yield f"there is no {words[0]}"


def _pip(words: Sequence[str]) -> Iterator[str]:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for extra in re.findall(r"placet\[(\w+)\]", " ".join(words)):
        if extra not in extras:
            yield f"placet has no extra {extra}"


def _uv(words: Sequence[str]) -> Iterator[str]:
    yield from (f"there is no {word}" for word in words if word.endswith(".toml") and not (ROOT / word).is_file())


def _of_deploy(words: Sequence[str]) -> Iterator[str]:
    yield from (f"there is no {word}" for word in words if word.startswith("deploy/") and not (ROOT / word).exists())


def _helm(words: Sequence[str]) -> Iterator[str]:
    yield from _of_deploy(words)
    values = yaml.safe_load((ROOT / "deploy" / "helm" / "placet" / "values.yaml").read_text())
    for before, word in itertools.pairwise(words):
        at = values if before == "--set" else None
        for name in word.partition("=")[0].split("."):
            if at is not None and name not in at:
                yield f"the chart has no value {word.partition('=')[0]}"
                break
            at = at[name] if at is not None else None


def _sourced(words: Sequence[str]) -> Iterator[str]:
    if list(words) != [".venv/bin/activate"]:
        yield f"{' '.join(words)} is not made by make install"


CHECKS: dict[str, Callable[[Sequence[str]], Iterator[str]]] = {
    "placet": _placet,
    "curl": _curl,
    "make": _make,
    "python": _python,
    ".venv/bin/python": _python,
    "pip": _pip,
    "uv": _uv,
    "docker": _of_deploy,
    "helm": _helm,
    ".": _sourced,
}
