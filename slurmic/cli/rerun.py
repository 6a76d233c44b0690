"""slurmic rerun: submit again what a job ran."""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass, field
from typing import Annotated

import tyro

from slurmic.cluster import jobids
from slurmic.config import SlurmConfig
from slurmic.runs import past_job, run_again, travels_by_value
from slurmic.snapshot.references import FoundSnapshot
from slurmic_store import StoreError

from .configfields import ConfigChanges
from .console import number, say, warn
from .exits import DONE
from .references import Reference, find_snapshot
from .submit import said_by_us


@dataclass
class Rerun:
    """Submit again what a job ran, from its own frozen code, and print the id of the new job.

    An array is run again as a whole, a task of it (1234_7) alone; conditions are not waited for
    again. Functions get the arguments that they had. Options change the job's configuration."""

    job: Reference
    """the job; or what else names its snapshot, if only one job ran from it"""

    code: Annotated[str, tyro.conf.arg(metavar="DIR")] = ""
    """run today's code of this source tree instead: --code ."""

    store: Annotated[str, tyro.conf.arg(metavar="DIR")] = ""
    """the store; by default where a submission would put it"""

    changes: Annotated[ConfigChanges, tyro.conf.arg(name="configuration")] = field(
        default_factory=ConfigChanges
    )
    """what is changed of the job's configuration"""

    def run(self) -> int:
        """Submit it; the id goes to standard output."""
        found = find_snapshot(self.job, self.store)
        record = found.record
        if found.folder is None:
            raise StoreError(f"no job ran from snapshot '{record.id}': it was only stored")
        job_id = self.job if found.kind == "job" else _only_job(found)
        ran = past_job(os.path.dirname(os.fsdecode(found.folder)), job_id)
        if self.code and travels_by_value(ran):
            warn(
                "functions of the script itself were sent with the job, and run as they were then; "
                "only what they import comes from today's code"
            )
        with said_by_us():
            ids = run_again(ran, record, found.store, change=self._changed, code=self.code)
        for array in dict.fromkeys(job.partition("_")[0] for job in ids):
            print(array)
        code = self.code or os.fsdecode(found.folder)
        say(f"{number(len(ids), 'task')} of job {job_id} submitted again, from {code}")
        return DONE

    def _changed(self, config: SlurmConfig) -> SlurmConfig:
        changed = copy.deepcopy(config)
        given = {name: value for name, value in vars(self.changes).items() if value is not None}
        for name, value in given.items():
            setattr(changed, name, value)
        if {"output_folder", "output_parent_path"} & given.keys():
            changed.__dict__.pop("_output_path", None)
        changed.__post_init__()
        return changed


def _only_job(found: FoundSnapshot) -> str:
    jobs = list(dict.fromkeys(job.partition("_")[0] for job in found.record.jobs))
    if len(jobs) != 1:
        raise StoreError(
            f"{number(len(jobs), 'job')} ran from snapshot '{found.record.id}'",
            hint=f"which one? {jobids.in_short(found.record.jobs)}" if jobs else "",
        )
    return jobs[0]
