"""The expression language of conditions, computed values and chosen approvers.

`compile_condition` takes CEL text and the static types of its variables and returns an `Expression`: plain JSON that a
plan carries. `evaluate` runs it in pure Python with exact decimals: no I/O, no clock, no floats, bounded work.

What differs from CEL, each because an approval may hang on it: - `decimal` instead of `double`: `0.1` in the text is
exactly one tenth; int and decimal mix, nothing else does. Sums and products are exact up to 100 digits (more is an
error, never rounded), a quotient has 34 significant digits, half to even. int divided by int truncates as in CEL; an
int has 64 bits. - `&&`, `||` and `?:` go from left to right and stop early; an error on the left is an error (CEL would
look at the right side too). - An absent optional variable or field equals `null`; any other use of it is an error,
never quietly false. - `date("2026-01-01")` and `timestamp("2026-01-01T09:00:00Z")` take text as a quoted literal only,
`matches` a quoted pattern. - `now()`, `today()`, `requester` and the functions of `placet.expressions.functions` are
ours; days are added to dates, hours to moments. What they read besides variables is given under the names in
`placet.expressions.types`. - Left out: maps, bytes, unsigned and duration values, comparing whole objects, and a macro
variable that hides another name.

The syntax tree. A node is a JSON object with `op`, `type` (see `Type.described`), `at` (offset in the source, in
characters) and `args` (a list of nodes, in order of evaluation). Both sides of a comparison and of arithmetic have the
same type.

| op | args | further keys, meaning |
|---|---|---|
| `literal` | | `value`: string, bool or int as they are; decimal plain text; date and timestamp (UTC, `Z`) ISO text |
| `name` | | `name`: a variable of the scope |
| `now`, `today`, `requester` | | the moment, the day in the process's zone, the facts about the requester |
| `call` | as the function takes | `function`: a name of `placet.expressions.functions` |
| `item` | | `name`: the variable of an enclosing macro |
| `field` | object | `field`; an absent one is an error |
| `has` | object | `field`; whether it is there |
| `is_null` | name, item, field or index | whether it is absent (`x == null`) |
| `index` | list, int | |
| `list` | items, all of one type | |
| `decimal` | int or list(int) | the same as decimal |
| `and`, `or` | two bool | `not`: one bool |
| `if` | bool, T, T | |
| `eq`, `ne` | T, T | no objects, no null |
| `lt`, `le`, `gt`, `ge` | T, T | int, decimal, string (by code point), date, timestamp |
| `in` | T, list(T) | |
| `add`, `sub`, `mul`, `div` | T, T | int or decimal; `add` also string and list; `mod`: int; `neg`: one |
| `size` | string or list | int: characters or items |
| `startsWith`, `endsWith`, `contains` | string, string | |
| `matches` | string, string literal | a pattern of `placet.expressions.patterns`, anywhere in the text |
| `exists`, `all`, `exists_one` | list(T), bool | `item`: the name bound to each T in the second argument |
| `filter` | list(T), bool | `item`; list(T) |
| `map` | list(T), U | `item`; list(U) |
"""

from placet.expressions.check import compile_condition, compile_expression
from placet.expressions.evaluate import Allowance, evaluate
from placet.expressions.expression import Expression
from placet.expressions.types import BOOL, DATE, DECIMAL, INT, STRING, TIMESTAMP, Scope, Type, list_of, object_of

__all__ = [
    "BOOL",
    "DATE",
    "DECIMAL",
    "INT",
    "STRING",
    "TIMESTAMP",
    "Allowance",
    "Expression",
    "Scope",
    "Type",
    "compile_condition",
    "compile_expression",
    "evaluate",
    "list_of",
    "object_of",
]
