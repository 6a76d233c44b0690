"""Conditions as sbatch gets them, and what is known of jobs that Slurm has forgotten."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pytest

from slurmic import SubmissionError
from slurmic.submit.conditions import dependency_option, why_impossible


class Answers(Protocol):
    """Makes squeue and sacct print these lines."""

    def __call__(self, squeue: list[str], sacct: list[str] | None = None) -> None: ...


@pytest.fixture
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Programs of these names; a cluster that has forgotten jobs takes minutes to get."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def program(name: str, lines: list[str], status: int = 0) -> None:
        text = "".join(f"echo '{line}'\n" for line in lines)
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}exit {status}\n")
        (tmp_path / name).chmod(0o755)

    def answer(squeue: list[str], sacct: list[str] | None = None) -> None:
        program("squeue", squeue)
        program("sacct", sacct or [], status=0 if sacct is not None else 1)

    return answer


def test_all_tasks_of_an_array_are_one_dependency(answers: Answers) -> None:
    """10,000 ids in one option are 100 kB, and as many things to check for Slurm."""
    tasks = [f"7_{index}" for index in range(10_000)]
    answers([f"{task}|PENDING" for task in [*tasks, "8"]])
    every = ":".join(tasks)
    assert dependency_option([f"afterok:{every}:8"]) == "afterok:7:8"
    assert dependency_option([f"afterany:{every}", "afterok:8"]) == "afterany:7,afterok:8"
    assert dependency_option(["afterok:7_1:7_2"]) == "afterok:7_1:7_2"
    # Of an array it would hold as soon as one task has failed, and not all of them.
    assert dependency_option([f"afternotok:{every}"]) == f"afternotok:{every}"


def test_what_slurm_has_forgotten_is_looked_up(answers: Answers) -> None:
    """Some minutes after its end Slurm forgets a job, and takes any condition on it as met."""
    answers(
        ["9|RUNNING"],
        ["7|FAILED", "8|COMPLETED", "6|CANCELLED by 0", "5_0|COMPLETED", "5_1|TIMEOUT"],
    )
    assert dependency_option(["afterok:8:9", "afternotok:7", "afterany:7"]) == (
        "afterok:8:9,afternotok:7,afterany:7"
    )
    assert dependency_option(["afterok:5_0", "afternotok:5"]) == "afterok:5_0,afternotok:5"
    for condition, said in {
        "afterok:9:7": "job 7 is FAILED",
        "afterok:6": "job 6 is CANCELLED",
        "afternotok:8": "job 8 is COMPLETED",
        "afterok:5": r"job 5 is TIMEOUT \(1 of 2 tasks\)",
        "afterany:4": "knows no such job",
        "afterok:9_1": "knows no such job",
    }.items():
        with pytest.raises(SubmissionError, match=said):
            dependency_option([condition])


def test_ten_thousand_forgotten_tasks(answers: Answers) -> None:
    tasks = [f"7_{index}" for index in range(10_000)]
    answers([], [f"{task}|COMPLETED" for task in tasks])
    assert dependency_option([":".join(["afterok", *tasks])]).count(":") == 10_000


def test_the_controller_knows_first(answers: Answers) -> None:
    """It has removed the job that depends; the accounting may not have heard of the reason yet."""
    answers(["7_0|COMPLETED", "7_1|FAILED"], ["7_0|COMPLETED", "7_1|RUNNING"])
    assert why_impossible(["afterok:7"]) == (
        "'afterok:7' cannot be met: job 7 is FAILED (1 of 2 tasks)"
    )


def test_without_accounting_nothing_is_refused(answers: Answers) -> None:
    answers([], None)
    assert dependency_option(["afterok:7"]) == "afterok:7"
    assert why_impossible(["afterok:7"]) == ""


def test_no_conditions_ask_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert dependency_option([]) == ""


def test_the_first_condition_that_is_impossible_is_named(answers: Answers) -> None:
    answers([], ["7|FAILED", "8|RUNNING"])
    assert why_impossible(["afterok:8", "afternotok:7"]) == ""
    assert why_impossible(["afterok:8", "afterok:7"]) == (
        "'afterok:7' cannot be met: job 7 is FAILED"
    )
