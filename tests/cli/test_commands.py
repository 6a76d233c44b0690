"""The command line, as processes: data on standard output, messages on standard error."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from slurmic.cli.arguments.values import duration
from slurmic.cli.output.console import printable_lines
from slurmic.errors import ConfigError
from slurmic.text import counted, printable, size

HOSTILE = b"new\nline\xff \x1b[31m.py"


@pytest.fixture
def project(tmp_path: Path, write: Any) -> Path:
    folder: Path = write(
        tmp_path / "project",
        {"a.py": "a = 1\n", "b/c.sh": "echo\n", "d.txt": "d", "wandb/e.py": "e", "-x.py": ""},
    )
    (folder / os.fsdecode(HOSTILE)).write_text("x")
    return folder


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
        b'from "data"\n  add "data" to exclude_code_folders, or raise warn_added_mb\n'
    )


def test_a_snapshot_that_is_too_large_is_refused(run: Any, project: Path, tmp_path: Path) -> None:
    store = ("--store", str(tmp_path / "store"))
    done = run("snapshot", str(project), "--max-code-files", "3", *store)
    assert done.returncode == 1
    assert b"more than the limit of 3 files" in done.stderr
    assert run("snapshot", str(project), "--max-code-files", "0", *store).returncode == 0


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


def test_snapshot_ls_gc(run: Any, project: Path, tmp_path: Path) -> None:
    """The life of a snapshot: stored, listed, let go."""
    store = ("--store", str(tmp_path / "store"))
    folder = tmp_path / "frozen"
    done = run("snapshot", str(project), "--output", str(folder), *store)
    assert done.returncode == 0, done.stderr
    snapshot_id = done.stdout.decode().strip()
    assert (folder / "a.py").read_text() == "a = 1\n"
    assert (folder / os.fsdecode(HOSTILE)).read_text() == "x"
    assert json.loads((tmp_path / "frozen.json").read_text())["id"] == snapshot_id

    done = run("snapshot", str(project), "--name", "kept", *store)
    kept = done.stdout.decode().strip()

    done = run("ls", "--json", *store)
    listed = [json.loads(line) for line in done.stdout.splitlines()]
    assert [entry["id"] for entry in listed] == [kept, snapshot_id]
    assert [entry["pinned"] for entry in listed] == [True, False]
    assert [entry["code_folder"] for entry in listed] == [None, str(folder)]
    assert {entry["tree"] for entry in listed} == {listed[0]["tree"]}
    table = run("ls", *store).stdout.decode()
    assert str(folder) in table and "pinned 'kept'" in table

    shutil.rmtree(folder)
    (project / "a.py").write_text("a = 2\n")
    run("snapshot", str(project), "--output", str(folder / "2"), *store)
    shutil.rmtree(folder)
    done = run("gc", "--dry-run", "--grace", "0", *store)
    assert done.stdout == b"would delete 1 blob (6 B), 1 tree, 2 snapshots\n", done.stderr
    done = run("gc", *store)
    assert done.stdout == b"deleted 0 blobs (0 B), 0 trees, 0 snapshots\n", "all is younger"
    done = run("gc", "--grace", "0s", *store)
    assert done.stdout == b"deleted 1 blob (6 B), 1 tree, 2 snapshots\n"
    assert b"1 live snapshot" in done.stderr
    assert not (tmp_path / "frozen.json").exists()


def test_an_output_folder_that_exists_is_left_alone(run: Any, project: Path) -> None:
    done = run("snapshot", str(project), "--output", str(project / "b"), "--store", "s")
    assert done.returncode == 1
    assert b"exists already" in done.stderr
    assert os.listdir(project / "b") == ["c.sh"]


def test_gc_reports_what_it_cannot_account_for(run: Any, project: Path, tmp_path: Path) -> None:
    """A record that cannot be read might need any blob."""
    store = ("--store", str(tmp_path / "store"))
    run("snapshot", str(project), "--output", str(tmp_path / "frozen"), *store)
    shutil.rmtree(tmp_path / "frozen")
    (tmp_path / "store" / "snapshots" / "broken.json").write_text("{")
    done = run("gc", "--grace", "0", *store)
    assert done.returncode == 3
    assert b"broken.json" in done.stderr
    assert any((tmp_path / "store" / "blobs").glob("*/*"))


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["files", "missing"], 1, "missing"),
        (["files", "--suffix", "*"], 1, "code_file_suffixes"),
        (["snapshot", "missing"], 1, "missing"),
        (["snapshot", "empty"], 1, "nothing to pack"),
        (["ls", "--store", "nowhere"], 1, "no store at"),
        (["gc", "--store", "nowhere"], 1, "no store at"),
        (["gc", "--store", "project"], 1, "no store at"),
        (["gc", "--grace", "soon", "--store", "nowhere"], 2, "nowhere|soon"),
        (["frobnicate"], 2, "frobnicate"),
        (["gc", "--no-such-option"], 2, "no-such-option"),
        ([], 2, "required|files"),
    ],
)
def test_a_mistake_gets_a_message_and_no_traceback(
    run: Any, project: Path, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    (tmp_path / "empty").mkdir()
    done = run(*arguments)
    text = (done.stderr + done.stdout).decode()
    assert done.returncode == code, text
    assert any(part in text for part in message.split("|"))
    assert "Traceback" not in text
    assert done.stdout == b"" or code == 2


@pytest.mark.parametrize("command", [["files"], ["why", "a"], ["show", "."], ["ls"]])
def test_a_current_folder_that_was_deleted(tmp_path: Path, command: list[str]) -> None:
    """By somebody in another terminal."""
    import subprocess

    # As it is installed: `python -c` has the current folder on its path, and Python 3.13.0 does not
    # survive that.
    script = os.path.join(os.path.dirname(sys.executable), "slurmic")
    (tmp_path / "gone").mkdir()
    done = subprocess.run(
        ["sh", "-c", 'rmdir ../gone; exec "$@"', "sh", script, *command],
        cwd=tmp_path / "gone",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("slurmic: error: ") and "Traceback" not in done.stderr


def test_version_and_help(run: Any) -> None:
    assert run("--version").stdout.startswith(b"slurmic ")
    text = run("--help").stdout.decode()
    assert "exit codes:" in text
    for command in ("files", "why", "snapshot", "ls", "gc", "verify"):
        assert command in text
        assert run(command, "--help").returncode == 0


def test_version_imports_nothing_heavy() -> None:
    """--version at the speed of Python itself."""
    import subprocess

    script = (
        "import sys; from slurmic.cli.main import main; main(['--version']); "
        "print(sorted({'tyro', 'submitit', 'rich', 'zstandard'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_reader_that_stops_early_is_no_error(run: Any, project: Path) -> None:
    import subprocess

    for number_ in range(3000):
        (project / f"file_with_a_long_name_{number_:05}.py").touch()
    command = f"{sys.executable} -m slurmic files {project} | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stdout == "-x.py\n"
    assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr


def test_text_for_people() -> None:
    assert [size(n) for n in (0, 999, 1000, 1234, 56789, 2_500_000, 9e12)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "1.2 kB",
        "57 kB",
        "2.5 MB",
        "9.0 TB",
    ]
    assert counted(1, "file") == "1 file" and counted(1234, "file") == "1,234 files"
    assert printable(HOSTILE) == "new\\nline\\udcff \\x1b[31m.py"
    assert printable_lines("a\nb\x07é") == "a\nb\\x07é"
    assert [duration(t) for t in ("90", "30m", "1h", "2d", "1.5h", "0")] == [
        90,
        1800,
        3600,
        172800,
        5400,
        0,
    ]
    with pytest.raises(ConfigError, match="'soon'"):
        duration("soon")


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


def test_verify_finds_what_a_job_has_damaged_and_repairs_it(
    run: Any, project: Path, tmp_path: Path
) -> None:
    """A job that chmods and writes through its link changes the blob for everyone."""
    store = ("--store", str(tmp_path / "store"))
    folder = tmp_path / "frozen"
    run("snapshot", str(project), "--output", str(folder), *store)
    assert run("verify", *store).returncode == 0
    assert run("verify", str(folder), *store).returncode == 0
    shutil.copytree(folder, tmp_path / "elsewhere")
    for suffix in (".json", ".tree.zst"):
        shutil.copy(f"{folder}{suffix}", f"{tmp_path}/elsewhere{suffix}")
    assert run("verify", "elsewhere", "--checksum").returncode == 0, "without the store"

    (folder / "a.py").chmod(0o644)
    (folder / "a.py").write_text("a = 9\n")
    for target in ((), (str(folder),)):
        done = run("verify", *target, *store)
        assert done.returncode == 4
        assert done.stdout.count(b"\n") == 1
    done = run("verify", "--repair", *store)
    assert done.returncode == 0, done.stdout
    done = run("verify", str(folder), "--repair", *store)
    assert done.returncode == 0, done.stdout
    assert (folder / "a.py").read_text() == "a = 1\n"
    assert run("verify", str(folder), "--checksum", "--json", *store).stdout == b""
