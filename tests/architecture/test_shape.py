"""What the shape of the code promises: a closed foundation, small files, docstrings, one clock."""

import ast
from pathlib import Path

import app

APP = Path(app.__file__).parent
SOURCES = sorted(APP.rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}


def name(path: Path) -> str:
    """A file as people write it."""
    return path.relative_to(APP.parent).as_posix()


def doc(path: Path) -> list[str]:
    """The lines of a module's docstring."""
    return (ast.get_docstring(TREES[path]) or "").splitlines()


class TestFoundation:
    def test_it_holds_exactly_these(self) -> None:
        # A new file here needs a reason in DECISIONS.md.
        assert sorted(path.name for path in (APP / "foundation").glob("*.py")) == [
            "__init__.py",
            "clock.py",
            "errors.py",
            "ids.py",
            "lanes.py",
            "logging.py",
            "metrics.py",
            "reading.py",
            "record.py",
            "traces.py",
        ]

    def test_it_knows_nothing_of_the_product(self) -> None:
        imported = {
            node.module or ""
            for path, tree in TREES.items()
            if path.parent.name == "foundation"
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
        }
        assert {
            one for one in imported if one.startswith("app") and not one.startswith("app.foundation")
        } == set()


class TestSizes:
    def test_no_file_is_longer_than_500_lines(self) -> None:
        written = [path for path in APP.rglob("*") if path.suffix in (".py", ".html", ".js", ".css")]
        lines = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in written}
        assert {path: count for path, count in lines.items() if count > 500} == {}


class TestDocstrings:
    def test_a_room_says_what_it_is_in_ten_lines_or_so(self) -> None:
        lines = {name(path.parent): len(doc(path)) for path in APP.glob("*/__init__.py")}
        assert {room: count for room, count in lines.items() if not 10 <= count <= 25} == {}

    def test_every_module_says_what_it_is_in_a_sentence(self) -> None:
        first = {name(path): (doc(path) or [""])[0] for path in SOURCES}
        assert {
            path for path, line in first.items() if not line.rstrip("`").endswith((".", ":", "?"))
        } == set()


class TestNames:
    def test_no_file_is_called_after_what_it_is_not(self) -> None:
        vague = {
            "service",
            "manager",
            "handler",
            "helper",
            "helpers",
            "processor",
            "base",
            "impl",
            "util",
            "utils",
        }
        # What is recovered there is a service, in the words of the people whose it is.
        sources = [path for path in SOURCES if path.stem != "recover_service"]
        assert [name(path) for path in sources if vague & set(path.stem.split("_"))] == []


class TestTime:
    # Not the time of anything that is told or stored: a process's age by the system's own
    # clock, and the mark by which the fault suite measures, from another process.
    ALLOWED = {("app/systems/process.py", "time.time"), ("app/remediation/crash.py", "time.time")}
    READS = {
        "datetime.now",
        "datetime.utcnow",
        "datetime.today",
        "date.today",
        "time.time",
        "time.time_ns",
        "time.localtime",
        "time.gmtime",
    }

    def test_only_the_clock_reads_it(self) -> None:
        found = {
            (name(path), ".".join(ast.unparse(node.func).split(".")[-2:]))
            for path, tree in TREES.items()
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
        }
        reads = {(path, call) for path, call in found if call in self.READS}
        assert reads - self.ALLOWED == {("app/foundation/clock.py", "datetime.now")}
