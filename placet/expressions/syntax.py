"""Parse CEL text into a plain tree, with the CEL project's own parser.

The parser hands its tree out only as a serialised `cel.expr.ParsedExpr` (syntax.proto of the CEL specification),
without generated Python classes for it. The wire format of the few messages that matter is read here, by field number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NoReturn, TypeAlias

from placet.errors import ConditionInvalid
from placet.expressions.expression import place
from placet.expressions.number import read_decimal
from placet.sentences import sentence

MAX_SOURCE = 4_000  # characters
MAX_NODES = 1_000

SyntaxKind: TypeAlias = Literal["null", "bool", "int", "decimal", "string", "name", "select", "call", "list"]
Fields: TypeAlias = dict[int, list[Any]]  # field number -> values in order: int, or bytes

_DOUBLE = re.compile(r"-?\s*((?:\d+\.\d+|\d+|\.\d+)(?:[eE][+-]?\d+)?)", re.ASCII)
_FAULT = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_WORDS = {
    "and": "&&",
    "or": "||",
    "not": "!",
    "AND": "&&",
    "OR": "||",
    "NOT": "!",
    "is": "==",
    "&": "&&",
    "|": "||",
    "=": "==",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Syntax:
    """Hold one parsed node. Macros are calls: nothing is expanded."""

    kind: SyntaxKind
    at: int  # offset in the source, in characters
    value: Any = None  # of a literal; a decimal is its canonical Decimal
    name: str = ""  # of a name, of a select's field, of a call's function
    target: Syntax | None = None  # of a select, of a method call
    args: tuple[Syntax, ...] = ()


def refuse(source: str, at: int, message: str) -> NoReturn:
    """Raise ConditionInvalid that names the place."""
    raise ConditionInvalid(sentence("{source_text}: {message}", source_text=place(source, at), message=message))


def parse(source: str) -> Syntax:
    """Return the tree of a CEL text. Raises ConditionInvalid with line, column and what to do."""
    if not isinstance(source, str) or not source.strip():
        raise ConditionInvalid("line 1, column 1: the expression is empty; write one such as amount > 5000")
    if len(source) > MAX_SOURCE:
        raise ConditionInvalid(
            sentence(
                "line 1, column 1: the expression has more than {max_source} characters; split it",
                max_source=MAX_SOURCE,
            )
        )
    if not source.isascii():
        try:
            source.encode()
        except UnicodeEncodeError as error:
            refuse(source, error.start, "half of a surrogate pair is no text; remove it")
    try:
        serialised = _environment().compile(source, disable_check=True).serialize()
    except RuntimeError as error:
        raise ConditionInvalid(_explained(source, str(error))) from None
    parsed = _fields(_fields(serialised)[2][0])
    positions = {}
    for entry in _fields(parsed[3][0]).get(4, []):
        pair = _fields(entry)
        positions[pair[1][0]] = pair.get(2, [0])[0]
    return _ProtobufReader(source, positions).node(parsed[2][0])


@cache
def _environment() -> Any:
    # Loaded here, not above: evaluation must not need the native parser.
    from cel_expr_python import cel

    # Macros stay calls: they are checked as what the author wrote.
    return cel.NewEnv(config=cel.NewEnvConfigFromYaml("stdlib:\n  disable_macros: true\n"))


def _explained(source: str, report: str) -> str:
    """Turn the parser's report into one sentence with the place and the remedy."""
    if "recursion" in report:
        return "line 1, column 1: the expression is nested more than 32 levels deep, or too long a sum; split it"
    found = _FAULT.search(report)
    if found is None:
        return sentence("line 1, column 1: {report}", report=report.splitlines()[0])
    line, column = int(found[1]), int(found[2])
    fault = found[3].removesuffix(" [INVALID_ARGUMENT]").partition(" expecting ")[0].removeprefix("Syntax error: ")
    where = sentence("line {line}, column {column}: ", line=line, column=column)
    if "'<EOF>'" in fault:
        return where + sentence("the expression ends too early; complete it")
    if "invalid int literal" in fault:
        return where + sentence(
            "a whole number has at most 64 bits; write a larger one with a decimal point, such as 1.0"
        )
    if fault.startswith("reserved identifier"):
        return where + sentence("{fault}; this word cannot be a name", fault=fault)
    lines = re.split(r"\r\n|\n|\r", source)
    text = lines[line - 1] if line <= len(lines) else ""
    word = re.match(r"\w+|[=&|]", text[max(column - 1, 0) :])
    before = re.search(r"(\w+)\s*$", text[: max(column - 1, 0)])
    if text[max(column - 2, 0) : column] == "<>":
        return where + sentence("'<>' is no operator; write !=")
    for candidate in (word[0] if word else "", before[1] if before else ""):
        if candidate in _WORDS:
            return where + sentence(
                "{candidate!r} is no operator; write {words}", candidate=candidate, words=_WORDS[candidate]
            )
    return where + sentence("this is no CEL expression ({fault})", fault=fault[:200])


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _fields(data: bytes) -> Fields:
    """Read a message of the protocol buffer wire format."""
    fields: Fields = {}
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        wire = tag & 7
        value: int | bytes
        if wire == 0:
            value, at = _varint(data, at)
        elif wire == 1:
            value, at = data[at : at + 8], at + 8
        elif wire == 2:
            length, at = _varint(data, at)
            value, at = data[at : at + length], at + length
        else:
            value, at = data[at : at + 4], at + 4
        fields.setdefault(tag >> 3, []).append(value)
    return fields


class _ProtobufReader:
    """Turn serialised `cel.expr.Expr` messages into `Syntax`."""

    def __init__(self, source: str, positions: dict[int, int]) -> None:
        self.source = source
        self.positions = positions
        self.nodes = 0

    def node(self, data: bytes) -> Syntax:
        fields = _fields(data)
        at = self.positions.get(fields.get(2, [0])[0], 0)
        self.nodes += 1
        if self.nodes > MAX_NODES:
            refuse(
                self.source,
                at,
                sentence("the expression has more than {max_nodes} parts; split it", max_nodes=MAX_NODES),
            )
        if 3 in fields:
            return self.constant(at, _fields(fields[3][0]))
        if 4 in fields:
            return Syntax(kind="name", at=at, name=_text(_fields(fields[4][0]), 1))
        if 5 in fields:
            select = _fields(fields[5][0])
            return Syntax(kind="select", at=at, name=_text(select, 2), target=self.node(select[1][0]))
        if 6 in fields:
            call = _fields(fields[6][0])
            target = self.node(call[1][0]) if 1 in call else None
            args = tuple(self.node(arg) for arg in call.get(3, []))
            return Syntax(kind="call", at=at, name=_text(call, 2), target=target, args=args)
        if 7 in fields:
            return Syntax(kind="list", at=at, args=tuple(self.node(item) for item in _fields(fields[7][0]).get(1, [])))
        refuse(self.source, at, "maps and messages ({...}) are not supported; declare an object variable instead")

    def constant(self, at: int, fields: Fields) -> Syntax:
        [(number, [value])] = fields.items()
        if number == 1:
            return Syntax(kind="null", at=at)
        if number == 2:
            return Syntax(kind="bool", at=at, value=bool(value))
        if number == 3:
            return Syntax(kind="int", at=at, value=value - 2**64 if value >= 2**63 else value)
        if number == 5:
            return self.exact(at, value)
        if number == 6:
            return Syntax(kind="string", at=at, value=value.decode())
        refuse(self.source, at, "unsigned numbers and bytes are not supported; write a plain number or string")

    def exact(self, at: int, double: bytes) -> Syntax:
        """Take a decimal literal from the text: the parser's binary value has already lost digits."""
        written = _DOUBLE.match(self.source, at)
        if written is None:
            refuse(self.source, at, "this number cannot be read; write it such as 0.1")
        try:
            number = read_decimal(written[1])
        except ValueError as error:
            refuse(self.source, at, error.args[0])
        # The sign belongs to the literal; of the parser's value only its sign bit is of use.
        return Syntax(kind="decimal", at=at, value=number.copy_negate() if double[7] & 0x80 else number)


def _text(fields: Fields, number: int) -> str:
    return str(fields[number][0].decode()) if number in fields else ""
