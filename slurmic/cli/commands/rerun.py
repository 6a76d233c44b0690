"""slurmic rerun: submit again what a job ran."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from slurmic.cli.arguments import configuration
from slurmic.cli.arguments.configuration import NOT_GIVEN, config_options, given_fields
from slurmic.cli.arguments.group import argument, command, option
from slurmic.cli.arguments.names import finder
from slurmic.cli.arguments.options import store_option
from slurmic.cli.arguments.values import FOLDER, REFERENCE
from slurmic.cli.exits import DONE
from slurmic.cli.output.console import say, submission_warnings, warn
from slurmic.text import counted

if TYPE_CHECKING:
    from slurmic.config import SlurmConfig
    from slurmic.inspect.references import FoundSnapshot


@command("rerun")
@argument(
    "ref", "REF", "the job; or another REF, if only one job ran from that snapshot", type=REFERENCE
)
@option(
    "--code",
    metavar="DIR",
    type=FOLDER,
    default="",
    help="run the code that this source tree (such as .) has today instead",
)
@store_option
@config_options(
    {**configuration.GROUPS, **configuration.FUNCTIONS},
    defaults=NOT_GIVEN,
    texts={"mode": '"slurm" submits it; "local" runs it on this machine, and slurmic waits for it'},
    modes=("slurm", "local"),
)
def rerun(ref: str, code: str, store: str, **options: Any) -> int:
    """Submit again what a job ran, from its own frozen code.

    The id of the new job goes to standard output. An array is run again as a whole, a task of it
    (1234_7) alone; conditions are not waited for again. Functions get the arguments that they had.
    Options change the job's configuration; what is not given stays as it was.
    """
    from slurmic.runs import past_job, run_again, travels_by_value
    from slurmic_store import StoreError

    found = finder(store).find_snapshot(ref)
    record = found.record
    if found.folder is None:
        raise StoreError(f"no job ran from snapshot '{record.id}': it was only stored")
    job_id = ref if found.kind == "job" else _only_job(found)
    ran = past_job(os.path.dirname(os.fsdecode(found.folder)), job_id)
    if code and travels_by_value(ran):
        warn(
            "functions of the script itself were sent with the job, and run as they were then; "
            "only what they import comes from today's code"
        )
    given = given_fields(options)
    with submission_warnings():
        ids = run_again(
            ran, record, found.store, change=lambda config: _changed(config, given), code=code
        )
    for array in dict.fromkeys(job.partition("_")[0] for job in ids):
        print(array)
    source = code or os.fsdecode(found.folder)
    say(f"{counted(len(ids), 'task')} of job {job_id} submitted again, from {source}")
    return DONE


def _changed(config: SlurmConfig, given: Mapping[str, Any]) -> SlurmConfig:
    changed = copy.deepcopy(config)
    for name, value in given.items():
        setattr(changed, name, value)
    if {"output_folder", "output_parent_path"} & given.keys():
        changed.__dict__.pop("_output_path", None)
    changed.__post_init__()
    return changed


def _only_job(found: FoundSnapshot) -> str:
    from slurmic.cluster import jobids
    from slurmic_store import StoreError

    jobs = list(dict.fromkeys(job.partition("_")[0] for job in found.record.jobs))
    if len(jobs) != 1:
        raise StoreError(
            f"{counted(len(jobs), 'job')} ran from snapshot '{found.record.id}'",
            hint=f"which one? {jobids.in_short(found.record.jobs)}" if jobs else "",
        )
    return jobs[0]
