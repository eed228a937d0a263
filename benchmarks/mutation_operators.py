"""Small changes of Python source text, for `mutation.py`: faults that a test should notice.

Left alone: docstrings, f-strings, annotations, decorators, imports, `raise`, logging, messages and
names of layers, which are not what is computed.
"""

import ast
import dataclasses
import hashlib

COMPARISONS = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
ARITHMETIC = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
}
PAIRS = (
    ("min", "max"),
    ("minimum", "maximum"),
    ("argmin", "argmax"),
    ("any", "all"),
    ("mean", "sum"),
    ("floor", "ceil"),
    ("zeros", "ones"),
    ("zeros_like", "ones_like"),
    ("logical_and", "logical_or"),
)
# Exchanged where a function has both.
VARIABLES = (("first", "last"), ("height", "width"), ("low", "high"), ("truth", "prediction"))
NAMES = {one: other for pair in PAIRS for one, other in (pair, pair[::-1])}
# Swapping their arguments changes nothing, or gives a program that cannot run.
NOT_SWAPPED = {
    *("min", "max", "minimum", "maximum", "logical_and", "logical_or", "isinstance", "zip", "cast"),
    *("not_equal", "equal", "add", "multiply", "outer"),
}
PATHS = ("names.", "folder", "checkpoints")  # joined by `/`
LEFT_ALONE = (
    *(ast.JoinedStr, ast.Raise, ast.Import, ast.ImportFrom, ast.Assert, ast.ExceptHandler),
)
MESSAGES = ("Error", "logger", "Failed", "suggest", "warning", "Input", "Layer", "register")


@dataclasses.dataclass(frozen=True)
class Mutation:
    """One change: the expression `old` of a function becomes `new`.

    Attributes:
        path: File below the package.
        function: Qualified name of the function or class, "" for the module itself.
        operator: Kind of change.
        old: Text before.
        new: Text after.
        occurrence: Number of the place among equal ones of the function.
        start: First byte that is replaced.
        end: First byte that is not.
    """

    path: str
    function: str
    operator: str
    old: str
    new: str
    occurrence: int
    start: int
    end: int

    @property
    def key(self) -> str:
        """Names the mutation in a way that survives changes elsewhere in the file."""
        nth = f" #{self.occurrence + 1}" if self.occurrence else ""
        return f"{self.path} {self.function}: {self.old} -> {self.new}{nth}"

    def apply(self, text: str) -> str:
        """The mutated text."""
        raw = text.encode()
        return (raw[: self.start] + self.new.encode() + raw[self.end :]).decode()


def mutations(path: str, text: str) -> list[Mutation]:
    """All mutations of a file, in the order of its text."""
    visitor = _Visitor(path, text)
    visitor.visit(ast.parse(text))
    return visitor.found


def sample(found: list[Mutation], count: int) -> list[Mutation]:
    """Some of the mutations of a file: in turn one of each operator, by a hash of their names.

    A hash instead of a generator: changes elsewhere in the file hardly change the sample.
    """
    kinds: dict[str, list[Mutation]] = {}
    for each in sorted(found, key=lambda each: hashlib.sha256(each.key.encode()).digest()):
        kinds.setdefault(each.operator, []).append(each)
    chosen: list[Mutation] = []
    while len(chosen) < count and any(kinds.values()):
        chosen += [members.pop(0) for members in kinds.values() if members]
    return chosen[:count]


class _Visitor(ast.NodeVisitor):
    def __init__(self, path, text):
        self.path, self.raw = path, text.encode()
        self.found, self.scope, self.seen, self.known = [], [], {}, set()
        self.lines = [0]
        for line in self.raw.splitlines(keepends=True):
            self.lines.append(self.lines[-1] + len(line))

    def visit(self, node):
        if isinstance(node, LEFT_ALONE) or _is_text(node):
            return
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            self.scope.append(node.name)
            self.known = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
        self._mutate(node)
        for field, value in ast.iter_fields(node):
            if field not in ("annotation", "returns", "decorator_list", "bases"):
                for child in value if isinstance(value, list) else [value]:
                    if isinstance(child, ast.AST):
                        self.visit(child)
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            self.scope.pop()

    def _mutate(self, node):
        changes = getattr(self, f"_change_{type(node).__name__}", None)
        for operator, new in changes(node) if changes else ():
            self._add(node, operator, new)

    def _add(self, node, operator, new):
        start = self.lines[node.lineno - 1] + node.col_offset
        end = self.lines[node.end_lineno - 1] + node.end_col_offset
        old = self.raw[start:end].decode()
        function = ".".join(self.scope)
        place = (function, old, new)
        self.seen[place] = self.seen.get(place, -1) + 1
        self.found.append(
            Mutation(self.path, function, operator, old, new, self.seen[place], start, end)
        )

    def _change_Compare(self, node):
        other = COMPARISONS[type(node.ops[0])]()
        yield (
            "comparison",
            f"({_text(ast.Compare(node.left, [other, *node.ops[1:]], node.comparators))})",
        )

    def _change_BinOp(self, node):
        paths = isinstance(node.op, ast.Div) and any(each in _text(node) for each in PATHS)
        if type(node.op) in ARITHMETIC and not _holds_text(node) and not paths:
            other = ARITHMETIC[type(node.op)]()
            yield "arithmetic", f"({_text(ast.BinOp(node.left, other, node.right))})"

    def _change_AugAssign(self, node):
        if type(node.op) in ARITHMETIC and not isinstance(node.value, ast.List | ast.ListComp):
            other = ARITHMETIC[type(node.op)]()
            yield "arithmetic", _text(ast.AugAssign(node.target, other, node.value))

    def _change_UnaryOp(self, node):
        if isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
            return
        yield "negation", f"({_text(node.operand)})"

    def _change_BoolOp(self, node):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield "and, or", f"({_text(ast.BoolOp(other, node.values))})"

    def _change_Constant(self, node):
        value = node.value
        if isinstance(value, bool):
            yield "constant", str(not value)
        elif isinstance(value, int):
            yield "constant", str(value + 1)
        elif isinstance(value, float):
            yield "constant", repr(value * 2 if value else 1.0)

    def _change_Attribute(self, node):
        if node.attr in NAMES:
            yield "function", f"{_text(node.value)}.{NAMES[node.attr]}"

    def _change_Name(self, node):
        if not isinstance(node.ctx, ast.Load):
            return
        if node.id in NAMES:
            yield "function", NAMES[node.id]
        for pair in VARIABLES:
            if node.id in pair and self.known.issuperset(pair):
                yield "variable", pair[1 - pair.index(node.id)]

    def _change_Call(self, node):
        name = _text(node.func).rpartition(".")[2]
        kinds = [type(each) for each in node.args]
        alike = len(kinds) == 2 and kinds[0] is kinds[1] in (ast.Name, ast.Attribute, ast.Subscript)
        if alike and name not in NOT_SWAPPED:
            yield "arguments", _text(ast.Call(node.func, node.args[::-1], node.keywords))

    def _change_If(self, node):
        if isinstance(node.test, ast.Name | ast.Attribute | ast.Call):
            self._add(node.test, "condition", f"(not {_text(node.test)})")
        return ()

    _change_IfExp = _change_If

    def _change_Expr(self, node):
        if isinstance(node.value, ast.Call) and "super()" not in _text(node):
            yield "statement", "pass"


def _text(node):
    return ast.unparse(ast.fix_missing_locations(node))


def _is_text(node):
    """Whether a node is a message, a name of something, or a docstring."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str)
    if isinstance(node, ast.keyword):
        return node.arg in ("name", "fix", "label", "console", "strict")
    if isinstance(node, ast.Call):
        return any(word in _text(node.func) for word in MESSAGES)
    return isinstance(node, ast.If) and _text(node.test) == "TYPE_CHECKING"


def _holds_text(node):
    """Whether text or lists are joined: then only `+` makes sense."""
    sequences = ast.JoinedStr | ast.List | ast.ListComp | ast.Tuple
    return any(
        isinstance(each, sequences) or isinstance(getattr(each, "value", None), str)
        for each in (node.left, node.right)
    )
