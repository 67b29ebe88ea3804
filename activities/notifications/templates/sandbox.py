"""Render templates that operators edit. No template can hang the process, exhaust its memory or reach its internals.

Jinja's sandbox protects Python's internals, but a template could still loop endlessly or build huge strings. So only a
small language is allowed: output, `if`, `for` and listed filters, without calls, assignments, macros or files, without
arithmetic but `+` and `-`, and with lists of constants only. So no value can be doubled repeatedly, and the work is
linear in the template and its values. The loops, the length and the processor time of one rendering are bounded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from functools import cache, partial
from traceback import walk_tb
from typing import Any
from urllib.parse import quote

from jinja2 import StrictUndefined, Template, TemplateError, Undefined, nodes, pass_context, pass_eval_context
from jinja2.nodes import EvalContext
from jinja2.runtime import Context
from jinja2.sandbox import SandboxedEnvironment
from jinja2.visitor import NodeTransformer
from markupsafe import Markup, escape

from languages import formats
from languages.catalogues import SOURCE, say_in
from placet.errors import InputInvalid, Problem

LONGEST_SOURCE = 32_000  # characters of one template
LONGEST_OUTPUT = 200_000  # characters of one rendering
MOST_ITERATIONS = 5_000  # of all loops of one rendering together
LONGEST_JOIN = 5_000
DEEPEST = 40  # levels of nesting, of blocks and of filters that follow one another
MOST_SECONDS = 0.25  # of processor time for one rendering; a notification needs six renderings
_BUDGET = "_budget"
_FILE = "<template>"  # Jinja's name for a template without a file

_NODES = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Const,
    nodes.Getattr,
    nodes.Getitem,
    nodes.If,
    nodes.For,
    nodes.CondExpr,
    nodes.Filter,
    nodes.Test,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Add,
    nodes.Sub,
    nodes.Concat,
    nodes.List,
    nodes.Tuple,
    nodes.Keyword,
)
_TESTS = frozenset({"defined", "undefined", "none", "true", "false", "string", "number", "in", "eq", "ne", "equalto"})


class TemplateBroken(InputInvalid):
    """The template cannot be rendered."""


class RenderingBudget:
    """What one rendering may still use: iterations of loops, and processor time of this thread."""

    def __init__(self, rounds: int = MOST_ITERATIONS, seconds: float = MOST_SECONDS) -> None:
        self._rounds = rounds
        self._until = time.thread_time() + seconds
        # A thread does not work for longer than the clock on the wall runs, and that one is much cheaper to read.
        self._look_at = time.monotonic() + seconds

    def spend(self, rounds: int = 0) -> None:
        """Use so many iterations; raises TemplateBroken where iterations or time are used up."""
        self._rounds -= rounds
        if self._rounds < 0:
            raise TemplateBroken(f"The template's loops run more than {MOST_ITERATIONS} times; loop over less.")
        if (now := time.monotonic()) < self._look_at:
            return
        left = self._until - time.thread_time()
        if left <= 0:
            raise TemplateBroken(f"The template takes more than {MOST_SECONDS:g} s to render; make it simpler.")
        self._look_at = now + left


def _bad(message: str, line: int, pointer: str) -> TemplateBroken:
    text = f"line {line}: {message}" if line else message
    return TemplateBroken(f"The template cannot be used: {text}", problems=(Problem(pointer=pointer, message=text),))


@pass_context
def _counted(context: Context, values: Iterable[Any]) -> Iterator[Any]:
    budget: RenderingBudget = context.parent[_BUDGET]
    for value in values:
        budget.spend(1)
        yield value


@pass_eval_context
def _joined(context: EvalContext, values: Iterable[Any]) -> str:
    """Join texts as `~` does, escaped where the template is HTML, and no longer than a rendering may be."""
    parts: list[str] = []
    length = 0
    for value in values:
        part = escape(value) if context.autoescape else str(value)
        length += len(part)
        if length > LONGEST_OUTPUT:
            raise _too_long()
        parts.append(part)
    return Markup("").join(parts) if context.autoescape else "".join(parts)


def _join(values: Iterable[Any], separator: str = "", attribute: str | None = None) -> str:
    parts: list[str] = []
    length = 0
    for value in values:
        part = str(value[attribute] if attribute is not None else value)
        length += len(part) + len(separator)
        if length > LONGEST_JOIN:
            raise TemplateBroken(f"`join` makes more than {LONGEST_JOIN} characters; join less.")
        parts.append(part)
    return separator.join(parts)


def _shorten(value: Any, length: int = 200) -> str:
    text = str(value)
    return text if len(text) <= length else text[: max(0, length - 1)] + "…"


def _default(value: Any, instead: Any = "") -> Any:
    return instead if isinstance(value, Undefined) or value is None or value == "" else value


def _items(value: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return list(value.items())


def _speaking(language: str) -> dict[str, Callable[..., Any]]:
    """Return the filters that write what is of a language: times, durations, and words such as `approved`."""
    say = say_in(language)
    return {
        "when": partial(formats.when, language=language),
        "duration": partial(formats.duration, language=language),
        "number": lambda value: formats.number(Decimal(str(value)), language),
        "word": lambda code: say(text) if (text := str(code).replace("_", " ")) else "",
    }


_FILTERS: dict[str, Callable[..., Any]] = {
    **_speaking(SOURCE),
    "join": _join,
    "shorten": _shorten,
    "truncate": _shorten,
    "default": _default,
    "d": _default,
    "items": _items,
    "upper": lambda value: str(value).upper(),
    "lower": lambda value: str(value).lower(),
    "capitalize": lambda value: str(value)[:1].upper() + str(value)[1:],
    "title": lambda value: str(value).title(),
    "trim": lambda value: str(value).strip(),
    "length": len,
    "count": len,
    "first": lambda values: next(iter(values), ""),
    "last": lambda values: values[-1] if values else "",
    "urlencode": lambda value: quote(str(value), safe=""),
}
_ESCAPES = frozenset({"e", "escape"})
_WRITABLE = (str, int, float, datetime, Mapping, list, tuple, Undefined)  # an Undefined raises by itself


def _written(value: Any) -> Any:
    """Return an empty text for None; raises TemplateBroken for a value without a text, such as a method."""
    if value is None:
        return ""
    if not isinstance(value, _WRITABLE):
        raise TemplateBroken(f"A {type(value).__name__} cannot be written; name one of its values.")
    return value


@cache
def _environment(language: str, *, html: bool) -> SandboxedEnvironment:
    environment = SandboxedEnvironment(
        autoescape=html,
        undefined=StrictUndefined,
        finalize=_written,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    escapes = {name: environment.filters[name] for name in _ESCAPES}
    environment.filters = {**_FILTERS, **_speaking(language), **escapes, "_counted": _counted, "_joined": _joined}
    environment.tests = {name: test for name, test in environment.tests.items() if name in _TESTS}
    environment.globals = {}
    return environment


@cache
def _allowed() -> str:
    return ", ".join(sorted({*_FILTERS, *_ESCAPES}))


def prepare(source: str, *, html: bool, pointer: str = "", language: str = SOURCE) -> Template:
    """Compile a template; raises TemplateBroken that names the line and what to change.

    `pointer` names the field that the source came from; its filters write times and words in `language`.
    """
    if len(source) > LONGEST_SOURCE:
        raise _bad(f"it is longer than {LONGEST_SOURCE} characters", 0, pointer)
    environment = _environment(language, html=html)
    try:
        tree = environment.parse(source)
        _check(tree, pointer)
        return environment.from_string(tree)
    except TemplateError as error:
        raise _bad(error.message or "it does not parse", getattr(error, "lineno", 0) or 0, pointer) from error
    except (RecursionError, MemoryError, SyntaxError, ValueError, OverflowError) as error:
        raise _bad("it is nested too deeply or holds a number that is too large", 0, pointer) from error


def _check(tree: nodes.Template, pointer: str) -> None:
    for node, depth in _walk(tree, 0):
        kind = type(node).__name__
        if depth > DEEPEST:
            raise _bad(f"it is nested more than {DEEPEST} levels deep", node.lineno, pointer)
        if not isinstance(node, _NODES):
            raise _bad(f"{kind} is not allowed; use output, if, for and filters", node.lineno, pointer)
        if isinstance(node, nodes.Filter) and node.name not in _FILTERS and node.name not in _ESCAPES:
            raise _bad(f"there is no filter {node.name!r}; there are {_allowed()}", node.lineno, pointer)
        if isinstance(node, nodes.Test) and node.name not in _TESTS:
            raise _bad(f"there is no test {node.name!r}; there are {', '.join(sorted(_TESTS))}", node.lineno, pointer)
        if isinstance(node, nodes.Name) and node.name.startswith("_"):
            raise _bad(f"{node.name!r} is not a value of a notification", node.lineno, pointer)
        if isinstance(node, nodes.List) and not all(isinstance(item, nodes.Const) for item in node.items):
            raise _bad("a list may hold constants only", node.lineno, pointer)
        if isinstance(node, nodes.Tuple) and node.ctx != "store":
            raise _bad("tuples are not allowed; write a list of constants", node.lineno, pointer)
        if isinstance(node, nodes.Filter) and (node.dyn_args is not None or node.dyn_kwargs is not None):
            raise _bad("filters take plain arguments", node.lineno, pointer)
    _Joining().visit(tree)
    for loop in tree.find_all(nodes.For):
        if loop.recursive:
            raise _bad("loops may not be recursive", loop.lineno, pointer)
        loop.iter = nodes.Filter(loop.iter, "_counted", [], [], None, None, lineno=loop.lineno)


class _Joining(NodeTransformer):
    """Replaces `~` by a join that counts its length, since a template may repeat a long text."""

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:  # noqa: N802 - named for the node
        """Return the call that joins them."""
        self.generic_visit(node)
        parts = nodes.List(node.nodes, lineno=node.lineno)
        return nodes.Filter(parts, "_joined", [], [], None, None, lineno=node.lineno)


def _walk(node: nodes.Node, depth: int) -> Iterator[tuple[nodes.Node, int]]:
    yield node, depth
    if depth > DEEPEST:
        return
    for child in node.iter_child_nodes():
        yield from _walk(child, depth + 1)


def render(template: Template, values: Mapping[str, Any], *, pointer: str = "") -> str:
    """Render with these values; raises TemplateBroken where a value is missing or a bound is reached.

    `pointer` names the field that the template came from.
    """
    length = 0
    parts: list[str] = []
    budget = RenderingBudget()
    try:
        for part in template.generate({**values, _BUDGET: budget}):
            budget.spend()
            length += len(part)
            if length > LONGEST_OUTPUT:
                raise _too_long()
            parts.append(part)
    except TemplateError as error:
        raise _unwritten(error, error.message or "a value is not there", pointer) from error
    except (
        TypeError,
        ValueError,
        KeyError,
        AttributeError,
        LookupError,
        ArithmeticError,
        RecursionError,
        TemplateBroken,
    ) as error:
        raise _unwritten(error, str(error), pointer) from error
    return "".join(parts)


def _unwritten(error: Exception, message: str, pointer: str) -> TemplateBroken:
    """Return the error with the line of the template, which Jinja puts into the traceback."""
    lines = [line for frame, line in walk_tb(error.__traceback__) if frame.f_code.co_filename == _FILE]
    text = f"line {lines[-1]}: {message}" if lines else message
    return TemplateBroken(
        f"The template cannot be rendered: {text}", problems=(Problem(pointer=pointer, message=text),)
    )


def _too_long() -> TemplateBroken:
    return TemplateBroken(f"The template writes more than {LONGEST_OUTPUT} characters; write less.")


def trusted(html: str) -> Markup:
    """Mark HTML that was rendered here, so that the layout does not escape it again."""
    return Markup(html)  # noqa: S704 - an escaping template rendered it
