"""What is true of every file of the project."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

LONGEST = 400
SOURCES = {".py", ".js", ".css", ".html", ".md"}
WRITTEN = SOURCES | {".toml", ".txt", ".cfg", ".yaml", ".yml", ".json", ".cff", ".ipynb", ".sh", ""}
# Papers, source code and this machine; a new host is added here on purpose or not at all.
THEIRS = "tests/browser/axe/"  # a tool of others, with its licence, as it came
HOSTS = {"127.0.0.1", "localhost", "arxiv.org", "doi.org", "github.com", "www.w3.org"}
NOT_OURS = {
    "a path of one machine": re.compile(r"(?<![\w.*}/])/(?:home|opt|private|root|srv|tmp|work|Users)/\w"),
    "a path beside the repository": re.compile(r"(?<![\w./])\.\./(?!\.|/)\w+/"),
    "the number of an issue": re.compile(r"\bissue #?\d", re.IGNORECASE),
    "an object that would be unpickled": re.compile(r"allow_pickle=True|\b(?:dill|joblib|pickle)\.load"),
}


def tracked(root: Path) -> Iterator[Path]:
    """Files of ours under version control, and new ones that are not ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git repository")
    names = (name for name in listed.stdout.splitlines() if not name.startswith(THEIRS))
    yield from (root / name for name in names if (root / name).is_file())


def test_no_source_file_is_too_long(root: Path) -> None:
    sources = (path for path in tracked(root) if path.suffix in SOURCES)
    lengths = {str(path.relative_to(root)): len(path.read_text().splitlines()) for path in sources}
    assert {name: n for name, n in lengths.items() if n > LONGEST} == {}


def test_the_project_speaks_of_itself_alone(root: Path) -> None:
    found = []
    for path in tracked(root):
        if path.suffix in WRITTEN and path != Path(__file__):
            for number, line in enumerate(path.read_text().splitlines(), 1):
                found += [f"{path.relative_to(root)}:{number}: {what}" for what in named(line)]
    assert found == []


def named(line: str) -> Iterator[str]:
    """What a line names that it should not."""
    yield from (what for what, pattern in NOT_OURS.items() if pattern.search(line))
    for host in re.findall(r"https?://([\w.-]+)", line):
        if host not in HOSTS and not host.endswith((".invalid", ".example")):
            yield f"the host {host}"


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ("see https://arxiv.org/abs/2402.03300", 0),
        ("get it from https://registry.invalid/simple and https://packages.test/", 1),
        ("Path('/tmp/x')", 1),
        ("advlab run --name demo  # writes runs/demo", 0),
        ("rewards/private/srv/x", 0),
        ("as issue 12 says", 1),
        ("cards in ../other/papers", 1),
    ],
)
def test_the_search_itself(line: str, number: int) -> None:
    assert len(list(named(line))) == number


def test_kernels_are_cached_and_plain(root: Path) -> None:
    """Compiled once, without the interpreter's lock; no thread pool inside, NaN stays NaN."""
    for package in ("lab", "simulators"):
        for path in (root / package).rglob("*.py"):
            for call in ast.walk(ast.parse(path.read_text())):
                if isinstance(call, ast.Call) and ast.unparse(call.func) in ("njit", "numba.njit"):
                    given = {k.arg: ast.unparse(k.value) for k in call.keywords}
                    where = f"{path.relative_to(root)}:{call.lineno}"
                    assert path.name == "compiled.py", f"{where}: decorate with simulators.compiled.kernel"
                    assert given.get("cache") == "True", where
                    assert not {"parallel", "fastmath"} & set(given), where
