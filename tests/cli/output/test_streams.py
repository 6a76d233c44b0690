"""What becomes of standard output and standard error is no reason for a traceback."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = f"{sys.executable} -m slurmic"
FULL = "slurmic: error: cannot write the output: no space left on device\n"
CLOSED = "slurmic: error: cannot write the output: standard output is closed\n"

ENCODINGS = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "strict": {"PYTHONIOENCODING": "ascii:strict"},
    "C": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
}


@pytest.fixture
def project(tmp_path: Path, write: Any) -> Path:
    folder: Path = write(tmp_path / "project", {"a.py": "a = 1\n", "b/c.sh": "echo\n"})
    return folder


def in_shell(command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_letters_that_the_encoding_lacks(
    run: Any, tmp_path: Path, write: Any, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    """A file café.py, on a cluster whose login nodes have no locale."""
    project = write(tmp_path / "project", {"café.py": "", "café/b.py": ""})
    for name, value in ENCODINGS[encoding].items():
        monkeypatch.setenv(name, value)
    done = run("why", "café.py".encode(), cwd=project)
    assert done.stdout == b"'caf\\xe9.py': packed, by .py in code_file_suffixes\n", done.stderr
    done = run("files", "--tree", cwd=project)
    assert done.returncode == 0 and b"caf\\" in done.stdout, done.stderr
    # Data stays data.
    assert run("files", cwd=project).stdout == "café.py\ncafé/b.py\n".encode()
    assert run("files", "-0", cwd=project).stdout == "café.py\0café/b.py\0".encode()


@pytest.mark.parametrize(
    "arguments", ["files", "files --json", "files --tree", "why a.py", "--help", "why -h", "-V"]
)
@pytest.mark.parametrize(("target", "error"), [("/dev/full", FULL), ("&-", CLOSED)])
def test_output_that_cannot_be_written(
    project: Path, arguments: str, target: str, error: str
) -> None:
    """Also what is written only when the interpreter ends."""
    done = in_shell(f"{PROGRAM} {arguments} >{target}", project)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", error)


def test_more_output_than_a_buffer_holds(project: Path) -> None:
    for number in range(1000):
        (project / f"a_file_with_a_long_name_{number}.py").touch()
    done = in_shell(f"{PROGRAM} files >/dev/full", project)
    assert (done.returncode, done.stderr) == (1, FULL)


def test_a_failure_is_said_though_the_output_cannot_be_written(project: Path) -> None:
    done = in_shell(f"{PROGRAM} why a.py --suffix '*' >/dev/full", project)
    assert done.returncode == 1
    assert done.stderr.startswith("slurmic: error: code_file_suffixes has the entry")


@pytest.mark.parametrize("target", ["/dev/full", "&-"])
def test_messages_that_cannot_be_written_are_no_failure(project: Path, target: str) -> None:
    """Closed, they came among the data: print takes None for standard output."""
    done = in_shell(f"{PROGRAM} files 2>{target}", project)
    assert (done.returncode, done.stdout) == (0, "a.py\nb/c.sh\n")


def test_all_streams_closed(project: Path) -> None:
    done = in_shell(f"{PROGRAM} files >&- 2>&- <&-; echo $?", project)
    assert done.stdout == "1\n"
    done = in_shell(f"{PROGRAM} snapshot --store ../store --output ../out >&- <&-", project)
    assert (done.returncode, done.stderr.splitlines()[-1] + "\n") == (1, CLOSED)


def test_a_pipe_that_somebody_has_made_non_blocking(project: Path) -> None:
    """As node.js does with a pipe that it shares; the reader is slower than a listing."""
    for number in range(3000):
        (project / f"a_file_with_a_long_name_{number:04}_{'x' * 100}.py").touch()
    reader, writer = os.pipe()
    flags = fcntl.fcntl(writer, fcntl.F_GETFL)
    fcntl.fcntl(writer, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    with subprocess.Popen(
        [sys.executable, "-m", "slurmic", "files"],
        cwd=project,
        stdout=writer,
        stderr=subprocess.DEVNULL,
    ) as process:
        os.close(writer)
        with os.fdopen(reader) as pipe:
            lines = pipe.readlines()
    assert (process.returncode, len(lines)) == (0, 3002)
