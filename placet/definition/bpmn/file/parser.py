"""Parse expressions of BPMN and DMN files into one kind of tree, whichever engine they were written for.

What is read is what JUEL (`${amount > 5}`), FEEL (`= amount in [1..5]`), Java, Groovy and JavaScript have in common,
and the ways in which each spells the same: `a.equals("b")`, `order.getTotal()`, `KieFunctions.greaterThan(a, 5)`,
`not(list contains(a, "b"))`. Everything else is refused, with the words that could not be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import NoReturn

from placet.definition.bpmn.file.terms import Term, Unclear, moment_of, negated, turned
from placet.sentences import sentence

_LONGEST = 2_000  # characters
_DEEPEST = 30
_MOST = 300  # words and signs
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
    r"""|(?P<number>(?:\d+(?:\.(?!\.)\d+)?|\.\d+)(?:[eE][+-]?\d+)?)[lLfFdDgG]?(?![\w])"""
    r"""|(?P<word>[^\W\d]\w*|\$\w+|\?)"""
    r"""|(?P<sign>===|!==|==|!=|<>|<=|>=|&&|\|\||\.\.|[-+*/%<>=!()\[\]{},.:;]))""",
)
_WRAPPED = re.compile(r"[#$]\{([^{}]*)\}")
_ALIKE = {
    "and": "&&", "or": "||", "eq": "==", "ne": "!=", "gt": ">", "ge": ">=", "lt": "<", "le": "<=", "div": "/",
    "mod": "%", "===": "==", "!==": "!=", "<>": "!=", "=": "==",
}  # fmt: skip
_ORDER = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
_EQUAL = {"==": "eq", "!=": "ne"}
_SUM = {"+": "add", "-": "sub"}
_PRODUCT = {"*": "mul", "/": "div", "%": "mod"}
_PLAIN = {  # methods that only write a value in another way
    "intValue", "longValue", "doubleValue", "floatValue", "toString", "booleanValue", "trim", "asText", "value",
    "stringValue", "numberValue", "boolValue", "isTrue",
}  # fmt: skip
_BETWEEN = {  # methods and functions of two values
    "equals": "eq", "equalsTo": "eq", "greaterThan": "gt", "greaterOrEqualThan": "ge", "lessThan": "lt",
    "lessOrEqualThan": "le", "contains": "contains", "startsWith": "startsWith", "endsWith": "endsWith",
    "starts with": "startsWith", "ends with": "endsWith", "list contains": "has", "before": "lt", "after": "gt",
}  # fmt: skip
_SIZES = {"size", "length", "count", "string length"}
_NAMES = {"execution", "kcontext", "task", "context", "processInstance", "delegateTask"}
_OPERANDS = {"eq", "ne", "lt", "le", "gt", "ge"}


def read_term(source: str) -> Term:
    """Read an expression in any of its wrappings; raises Unclear."""
    text = unwrapped(source)
    if not text:
        raise Unclear("it is empty")
    if len(text) > _LONGEST:
        raise Unclear(sentence("it is longer than {longest} characters", longest=_LONGEST))
    parser = _Parser(text)
    found = parser.choice()
    parser.end()
    return found


def unwrapped(source: str) -> str:
    """Return an expression without `${…}`, FEEL's leading `=`, `return …;` and comments."""
    text = re.sub(r"/\*.*?\*/", " ", source, flags=re.DOTALL).strip()
    text = re.sub(r"(?m)^\s*//.*$", "", text).strip()
    if _WRAPPED.fullmatch(text) is not None:
        text = text[2:-1]
    elif _WRAPPED.search(text) is not None:
        text = _WRAPPED.sub(r"(\1)", text)
    elif re.match(r"=(?![=])", text):
        text = text[1:]
    text = text.strip().rstrip(";").strip()
    return re.sub(r"^return\b", "", text).strip()


def read_test(source: str, operand: Term) -> tuple[Term, ...]:
    """Read FEEL's unary tests about one value: each of them alone is enough; () where anything goes. Raises Unclear."""
    text = source.strip()
    if text in {"", "-"}:
        return ()
    if len(text) > _LONGEST:
        raise Unclear(sentence("it is longer than {longest} characters", longest=_LONGEST))
    parser = _Parser(text, operand=operand)
    found = parser.tests()
    parser.end()
    return found


class _Parser:
    def __init__(self, text: str, operand: Term | None = None) -> None:
        self.text = text
        self.operand = operand  # what `?` and a test without a left side are about
        self.tokens: list[tuple[str, str, int]] = []
        self.at = 0
        self.depth = 0
        position = 0
        while position < len(text.rstrip()):
            match = _TOKEN.match(text, position)
            if match is None or match.end() == position:
                raise Unclear(sentence("{text!r} is not understood", text=text[position : position + 20]))
            kind = str(match.lastgroup)
            word = match[kind]
            if kind in {"word", "sign"} and word in _ALIKE:
                kind, word = "sign", _ALIKE[word]
            self.tokens.append((kind, word, match.start(kind)))
            position = match.end()
            if len(self.tokens) > _MOST:
                raise Unclear(sentence("it has more than {most} words", most=_MOST))

    # Reading

    def peek(self, *words: str) -> bool:
        return self.at < len(self.tokens) and self.tokens[self.at][0] != "text" and self.tokens[self.at][1] in words

    def ahead(self, *words: str) -> bool:
        """Whether exactly these words follow."""
        following = [token[1] for token in self.tokens[self.at : self.at + len(words)]]
        return following == list(words)

    def take(self, *words: str) -> bool:
        if self.peek(*words):
            self.at += 1
            return True
        return False

    def need(self, word: str) -> None:
        if not self.take(word):
            self.fault()

    def end(self) -> None:
        if self.at < len(self.tokens):
            self.fault()

    def fault(self) -> NoReturn:
        rest = self.text[self.tokens[self.at][2] :] if self.at < len(self.tokens) else ""
        raise Unclear(sentence("{rest!r} is not understood", rest=rest[:40]) if rest else "it ends too early")

    # From the loosest binding to the tightest

    @contextmanager
    def level(self) -> Iterator[None]:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise Unclear(sentence("it is nested deeper than {deepest} levels", deepest=_DEEPEST))
        yield
        self.depth -= 1

    def choice(self) -> Term:
        with self.level():
            if self.take("if"):
                asked = self.choice()
                self.need("then")
                one = self.choice()
                self.need("else")
                return Term("if", (asked, one, self.choice()))
            found = self.either()
            if self.take("?"):
                one = self.choice()
                self.need(":")
                return Term("if", (found, one, self.choice()))
            return found

    def either(self) -> Term:
        found = self.both()
        while self.take("||"):
            found = Term("or", (found, self.both()))
        return found

    def both(self) -> Term:
        found = self.opposite()
        while self.take("&&"):
            found = Term("and", (found, self.opposite()))
        return found

    def opposite(self) -> Term:
        if self.peek("!", "not"):
            word = self.tokens[self.at][1]
            self.at += 1
            with self.level():
                return negated(self.compared(self.primary()) if word == "!" else self.opposite())
        return self.compared(self.sum())

    def compared(self, left: Term) -> Term:
        while True:
            if self.peek(*_EQUAL, *_ORDER):
                sign = self.tokens[self.at][1]
                self.at += 1
                left = Term({**_EQUAL, **_ORDER}[sign], (left, self.sum()))
            elif self.take("in"):
                left = self.within(left)
            elif self.take("between"):
                low = self.sum()
                self.need("&&")
                left = Term("and", (Term("ge", (left, low)), Term("le", (left, self.sum()))))
            elif self.take("matches"):
                raise Unclear("patterns of texts are not taken over")
            else:
                return left

    def within(self, left: Term) -> Term:
        """Read what follows `in`: a range, a list, tests in brackets, or a list's name."""
        if self.peek("(", "[", "]") and (found := self.ranged(left)) is not None:
            return found
        if self.peek("("):
            before = self.at
            self.at += 1
            outer, self.operand = self.operand, left
            try:
                alone = self.tests()
                self.need(")")
                return _any(alone)
            except Unclear:
                self.at = before
            finally:
                self.operand = outer
        return Term("in", (left, self.sum()))

    def ranged(self, operand: Term) -> Term | None:
        """Read FEEL's `[1..5]`, `(1..5]`, `]1..5[`; None, and nothing read, where it is none."""
        before = self.at
        opening = self.tokens[self.at][1]
        self.at += 1
        try:
            low = self.sum()
        except Unclear:
            self.at = before
            return None
        if not self.take(".."):
            self.at = before
            return None
        high = self.sum()
        if not self.peek("]", ")", "["):
            self.fault()
        closing = self.tokens[self.at][1]
        self.at += 1
        above = Term("ge" if opening == "[" else "gt", (operand, low))
        below = Term("le" if closing == "]" else "lt", (operand, high))
        return Term("and", (above, below))

    def tests(self) -> tuple[Term, ...]:
        """Read unary tests that are separated by commas."""
        found = [self.test()]
        while self.take(","):
            found.append(self.test())
        return tuple(found)

    def test(self) -> Term:
        operand = self.operand
        assert operand is not None, "tests are about a value"  # noqa: S101
        if self.ahead("not", "("):
            self.at += 2
            with self.level():
                inner = self.tests()
            self.need(")")
            return negated(_any(inner))
        if self.peek(*_ORDER, *_EQUAL):
            sign = self.tokens[self.at][1]
            self.at += 1
            return Term({**_EQUAL, **_ORDER}[sign], (operand, self.sum()))
        if self.peek("(", "[", "]") and (found := self.ranged(operand)) is not None:
            return found
        before = self.at
        value = self.choice()
        asks = any(token[1] == "?" for token in self.tokens[before : self.at])
        if value.op == "list":
            return Term("in", (operand, value))
        return value if asks else Term("eq", (operand, value))

    def sum(self) -> Term:
        found = self.product()
        while self.peek(*_SUM):
            sign = self.tokens[self.at][1]
            self.at += 1
            found = Term(_SUM[sign], (found, self.product()))
        return found

    def product(self) -> Term:
        found = self.signed()
        while self.peek(*_PRODUCT):
            sign = self.tokens[self.at][1]
            self.at += 1
            found = Term(_PRODUCT[sign], (found, self.signed()))
        return found

    def signed(self) -> Term:
        if self.take("-"):
            inner = self.primary()
            return Term("number", value=f"-{inner.value}") if inner.op == "number" else Term("neg", (inner,))
        if self.take("!"):
            return negated(self.primary())
        return self.primary()

    def primary(self) -> Term:
        if self.at >= len(self.tokens):
            self.fault()
        kind, word, _ = self.tokens[self.at]
        self.at += 1
        if kind == "text":
            found = Term("text", value=re.sub(r"\\(.)", r"\1", word[1:-1]))
        elif kind == "number":
            found = Term("number", value=_number(word))
        elif kind == "word":
            found = self.named(word)
        elif word == "(":
            found = self.choice()
            self.need(")")
        elif word == "[":
            found = Term("list", tuple(self.listed("]")))
        else:
            self.at -= 1
            self.fault()
        return self.followed(found)

    def named(self, word: str) -> Term:
        if word in {"true", "false", "TRUE", "FALSE"}:
            return Term("bool", value=word.lower() == "true")
        if word in {"null", "nil"}:
            return Term("null")
        if word == "?" and self.operand is not None:
            return self.operand
        if word == "empty":
            with self.level():
                return Term("empty", (self.primary(),))
        if word == "new":
            kind = self.tokens[self.at][1] if self.at < len(self.tokens) else ""
            if kind not in {"BigDecimal", "Integer", "Double", "Long", "String", "BigInteger"}:
                self.fault()
            self.at += 1
            return self.written()
        for two in ("list contains", "string length", "starts with", "ends with", "date and time"):
            first, *rest = (_ALIKE.get(one, one) for one in two.split())
            if word == first and self.ahead(*rest, "("):
                self.at += len(rest)
                return self.called(two)
        if self.peek("("):
            return self.called(word)
        return Term("name", value=word)

    def called(self, name: str) -> Term:
        self.need("(")
        args = self.listed(")")
        if name in {"date", "date and time", "timestamp", "time"} and len(args) == 1 and args[0].op == "text":
            return _moment(str(args[0].value))
        if name in _SIZES and len(args) == 1:
            return Term("size", tuple(args))
        if name == "contains" and len(args) == 2:
            return Term("contains", tuple(args))
        if name in {"is defined", "isNull"} and len(args) == 1:
            return Term("eq", (args[0], Term("null")))
        if name in _BETWEEN and len(args) == 2:
            return _between(name, args[0], args[1])
        raise Unclear(sentence("the function {name!r} is not known", name=name))

    def listed(self, closing: str) -> list[Term]:
        found: list[Term] = []
        while not self.take(closing):
            if found:
                self.need(",")
            found.append(self.choice())
        return found

    def written(self) -> Term:
        """Read the one argument of a constructor: `new BigDecimal("5")`."""
        self.need("(")
        inner = self.choice()
        self.need(")")
        return Term("number", value=_number(str(inner.value))) if inner.op == "text" else inner

    def followed(self, found: Term) -> Term:
        """Read what follows a value: `.total`, `.getTotal()`, `["total"]`."""
        while found.op != "number":  # so that `]1..10[` ends there
            if self.take("["):
                key = self.choice()
                self.need("]")
                found = _member(found, str(key.value)) if key.op == "text" else Term("index", (found, key))
            elif self.take("."):
                if self.at >= len(self.tokens) or self.tokens[self.at][0] != "word":
                    self.fault()
                word = self.tokens[self.at][1]
                self.at += 1
                found = self.method(found, word) if self.peek("(") else _member(found, word)
            else:
                break
        return found

    def method(self, of: Term, name: str) -> Term:
        self.need("(")
        args = self.listed(")")
        base = of.value if of.op == "name" else None
        if base in {"KieFunctions", "Boolean", "Objects", "StringUtils", "BigDecimal", "Integer", "Double", "Long"}:
            return _static(name, args)
        if (
            name in {"getVariable", "getVariableLocal", "get", "prop", "hasVariable"}
            and len(args) == 1
            and args[0].op == "text"
        ):
            found = Term("name", value=args[0].value) if base in _NAMES else _member(of, str(args[0].value))
            return Term("ne", (found, Term("null"))) if name == "hasVariable" else found
        if name in _PLAIN and not args:
            return of
        if name in {"size", "length"} and not args:
            return Term("size", (of,))
        if name in {"isEmpty", "isBlank"} and not args:
            return Term("empty", (of,))
        if name == "compareTo" and len(args) == 1:
            return self.sign_of(of, args[0])
        if name in _BETWEEN and len(args) == 1:
            return _between(name, of, args[0])
        getter = re.fullmatch(r"(?:get|is)([A-Z]\w*)", name)
        if getter and not args:
            return _member(of, getter[1][0].lower() + getter[1][1:])
        raise Unclear(sentence("the call of {name!r} is not known", name=name))

    def sign_of(self, left: Term, right: Term) -> Term:
        """Read `a.compareTo(b) > 0`."""
        if not self.peek(*_EQUAL, *_ORDER) or not self.ahead(self.tokens[self.at][1], "0"):
            self.fault()
        sign = self.tokens[self.at][1]
        self.at += 2
        return Term({**_EQUAL, **_ORDER}[sign], (left, right))


def _any(terms: tuple[Term, ...]) -> Term:
    values = [term.args[1] for term in terms if term.op == "eq"]
    if len(terms) > 1 and len(values) == len(terms) and all(value.op in {"text", "number"} for value in values):
        return Term("in", (terms[0].args[0], Term("list", tuple(values))))
    found = terms[0]
    for term in terms[1:]:
        found = Term("or", (found, term))
    return found


def _number(text: str) -> str:
    match = re.fullmatch(r"\s*(-?)(\d*)(?:\.(\d+))?(?:[eE]([+-]?\d{1,2}))?\s*", text)
    if match is None or not (match[2] or match[3]) or len(text) > 40:
        raise Unclear(sentence("{text!r} is no number", text=text[:40]))
    if match[4] is None:
        whole = match[2].lstrip("0") or "0"
        return f"{match[1]}{whole}" + (f".{match[3]}" if match[3] else "")
    return format(Decimal(text.strip()), "f")


def _moment(text: str) -> Term:
    found = moment_of(text)
    if found is None:
        raise Unclear(sentence("{text!r} is no date", text=text[:40]))
    return found


def _between(name: str, left: Term, right: Term) -> Term:
    op = _BETWEEN.get(name)
    if op is None:
        raise Unclear(sentence("the call of {name!r} is not known", name=name))
    if op == "has":
        return Term("in", (right, left))
    found = Term(op, (left, right))
    literal = {"text", "number", "bool"}
    return turned(found) if op in _OPERANDS and left.op in literal and right.op not in literal else found


def _static(name: str, args: list[Term]) -> Term:
    if name in {"valueOf", "parseInt", "parseDouble", "parseBoolean"} and len(args) == 1:
        return args[0]
    if name in {"isTrue", "isFalse"} and len(args) == 1:
        return args[0] if name == "isTrue" else negated(args[0])
    if name in {"isNull", "isEmpty", "isBlank"} and len(args) == 1:
        return Term("eq" if name == "isNull" else "empty", (args[0], Term("null")) if name == "isNull" else (args[0],))
    if name == "between" and len(args) == 3:
        return Term("and", (Term("ge", (args[0], args[1])), Term("le", (args[0], args[2]))))
    if len(args) == 2:
        return _between(name, args[0], args[1])
    raise Unclear(sentence("the call of {name!r} is not known", name=name))


def _member(of: Term, name: str) -> Term:
    if of.op == "name" and of.value == "Boolean" and name in {"TRUE", "FALSE"}:
        return Term("bool", value=name == "TRUE")
    if of.op == "name" and of.value in _NAMES:
        return Term("name", value=name)
    return Term("field", (of,), value=name)
