"""slurmic files: the paths are data, the rest is said on standard error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hostile_names import HOSTILE


def test_files_lists_raw_sorted_paths(run: Any, project: Path) -> None:
    expected = [b"-x.py", b"a.py", b"b/c.sh", HOSTILE]
    done = run("files", str(project), "-0")
    assert done.returncode == 0
    assert done.stdout == b"".join(path + b"\0" for path in sorted(expected))
    assert done.stderr == b"4 files would be packed, 12 B\n"
    assert run("files", cwd=project).stdout == b"".join(p + b"\n" for p in sorted(expected))
    done = run("files", "--suffix", ".txt", "--suffix", ".sh", "--exclude", "b", str(project))
    assert done.stdout == b"d.txt\n"


def test_files_says_what_a_submission_would(run: Any, project: Path) -> None:
    done = run("files", "--suffix", ".none", cwd=project)
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"warning: a submission would be refused: nothing to pack in" in done.stderr
    with open(project / "huge.py", "wb") as file:
        file.truncate(300_000_000)  # a hole: it takes no space
    done = run("files", cwd=project)
    assert b"warning: 5 files, 300.0 MB, are packed" in done.stderr
    assert b"raise warn_code_files and warn_code_mb" in done.stderr
    with open(project / "huge.py", "wb") as file:
        file.truncate(3_000_000_000)
    done = run("files", cwd=project)
    assert done.stdout.count(b".py") == 4
    assert b"refused: 5 files, 3,000.0 MB, would be packed, more than the limit" in done.stderr


def test_files_warns_of_large_files_that_are_added_back(run: Any, project: Path) -> None:
    (project / ".gitignore").write_text("/data/*\n")
    (project / "data").mkdir()
    for name in "abc":
        with open(project / "data" / f"{name}.yaml", "wb") as file:
            file.truncate(60_000_000)
    done = run("files", cwd=project)
    assert done.stderr.startswith(
        b"slurmic: warning: code_file_suffixes adds back 3 files, 180.0 MB, that git ignores, "
        b"from 'data'\n  add 'data' to exclude_code_folders, or raise warn_added_mb\n"
    )


def test_files_of_a_tree_with_a_gitignore(run: Any, project: Path) -> None:
    (project / ".gitignore").write_text("*.txt\nb/\n")
    done = run("files", "-0", str(project), "--exclude", "nothing")
    assert set(done.stdout.split(b"\0")) == {
        b"-x.py",
        b".gitignore",
        b"a.py",
        b"b/c.sh",
        b"wandb/e.py",
        HOSTILE,
        b"",
    }


def test_files_as_json_and_as_a_tree(run: Any, project: Path) -> None:
    done = run("files", "--json", cwd=project)
    entries = [json.loads(line) for line in done.stdout.splitlines()]
    assert [os.fsencode(entry["path"]) for entry in entries] == sorted(
        [b"-x.py", b"a.py", b"b/c.sh", HOSTILE]
    )
    assert {entry["path"]: entry["size"] for entry in entries}["b/c.sh"] == 5
    done = run("files", "--tree", cwd=project)
    lines = [line.strip() for line in done.stdout.decode().splitlines()]
    assert lines[0].endswith("project  4 files, 12 B")
    assert lines[1].endswith("b  1 file, 5 B")
    for options in (("--tree", "-0"), ("--tree", "--json")):
        done = run("files", *options, cwd=project)
        assert (done.returncode, done.stdout) == (2, b"")


def test_names_that_rich_would_make_something_of(run: Any, tmp_path: Path, write: Any) -> None:
    """A folder sub:smile: was drawn as a face, and a backslash at the end of a name twice."""
    names = ["sub:smile:", "back\\", "[red]x", "[x"]
    project = write(tmp_path / "project", {f"{name}/a.py": "" for name in names})
    done = run("files", "--tree", cwd=project)
    lines = done.stdout.decode().splitlines()[1:]
    shown = sorted(line.lstrip("├└─ ").partition("  ")[0] for line in lines)
    assert shown == sorted(names), done.stderr


def test_a_reader_that_stops_early_is_no_error(run: Any, project: Path) -> None:

    for number_ in range(3000):
        (project / f"file_with_a_long_name_{number_:05}.py").touch()
    command = f"{sys.executable} -m slurmic files {project} | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stdout == "-x.py\n"
    assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr
