"""The submission note: the line of a job's script that says, in JSON, how it was submitted.

``slurmic rerun`` reads it back. What it has is promised: see :mod:`slurmic.job.wire`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from slurmic.errors import ConfigError, SubmissionError
from slurmic_store import quoted

from .request import Settings

_MARK = "# slurmic: "
"""How the line begins."""


def submission_note(settings: Settings) -> dict[str, Any]:
    """What a job's script keeps of how it was submitted, for it to be submitted again."""
    config = settings.config
    return {
        "config": {**asdict(config), "output_path": os.path.abspath(config.output_path)},
        "params": settings.params,
        "submit": settings.submit,
    }


def note_line(note: Mapping[str, Any]) -> str:
    """The line of a script, without its end."""
    return _MARK + json.dumps(note, default=str)


def read_note(script: Path, job_id: str) -> Mapping[str, Any]:
    """The note in a script.

    Args:
        script: the job's script.
        job_id: of which job, for errors.

    Raises:
        SubmissionError: the script is not there.
        ConfigError: it has no note.
    """
    try:
        lines = script.read_text(errors="surrogateescape").splitlines()
    except OSError as error:
        raise SubmissionError(
            f"how job {job_id} was submitted is not known any more: {quoted(str(script))} does not "
            "exist",
            hint="jobs of mode 'local' have no script: call the function again",
        ) from error
    for line in lines:
        if line.startswith(_MARK):
            found: Mapping[str, Any] = json.loads(line.removeprefix(_MARK))
            if "config" in found:
                return found
    raise ConfigError(
        f"{quoted(str(script))} does not say how job {job_id} was submitted",
        hint="an older version of slurmic wrote it; call the function again",
    )
