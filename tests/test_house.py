"""The house rules that run.

Each rule is a function from source text to faults, tried below on a small example that breaks it, then on the project.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import resource
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote

import pytest

import proofset
from proofset import config, errors, speakers

ROOT = Path(__file__).resolve().parents[1]
SRC = ROOT / "src" / "proofset"
MODULES = sorted(SRC.rglob("*.py"))

MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 60
HELP_SECONDS = 0.5

ONE_FILE = {
    "aiohttp": ("models/http.py", "models/serving.py"),
    "click": ("cli.py", "counter.py", "desk.py", "observatory.py"),
    "genai_prices": ("costing/catalogue.py",),
    "gguf": ("models/gguf.py",),
    "jinja2": ("reporting/pages.py",),
    "matplotlib": (
        "reporting/collapseplots.py",
        "reporting/costcurve.py",
        "reporting/embeddingmap.py",
        "reporting/labplots.py",
        "reporting/moneyplots.py",
        "reporting/plots.py",
        "reporting/sheet.py",
        "reporting/svqplots.py",
    ),
    "openvino": ("models/graphs.py",),
    "py3langid": ("synthesizing/languages.py",),
    "safetensors": ("models/bert.py", "models/encoders.py"),
    "tokenizers": ("models/bert.py", "models/encoders.py", "models/vocabulary.py"),
    "xllamacpp": ("models/local.py",),
}
"""Edge libraries and the modules that may know each, one if possible: to replace the library is to rewrite those."""

INSIDE_FUNCTIONS = {
    "aiohttp", "genai_prices", "gguf", "jinja2", "matplotlib", "openvino", "py3langid", "pyarrow", "safetensors",
    "scipy", "sklearn", "tokenizers", "torch", "transformers", "xllamacpp",
}  # fmt: skip
"""Heavy libraries: imported by the function that needs them, so that a command pays only for what it uses."""

NOT_FOR_HELP = {
    "aiohttp", "matplotlib", "numpy", "py3langid", "pyarrow", "scipy", "sklearn", "tokenizers", "torch", "xllamacpp",
}  # fmt: skip
"""What ``proofset --help`` must not import."""

HOLLOW_NAMES = re.compile(r"(?:^|_)(?:helpers?|utils?|managers?)(?:_|$)|(?:Helper|Util|Manager)s?(?:$|[A-Z])")
"""Names that say nothing: the idea is missing."""

BANNED = {
    r"(?<![\w./-])/(?:work|root|home/\w+|Users/\w+)/": "a path of somebody's machine",
    r"(?:extra-)?index-url\s*=|trusted-host\s*=": "a package registry of somebody's network",
    r"(?i)\b(?:session|conversation)[ _-]id\b": "how the work was done, not what it is",
}
"""What no file of the project may hold, and why."""

TEXT_ENDINGS = {
    "",
    ".cfg",
    ".css",
    ".html",
    ".ini",
    ".j2",
    ".js",
    ".md",
    ".py",
    ".sh",
    ".toml",
    ".txt",
    ".yaml",
    ".yml",
}
"""Prose and code. Data under ``examples`` may say what it likes."""


# --- rules: from a module's text to its faults ---------------------------------------------------------------------


def too_long(source: str) -> list[str]:
    """Modules and functions that no longer fit the eye."""
    lines = source.count("\n")
    faults = [f"{lines} lines, at most {MAX_MODULE_LINES}"] if lines > MAX_MODULE_LINES else []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                faults.append(f"line {node.lineno}: {node.name} has {length} lines, at most {MAX_FUNCTION_LINES}")
    return faults


def undocumented(source: str) -> list[str]:
    """Public modules, classes, methods and functions without a docstring; those inside functions are private."""
    tree = ast.parse(source)
    faults = [] if ast.get_docstring(tree) or not tree.body else ["the module"]
    containers: list[ast.Module | ast.ClassDef] = [tree]
    while containers:
        for node in containers.pop().body:
            if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
                continue
            if not ast.get_docstring(node) and not _is_overload(node):
                faults.append(f"line {node.lineno}: {node.name}")
            if isinstance(node, ast.ClassDef):
                containers.append(node)
    return faults


def prints(source: str) -> list[str]:
    """Calls of the built-in print: only the command line speaks, through its console."""
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return [f"line {c.lineno}: print" for c in calls if isinstance(c.func, ast.Name) and c.func.id == "print"]


def hollow_names(source: str) -> list[str]:
    """Classes and functions called after nothing."""
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    named = (node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds))
    return [f"line {node.lineno}: {node.name}" for node in named if HOLLOW_NAMES.search(node.name)]


def stray_errors(source: str) -> list[str]:
    """Exception classes outside errors.py: the tree is drawn on one page."""
    ends = ("Error", "Exception", "Warning", *(cls.__name__ for cls in _error_classes()))
    return [
        f"line {node.lineno}: class {node.name}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ClassDef)
        and any(ast.unparse(base).rpartition(".")[2].endswith(ends) for base in node.bases)
    ]


def misplaced_imports(source: str, module: str) -> list[str]:
    """Heavy libraries imported when the module is, and edge libraries imported outside their one file."""
    faults = []
    for node, inside, for_types in _imports(ast.parse(source)):
        for library in _libraries(node):
            homes = ONE_FILE.get(library, (module,))
            if module not in homes:
                faults.append(f"line {node.lineno}: {library} belongs in {' and '.join(homes)} alone")
            if library in INSIDE_FUNCTIONS and not inside and not for_types:
                faults.append(f"line {node.lineno}: import {library} inside the function that needs it")
    return faults


def banned_text(text: str) -> list[str]:
    """Words that tell of a machine or of the making instead of the thing made."""
    return [
        f"line {text.count(chr(10), 0, match.start()) + 1}: {match.group()!r}: {why}"
        for pattern, why in BANNED.items()
        for match in re.finditer(pattern, text)
    ]


def dead_links(markdown: str, folder: Path) -> list[str]:
    """Relative links that lead nowhere; code blocks and web addresses are passed over."""
    prose = re.sub(r"^(```|~~~).*?^\1|`[^`\n]+`", "", markdown, flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)", prose)
    local = (t.partition("#")[0] for t in targets if not re.match(r"[a-z][a-z+.-]*:|#", t))
    return [target for target in local if not (folder / unquote(target)).exists()]


def drawn_tree(docstring: str) -> dict[str, tuple[str, ...]]:
    """Class name to base names, as an indented drawing with branches says it: ``├─ Name (OtherBase)``."""
    above: dict[int, str] = {}
    tree: dict[str, tuple[str, ...]] = {}
    for indent, name, other in re.findall(r"^( *(?:│ +)*(?:[├└]─ )?)(\w+)(?: \((\w+)\))?$", docstring, re.MULTILINE):
        if not (indent.endswith("─ ") or name == "ProofsetError"):
            continue
        above[len(indent)] = name
        parents = [above[depth] for depth in sorted(above) if depth < len(indent)]
        tree[name] = tuple(parents[-1:]) + ((other,) if other else ())
    return tree


def verb_table(readme: str) -> list[str]:
    """The verbs of the first table whose first column names ``ingest`` in backticks, from top to bottom."""
    for table in re.findall(r"(?:^\|.*\n?)+", readme, re.MULTILINE):
        verbs: list[str] = re.findall(r"^\|\s*`(?:proofset )?(\w+)[^`|]*`\s*\|", table, re.MULTILINE)
        if "ingest" in verbs:
            return verbs
    return []


def drawn_layout(markdown: str) -> dict[str, bool]:
    """Modules that the layout of architecture.md draws, each with whether it is there yet or only planned."""
    room, drawn = "", {}
    for indent, name, slash, words in re.findall(r"^( {2,4})([\w/]*\w(?:\.py)?)(/?) {2,}(.*)$", markdown, re.MULTILINE):
        room = f"{name}/" if slash else room if len(indent) == 4 else ""
        if name.endswith(".py"):
            drawn[room + name] = not words.endswith("(planned)")
    return drawn


def needs_test(path: Path) -> bool:
    """Whether a module must have a namesake test.

    Exempt: ``__init__``, ``__main__``, and modules under nouns that declare data and nothing else (properties aside).
    """
    if path.stem in ("__init__", "__main__"):
        return False
    functions = (n for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.FunctionDef))
    return path.parent.name != "nouns" or not all(
        any(ast.unparse(d) == "property" for d in f.decorator_list) for f in functions
    )


def _is_overload(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(ast.unparse(d).endswith(("overload", ".setter")) for d in node.decorator_list)


def _imports(tree: ast.Module) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool, bool]]:
    """Each import, whether it is inside a function, and whether it is for types only."""
    todo: list[tuple[ast.AST, bool, bool]] = [(tree, False, False)]
    while todo:
        node, inside, for_types = todo.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, inside, for_types
        inside = inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for_types = for_types or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
        todo.extend((child, inside, for_types) for child in ast.iter_child_nodes(node))


def _libraries(node: ast.Import | ast.ImportFrom) -> set[str]:
    """Top-level packages that an import statement names."""
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
    return {name.partition(".")[0] for name in names}


def _error_classes() -> list[type[errors.ProofsetError]]:
    """All classes of errors.py, the root first."""
    classes = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, errors.ProofsetError)]
    return sorted(classes, key=lambda cls: len(cls.__mro__))


def _tracked() -> list[Path]:
    """Files that are in the repository, or would be if added now."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return sorted({ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()})


def _load(name: str) -> ModuleType:
    """A module of proofset that must exist by the time the project is whole."""
    try:
        return importlib.import_module(f"proofset.{name}")
    except ModuleNotFoundError as error:
        if error.name == f"proofset.{name}":
            pytest.fail(f"proofset.{name} does not exist yet")
        raise


# --- each rule catches what it is for ------------------------------------------------------------------------------


def _long_function(lines: int) -> str:
    return "def f() -> int:\n" + "    x = 1\n" * (lines - 2) + "    return x\n"


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (too_long, _long_function(MAX_FUNCTION_LINES), _long_function(MAX_FUNCTION_LINES + 1)),
        (too_long, "x = 1\n" * MAX_MODULE_LINES, "x = 1\n" * (MAX_MODULE_LINES + 1)),
        (undocumented, '"""M."""\ndef f():\n    """F."""\n    def inner(): ...\n', '"""M."""\ndef f(): ...\n'),
        (undocumented, '"""M."""\nclass A:\n    """A."""\n    def _b(self): ...\n', "class A:\n    def b(self): ...\n"),
        (prints, "console.print(1)\n", "def f():\n    print(1)\n"),
        (hollow_names, "class Managed: ...\ndef utility(): ...\n", "class RunManager: ...\n"),
        (hollow_names, "def f(): ...\n", "def parse_utils(): ...\n"),
        (stray_errors, "class A(Exhibit): ...\n", "class A(errors.RunError): ...\n"),
        (stray_errors, "class A(Protocol): ...\n", "class A(RunError): ...\n"),
        (banned_text, "https://example.org/work/x and net/root/ y", "see /" + "work/main"),
        (banned_text, "index-urls", "extra-index-" + "url = x"),
        (banned_text, "obsession ideas", "Session" + "-ID"),
    ],
)
def test_a_rule_catches_its_fault_and_nothing_else(rule: Callable[[str], list[str]], good: str, bad: str) -> None:
    assert rule(good) == []
    assert rule(bad) != []


@pytest.mark.parametrize(
    ("source", "module", "faults"),
    [
        ("def f():\n    import matplotlib.pyplot\n", "reporting/plots.py", 0),
        ("import matplotlib\n", "reporting/plots.py", 1),
        ("async def f():\n    from aiohttp import ClientSession\n", "models/local.py", 1),
        ("import aiohttp\n", "models/local.py", 2),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pyarrow\n", "runs/tables.py", 0),
        ("import numpy\nimport numpy.linalg\n", "stats.py", 0),
        ("class A:\n    import sklearn.cluster\n", "measuring/sketch.py", 1),
        ("try:\n    import scipy.stats as s\nexcept ImportError:\n    pass\n", "stats.py", 1),
    ],
)
def test_misplaced_imports_are_found(source: str, module: str, faults: int) -> None:
    assert len(misplaced_imports(source, module)) == faults


def test_dead_links_are_found(tmp_path: Path) -> None:
    (tmp_path / "a b.md").write_text("x")
    text = (
        "[a](a%20b.md#part) [web](https://example.org/x) [h](#x)\n```\n[c](code.md)\n```\n`[d](code.md)`\n[b](gone.md)"
    )
    assert dead_links(text, tmp_path) == ["gone.md"]


def test_a_drawn_tree_is_read() -> None:
    drawing = "Words.\n\n    ProofsetError\n    ├─ A (ValueError)\n    │  └─ B\n    └─ C\n\nSome words\n"
    assert drawn_tree(drawing) == {
        "ProofsetError": (), "A": ("ProofsetError", "ValueError"), "B": ("A",), "C": ("ProofsetError",),
    }  # fmt: skip


def test_the_verb_table_is_read() -> None:
    readme = "| `other` | x |\n\n| verb | does |\n|---|---|\n| `ingest` | x |\n| `audit STUDY` | `y` |\n\n| `z` |\n"
    assert verb_table(readme) == ["ingest", "audit"]
    assert verb_table("no table, `ingest`") == []


def test_the_layout_is_read() -> None:
    page = "```\nsrc/\n  a.py    A\n  b.py    B (planned)\n\n  runs/   RUNS\n    a.py  A\n\n  runs/c/  C\n    d.py  D\n"
    assert drawn_layout(page) == {"a.py": True, "b.py": False, "runs/a.py": True, "runs/c/d.py": True}


def test_a_module_of_data_alone_needs_no_test(tmp_path: Path) -> None:
    (tmp_path / "nouns").mkdir()
    for name, source in {
        "data.py": "class A:\n    @property\n    def n(self): ...\n", "code.py": "def f(): ...\n", "__init__.py": "",
    }.items():  # fmt: skip
        (tmp_path / "nouns" / name).write_text(source)
        (tmp_path / name).write_text(source)
    assert [needs_test(tmp_path / "nouns" / n) for n in ("data.py", "code.py", "__init__.py")] == [False, True, False]
    assert needs_test(tmp_path / "data.py")


# --- the project keeps the rules -----------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [too_long, undocumented, prints, hollow_names], ids=lambda rule: rule.__name__)
def test_modules_keep_the_rule(rule: Callable[[str], list[str]]) -> None:
    _none(_faults(MODULES, rule), rule.__doc__ or "")


def test_heavy_libraries_have_one_door() -> None:
    faults = [
        f"{path.relative_to(SRC)}: {fault}"
        for path in MODULES
        for fault in misplaced_imports(path.read_text("utf-8"), path.relative_to(SRC).as_posix())
    ]
    _none(faults, "heavy libraries have one door, inside a function")


def test_all_errors_are_on_one_page() -> None:
    _none(
        _faults([path for path in MODULES if path != SRC / "errors.py"], stray_errors), "exceptions outside errors.py"
    )


def test_the_error_tree_is_drawn_as_it_is() -> None:
    real = {
        cls.__name__: tuple(base.__name__ for base in cls.__bases__ if base is not Exception)
        for cls in _error_classes()
    }
    assert drawn_tree(errors.__doc__ or "") == real


def test_public_names_are_sorted_complete_and_there() -> None:
    public = proofset.__all__
    assert list(public) == sorted(public)
    assert len(set(public)) == len(public)
    assert [name for name in public if not hasattr(proofset, name)] == []
    tree = ast.parse((SRC / "__init__.py").read_text("utf-8"))
    imported = {
        alias.asname or alias.name
        for node, inside, _ in _imports(tree)
        if isinstance(node, ast.ImportFrom) and not inside and (node.module or "").startswith("proofset")
        for alias in node.names
    }
    assert {name for name in imported if not name.startswith("_")} <= set(public)


def test_every_module_imports() -> None:
    for module in pkgutil.walk_packages([str(SRC)], "proofset."):
        if module.name != "proofset.__main__":
            importlib.import_module(module.name)


def test_every_module_has_its_test() -> None:
    wanted = [path.relative_to(SRC) for path in MODULES if needs_test(path)]
    missing = [str(p) for p in wanted if not (ROOT / "tests" / p.parent / f"test_{p.name}").exists()]
    _none(missing, "modules without tests/<room>/test_<module>.py")


def test_the_architecture_is_drawn_as_it_is() -> None:
    drawn = drawn_layout((ROOT / "docs" / "architecture.md").read_text("utf-8"))
    there = {path.relative_to(SRC).as_posix() for path in MODULES} - {
        path.relative_to(SRC).as_posix() for path in SRC.glob("*/**/__init__.py")
    }
    now = {name for name, is_there in drawn.items() if is_there}
    _none(there - now, "docs/architecture.md: these modules are there, but not drawn, or drawn as planned")
    _none(now - there, "docs/architecture.md: these modules are drawn, but not there")


def test_every_setting_is_explained() -> None:
    sections = {cls for _, cls in inspect.getmembers(config, inspect.isclass) if issubclass(cls, speakers.Section)}
    silent = [
        f"{cls.__name__}.{name}"
        for cls in sections
        for name, field in cls.model_fields.items()
        if not field.description
    ]
    assert len(sections) > 1
    _none(silent, "settings without a docstring")


def test_commands_functions_and_readme_name_the_same_verbs() -> None:
    pipeline, cli = _load("pipeline"), _load("cli")
    verbs = list(pipeline.VERBS)
    assert [verb for verb in verbs if not inspect.getdoc(getattr(pipeline, verb, None))] == []
    groups = [value for value in vars(cli).values() if hasattr(value, "commands")]
    commands = {name for group in groups for name in group.commands}
    _none(set(verbs) - commands, "verbs without a command")
    readme = (ROOT / "README.md").read_text("utf-8")
    assert verb_table(readme) == verbs, "README.md: its table of verbs must list pipeline.VERBS, in order"


def test_help_is_light() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "proofset", "--help"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in result.stderr.splitlines()}
    assert "proofset" in imported
    assert imported & NOT_FOR_HELP == set()


def test_help_is_quick() -> None:
    # Processor time, best of three: what the command costs, whatever else the machine is doing.
    assert min(_processor_seconds() for _ in range(3)) < HELP_SECONDS


def test_no_file_tells_of_a_machine() -> None:
    texts = [p for p in _tracked() if p.suffix in TEXT_ENDINGS]
    assert ROOT / "pyproject.toml" in texts
    _none(_faults(texts, banned_text), "what no file may hold")


def test_links_lead_somewhere() -> None:
    pages = [path for path in _tracked() if path.suffix == ".md"]
    dead = [f"{p.relative_to(ROOT)}: {gone}" for p in pages for gone in dead_links(p.read_text("utf-8"), p.parent)]
    _none(dead, "links that lead nowhere")


def _none(faults: Iterable[str], rule: str) -> None:
    """Fail with all faults, one a line."""
    if listed := sorted(faults):
        pytest.fail("\n".join([rule, *listed]), pytrace=False)


def _faults(paths: list[Path], rule: Callable[[str], list[str]]) -> list[str]:
    return [f"{path.relative_to(ROOT)}: {fault}" for path in paths for fault in rule(path.read_text("utf-8"))]


def _processor_seconds() -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "proofset", "--help"], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
