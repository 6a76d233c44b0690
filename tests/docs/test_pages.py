"""What the pages name exists: files, modules, links between pages, commands, targets of make."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import slurmic
import slurmic_store

ROOT = Path(__file__).parents[2]
ENGINE = Path(slurmic_store.__file__).parent
PACKAGE = Path(slurmic.__file__).parent

PAGES = sorted(
    page.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "examples/*.md", "store/*.md")
    for page in ROOT.glob(pattern)
)
GENERATED = {"benchmarks/results/"}
"""Folders that the pages name, and that are there only after something has run."""


def existing(path: str) -> bool:
    """Whether a path of the repository is there, in a checkout or beside installed packages."""
    base = ROOT
    for prefix, folder in (("store/slurmic_store/", ENGINE), ("slurmic/", PACKAGE)):
        if path.startswith(prefix):
            base, path = folder, path.removeprefix(prefix)
            break
    return any(base.glob(path)) if "*" in path else (base / path).exists()


BLOCK = re.compile(r"^```[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")


def code_in(text: str) -> Iterator[str]:
    """The fenced blocks and the spans of code of a page."""
    yield from BLOCK.findall(text)
    yield from SPAN.findall(BLOCK.sub("", text))


@pytest.mark.parametrize("page", PAGES)
def test_files_that_a_page_names_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    named = re.findall(
        r"(?<![\w./<>~-])((?:slurmic|store|tests|docs|benchmarks|examples|\.ci)/[\w./*-]*)", text
    )
    missing = [path.rstrip(".") for path in named if not existing(path.rstrip("."))]
    assert sorted(set(missing) - GENERATED) == []


def test_the_map_of_the_code_names_every_room_and_no_file_that_is_not_there() -> None:
    """architecture.md names files as a reader of one package does: `submit/function.py`."""
    text = (ROOT / "docs/architecture.md").read_text()
    named = {path for code in code_in(text) for path in re.findall(r"[\w./]+\.(?:py|md)\b", code)}
    assert len(named) > 30
    bases = ("", "slurmic/", "store/")
    missing = [path for path in sorted(named) if not any(existing(b + path) for b in bases)]
    # In the picture a column belongs to the room above it.
    assert [path for path in missing if not existing(f"slurmic/job/{path}")] == []
    rooms = {
        f"`{package.name}/{room.parent.name}/`"
        for package in (PACKAGE, ENGINE)
        for room in package.glob("*/__init__.py")
    }
    assert sorted(room for room in rooms if room not in text) == []


@pytest.mark.parametrize("page", PAGES)
def test_modules_and_names_that_a_page_names_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    named = set(re.findall(r"(?<![\w./-])((?:slurmic|slurmic_store|benchmarks)(?:\.\w+)+)", text))
    missing = []
    for name in sorted(named):
        found, *rest = name.split(".")
        value: object = importlib.import_module(found)
        for part in rest:
            found += f".{part}"
            value = getattr(value, part, None) or _imported(found)
        if value is None and not existing(name):
            missing.append(name)
    assert missing == []


def _imported(module: str) -> object:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        return None


@pytest.mark.parametrize("page", PAGES)
def test_pages_that_a_page_links_to_exist(page: str) -> None:
    text = SPAN.sub("code", BLOCK.sub("", (ROOT / page).read_text()))
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (ROOT / page).parent.joinpath(link).exists()] == []


def test_commands_that_the_pages_name_exist() -> None:
    command = [sys.executable, "-m", "slurmic", "--help"]
    help_text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    offered = set(re.findall(r"^\W{2,4}([a-z]+)\s{2,}", help_text, re.MULTILINE))
    assert {"ls", "submit", "gc"} <= offered
    named = {
        (page, word)
        for page in PAGES
        if page != "store/FORMAT.md"  # whose files begin with such words
        for code in code_in((ROOT / page).read_text())
        for word in re.findall(r"^(?:\$ )?slurmic ([a-z]+)\b", code, re.MULTILINE)
    }
    assert len(named) > 20
    assert sorted(each for each in named if each[1] not in offered) == []


def test_targets_of_make_that_the_pages_name_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        (page, word)
        for page in ("README.md", "CONTRIBUTING.md", "docs/benchmarks.md", "examples/README.md")
        for code in code_in((ROOT / page).read_text())
        for word in re.findall(r"^make ([a-z-]+)", code, re.MULTILINE)
    }
    assert len(named) > 5
    assert sorted(each for each in named if each[1] not in targets) == []


def test_every_decision_is_in_the_index_with_its_date() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = re.findall(
        r"^\| \[(.+)\]\(([\w-]+\.md)\) \| .+ \| (\d{4}-\d\d-\d\d) \|$",
        (folder / "README.md").read_text(),
        re.MULTILINE,
    )
    there = []
    for page in folder.glob("*.md"):
        if page.name != "README.md":
            title, _, date, *rest = page.read_text().splitlines()
            assert {"## Why", "## What lost"} <= set(rest), page
            there.append((title.removeprefix("# "), page.name, date))
    assert sorted(listed) == sorted(there)


def test_every_example_is_in_their_index() -> None:
    folder = ROOT / "examples"
    listed = re.findall(r"\]\((\w+)/", (folder / "README.md").read_text())
    assert sorted(listed) == sorted(each.name for each in folder.iterdir() if each.is_dir())
