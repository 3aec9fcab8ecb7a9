"""Figures of the source: sizes, words and arrows, each beside the bound that the project holds itself to.

    python bench/code_figures.py              # all figures; what breaks a bound is listed
    python bench/code_figures.py --check      # status 1 where a bound is broken
    python bench/code_figures.py --docstrings # list every docstring that opens with no imperative verb

Standard library alone; nothing of tf-tester is imported, all is read from the syntax trees. Every Python file below
`src/tf_tester` counts, `__init__.py` included.
"""

import argparse
import ast
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "tf_tester"

# The bounds. `--check` and tests/unit/test_code_figures.py hold the code to them.
LONG_FUNCTION = 60
LONG_FUNCTIONS = 3
PARAMETERS = 7
MODULES_A_FOLDER = 15
NOMINAL_SHARE = 0.10
SUBJECT = 72
SUBJECTS_SINCE = "2607be9"

VERB_LIST = """
abort accept acquire adapt add adjust admit advance allow announce answer append apply arrange ask assemble assert
assign attach await
balance begin bind block bound bring build bundle
cache calculate call cancel canonicalize carry catch change charge check choose claim classify clean clear clip
close collect colour combine compare compile complete compose compress compute configure confine confirm connect
consume continue convert copy correct count cover create cut
date decide declare decode decompress decorate define delay delete deliver demand derive describe deserialize detach
detect determine diff digest disable distrust discard discover display distribute divide do download drain draw drop
dump
edit emit enable encode end enforce enqueue ensure enter enumerate erase escape estimate evaluate evict examine exclude
execute exit expand expect explain export expose express extend extract
fail feed fetch fill filter find finish fire fit fix flag flatten flush fold follow forbid force forget fork form
format forward free freeze
gather generate get give go grant group grow guard guess
halt hand handle hash have help hide hold
identify ignore import include increase index indicate infer inform inherit initialize insert inspect install
interpret interrupt intersect invoke isolate issue iterate
join judge
keep kill
label launch lay lead learn leave let limit link list listen load locate lock log look loosen lower
make map mark match measure merge migrate mirror modify mount move multiply
name narrow negotiate normalize note notify number
obey observe obtain offer omit open order overlay override overwrite
pack pad parse pass patch pause perform pick pin place plan point poll pop prefer prepare present preserve prevent
print probe process produce prolong promise propose prove provide prune publish pull push put
query quote
raise rank reach read reap rebuild receive recognize recompute record recover redact redirect reduce refresh refuse
register reject release reload relocate remember remove rename render renew repack repair repeat replace replay
report represent request require reserve reset resolve respond restart restore restrict resume retain retire retry
return reuse revert review revoke rewrite roll rotate round route run
sample satisfy save say scan schedule score scrub seal search see seek select send separate serialize serve set
settle shorten show shut sign simulate skip sort spawn split squash stage start state steal step stop store stream
strip submit substitute subtract suggest sum summarize supply suppress suspend swap sweep switch sync
tag take tear tell test throttle throw tidy tie time toggle touch trace track train transfer transform translate
traverse treat trim truncate trust try turn
unlink unlock unpack unregister update upgrade upload use
validate verify view visit
wait wake walk want warn watch weigh widen withdraw work wrap write
yank yield
"""
"""Verbs that a docstring may open with. Several are nouns, too (`name`, `test`, `order`): "Name of the project" doesn't
count, see `opens_with_a_verb`."""
VERBS = frozenset(VERB_LIST.split())


@dataclass(frozen=True)
class Function:
    where: str
    node: ast.FunctionDef | ast.AsyncFunctionDef
    owner: str
    """The class around it, empty for none."""
    nested: bool
    """Within another function."""

    @property
    def public(self) -> bool:
        return not self.nested and not any(part.startswith("_") for part in (self.node.name, self.owner))

    @property
    def lines(self) -> int:
        """From `def` to the last line, without the decorators: a command's options are a table, not steps."""
        return (self.node.end_lineno or self.node.lineno) - self.node.lineno + 1

    @property
    def decorators(self) -> list[str]:
        return [
            ast.unparse(decorator.func if isinstance(decorator, ast.Call) else decorator)
            for decorator in self.node.decorator_list
        ]

    @property
    def parameters(self) -> int:
        """Count what a caller passes: not `self` or `cls`, each of `*` and `**` once."""
        given = self.node.args
        count = len(given.posonlyargs) + len(given.args) + len(given.kwonlyargs)
        count += (given.vararg is not None) + (given.kwarg is not None)
        bound = self.owner and not self.nested and "staticmethod" not in self.decorators
        return count - bool(bound)

    @property
    def is_command(self) -> bool:
        """Its parameters are the flags of a command."""
        return any(name.endswith(".command") or name == "command" for name in self.decorators)

    @property
    def is_property(self) -> bool:
        return any(
            name.rpartition(".")[2] in ("property", "cached_property", "setter", "getter") for name in self.decorators
        )


@dataclass(frozen=True)
class Module:
    name: str
    path: Path
    text: str = field(repr=False)

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, str(self.path))

    @property
    def lines(self) -> int:
        return self.text.count("\n")

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"

    @cached_property
    def statements(self) -> list[ast.AST]:
        """Return all statements, those within others too, each with its handlers and cases."""
        found: list[ast.AST] = [self.tree]
        for node in found:
            found += inner_statements(node)
        return found[1:]

    @cached_property
    def functions(self) -> list[Function]:
        return list(self._functions(self.tree, "", nested=False))

    def _functions(self, node: ast.AST, owner: str, *, nested: bool) -> Iterator[Function]:
        for child in inner_statements(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                dotted = ".".join(part for part in (self.name, owner, child.name) if part)
                yield Function(f"{dotted}:{child.lineno}", child, owner, nested)
                yield from self._functions(child, owner, nested=True)
            elif isinstance(child, ast.ClassDef):
                yield from self._functions(child, child.name, nested=nested)
            else:
                yield from self._functions(child, owner, nested=nested)

    @cached_property
    def public_classes(self) -> list[str]:
        return [
            node.name for node in self.statements if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
        ]

    @cached_property
    def aliases(self) -> dict[str, str]:
        """Return the public names that stand for a type (`Name = Callable[…]`, `Name = A | B`, `import x as Name`),
        each with where it is from.
        """
        named: dict[str, str] = {}
        for node in (self.tree, *self.statements):
            match node:
                case ast.ImportFrom():
                    named |= {one.asname: f"{node.module}.{one.name}" for one in node.names if one.asname}
                case ast.Module(body=body) | ast.If(body=body):
                    named |= {name: self.name for statement in body for name in _alias(statement)}
        return {name: home for name, home in named.items() if name[0].isupper() and not name.isupper()}


def inner_statements(node: ast.AST) -> list[ast.AST]:
    """Return what is directly within a statement, an exception handler or a case; expressions are not looked into."""
    parts = ("body", "handlers", "cases", "orelse", "finalbody")
    return [inner for part in parts for inner in getattr(node, part, ())]


def _alias(statement: ast.stmt) -> Iterator[str]:
    match statement:
        case ast.Assign(targets=[ast.Name(name)], value=ast.Subscript() | ast.BinOp(op=ast.BitOr())):
            yield name
        case ast.AnnAssign(target=ast.Name(name), annotation=ast.Name("TypeAlias")):
            yield name


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Figures of the source.")
    parser.add_argument("--check", action="store_true", help="status 1 where a bound is broken")
    parser.add_argument("--docstrings", action="store_true", help="list those that open with no imperative verb")
    parser.add_argument("--root", type=Path, default=ROOT, help="of the repository")
    chosen = parser.parse_args(arguments)
    modules = read_modules(chosen.root / "src")
    if chosen.docstrings:
        for function, opening in nominal_docstrings(modules):
            print(f"{function.where}  {opening}")
        return 0
    print("\n".join(table(modules, chosen.root)))
    broken = {bound: found for bound, found in faults(modules, chosen.root).items() if found}
    print("\nEvery bound holds." if not broken else "")
    for bound, found in broken.items():
        print(f"Bound broken: {bound}", *found, sep="\n    ")
    return 1 if broken and chosen.check else 0


def read_modules(source: Path) -> list[Module]:
    """Return every module of the package below the folder `source`, sorted by path."""
    made = []
    for path in sorted((source / PACKAGE).rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        made.append(Module(name, path, path.read_text("utf-8")))
    return made


def table(modules: list[Module], root: Path) -> Iterator[str]:
    """Yield the lines of REVIEW's table, ours alone."""
    functions = [function for module in modules for function in module.functions]
    sizes, lengths = [module.lines for module in modules], [function.lines for function in functions]
    public = [function for function in functions if function.public]
    explained = [function for function in public if ast.get_docstring(function.node)]
    many = wide_functions(modules)
    yield f"modules / lines                 {len(modules)} / {sum(sizes):,}"
    yield f"module median / max             {median(sizes):g} / {max(sizes)}"
    yield f"function median / p95 / max     {median(lengths):g} / {percentile(lengths, 95)} / {max(lengths)}"
    yield f"functions over {LONG_FUNCTION} lines         {len(long_functions(modules))} of {len(functions):,}"
    yield (
        f"functions over {PARAMETERS} parameters     {len([one for one in many if not one.is_command])}, "
        f"and {len([one for one in many if one.is_command])} commands"
    )
    yield f"public functions with docstring {len(explained) / len(public):.0%} of {len(public):,}"
    nominal, total = nominal_docstrings(modules), list(judged_docstrings(modules))
    yield f"docstrings without a verb       {len(nominal)} of {len(total):,} ({len(nominal) / len(total):.0%})"
    yield f"modules in a folder, max        {max(folders(modules).values())}"
    shared = shared_class_names(modules)
    classes = sum(len(module.public_classes) for module in modules)
    yield f"class names with two meanings   {len(shared)}, of {sum(map(len, shared.values()))} of {classes} classes"
    yield f"import cycles                   {len(cycles(modules))}"
    yield f"core modules no test imports    {len(untested(modules, root, 'core'))}"
    yield f"test lines a source line        {lines_below(root / 'tests') / sum(sizes):.2f}"
    subjects = commit_subjects(root)
    yield (
        f"commit subjects over {SUBJECT}        {sum(len(one) > SUBJECT for one in subjects)} of {len(subjects)} "
        f"since {SUBJECTS_SINCE}"
    )


def faults(modules: list[Module], root: Path) -> dict[str, list[str]]:
    """Return what breaks each bound, by the bound's name; an empty list where it holds."""
    long = long_functions(modules)
    nominal, judged = nominal_docstrings(modules), list(judged_docstrings(modules))
    return {
        "long functions": [f"{one.where} ({one.lines} lines)" for one in long] if len(long) > LONG_FUNCTIONS else [],
        "parameters": [f"{one.where} ({one.parameters})" for one in wide_functions(modules) if not one.is_command],
        "modules in a folder": [
            f"{folder} ({count})" for folder, count in folders(modules).items() if count > MODULES_A_FOLDER
        ],
        "class names": [f"{name} ({', '.join(homes)})" for name, homes in sorted(shared_class_names(modules).items())],
        "docstrings": [f"{len(nominal)} of {len(judged)} open without a verb; --docstrings lists them"]
        if len(nominal) > NOMINAL_SHARE * len(judged)
        else [],
        "import cycles": [" <-> ".join(cycle) for cycle in cycles(modules)],
        "core modules that no test imports": untested(modules, root, "core"),
    }


def percentile(values: list[int], percent: int) -> int:
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


def long_functions(modules: list[Module]) -> list[Function]:
    """Return the functions over the bound, longest first."""
    found = [function for module in modules for function in module.functions if function.lines > LONG_FUNCTION]
    return sorted(found, key=lambda function: -function.lines)


def wide_functions(modules: list[Module]) -> list[Function]:
    """Return the functions with more parameters than the bound, widest first."""
    found = [function for module in modules for function in module.functions if function.parameters > PARAMETERS]
    return sorted(found, key=lambda function: -function.parameters)


def folders(modules: list[Module]) -> dict[str, int]:
    """Return how many modules lie directly in each package, its `__init__.py` among them."""
    counts = Counter(module.name if module.is_package else module.name.rpartition(".")[0] for module in modules)
    return dict(counts.most_common())


def shared_class_names(modules: list[Module]) -> dict[str, list[str]]:
    """Return the public names that stand for more than one class or alias of a type, with where these are from."""
    homes: defaultdict[str, list[str]] = defaultdict(list)
    for module in modules:
        for name in module.public_classes:
            homes[name].append(module.name.removeprefix(PACKAGE + "."))
        for name, home in module.aliases.items():
            short = home.removeprefix(PACKAGE + ".")
            homes[name] += [short] if short not in homes[name] else []
    return {name: found for name, found in homes.items() if len(found) > 1}


def judged_docstrings(modules: list[Module]) -> Iterator[tuple[Function, str]]:
    """Yield each function's docstring of which a verb is asked.

    Properties are read like fields and may be named like them (PEP 257 asks for verbs of functions; ruff's D401 leaves
    properties out, too). Nested functions count. D401 itself is no measure: it knows the wrong forms of some verbs and
    passes every word that it doesn't know, "What" and "Whether" among them.
    """
    for module in modules:
        for function in module.functions:
            text = ast.get_docstring(function.node)
            if text and not function.is_property:
                yield function, text


def nominal_docstrings(modules: list[Module]) -> list[tuple[Function, str]]:
    """Return the functions whose docstring opens with no imperative verb, each with its first line."""
    return [
        (function, text.splitlines()[0]) for function, text in judged_docstrings(modules) if not opens_with_a_verb(text)
    ]


def opens_with_a_verb(text: str) -> bool:
    """Tell whether the first word is one of `VERBS`, not used as a noun ("Name of …", "Test: …")."""
    first, second, *_ = [*text.split(maxsplit=2), "", ""]
    return first.rstrip(",.").lower() in VERBS and first[:1].isupper() and second not in ("of", "is", "are", "was")


def imports_of(module: Module, names: set[str]) -> set[str]:
    """Return the modules of the package that this one imports, anywhere in it, also for type checkers alone."""
    package = module.name if module.is_package else module.name.rpartition(".")[0]
    found: set[str] = set()
    for node in module.statements:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                found.add(inner if inner in names else base)
    return (found & names) - {module.name}


def cycles(modules: list[Module]) -> list[list[str]]:
    """Return the groups of modules that import one another, in a ring or across (strongly connected components)."""
    names = {module.name for module in modules}
    return strongly_connected({module.name: sorted(imports_of(module, names)) for module in modules})


def strongly_connected(arrows: dict[str, list[str]]) -> list[list[str]]:
    """Return the strongly connected components with more than one member (Tarjan's algorithm)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        order[name] = lowest[name] = len(order)
        stack.append(name)
        for other in arrows.get(name, ()):
            if other not in order:
                visit(other)
                lowest[name] = min(lowest[name], lowest[other])
            elif other in stack:
                lowest[name] = min(lowest[name], order[other])
        if lowest[name] == order[name]:
            component = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(component) > 1:
                found.append(sorted(component))

    for name in arrows:
        if name not in order:
            visit(name)
    return found


def untested(modules: list[Module], root: Path, folder: str) -> list[str]:
    """Return the modules below a folder of the package that no test imports itself."""
    names = {module.name for module in modules}
    tested: set[str] = set()
    for path in sorted((root / "tests").rglob("*.py")):
        name = ".".join(path.relative_to(root).with_suffix("").parts)
        tested |= imports_of(Module(name, path, path.read_text("utf-8")), names)
    below = f"{PACKAGE}.{folder}."
    return [
        module.name
        for module in modules
        if module.name.startswith(below) and not module.is_package and module.name not in tested
    ]


def lines_below(folder: Path) -> int:
    return sum(path.read_text("utf-8").count("\n") for path in folder.rglob("*.py"))


def commit_subjects(root: Path) -> list[str]:
    """Return the subjects since the review; none where the history isn't there, as in an sdist."""
    asked = ["git", "-C", str(root), "log", "--no-merges", "--format=%s", f"{SUBJECTS_SINCE}.."]
    try:
        done = subprocess.run(asked, capture_output=True, encoding="utf-8", check=False)
    except FileNotFoundError:
        return []
    return done.stdout.splitlines() if done.returncode == 0 else []


if __name__ == "__main__":
    sys.exit(main())
