"""SlurmConfig: compatible with 0.2.1, and clear about what it does not take."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import pytest

from slurmic import ConfigError, SlurmArgs, SlurmConfig

FIELDS_OF_0_2_1: dict[str, Any] = {
    "mode": "run",
    "job_name": "Job",
    "partition": "",
    "output_parent_path": "./",
    "output_folder": "slurm_run",
    "node_list": "",
    "node_list_exclude": "",
    "num_of_node": 1,
    "tasks_per_node": 1,
    "gpus_per_task": 0,
    "cpus_per_task": 1,
    "gpus_per_node": None,
    "mem": "",
    "timeout_min": sys.maxsize,
    "stderr_to_stdout": False,
    "setup": [],
    "pack_code": False,
    "use_packed_code": False,
    "code_root": ".",
    "code_file_suffixes": [".py", ".sh", ".yaml", ".toml"],
    "exclude_code_folders": [".git", "wandb", "outputs", "datasets"],
    "use_distributed_env": False,
    "distributed_env_task": "torch",
    "processes_per_task": 1,
    "distributed_launch_command": "",
    "extra_params_kwargs": {},
    "extra_submit_kwargs": {},
    "extra_task_kwargs": {},
}


def test_fields_come_in_the_order_and_with_the_defaults_of_0_2_1() -> None:
    """A script that passes fields by position, or reads a default, must see no difference."""
    names = [field.name for field in dataclasses.fields(SlurmConfig)]
    assert names[: len(FIELDS_OF_0_2_1)] == list(FIELDS_OF_0_2_1)
    config = SlurmConfig()
    assert {name: getattr(config, name) for name in FIELDS_OF_0_2_1} == FIELDS_OF_0_2_1
    assert SlurmArgs is SlurmConfig


@pytest.mark.parametrize(
    ("mode", "folder", "expected"),
    [
        ("slurm", "slurm", "p/slurm"),
        ("local", "slurm", "p/slurm_local"),
        ("debug", "exp/slurm", "p/exp/slurm_debug"),
        ("slurm", "exp", "p/exp/slurm"),
        ("run", "exp", "p/exp/slurm_run"),
        ("slurm", "my_slurm", "p/my_slurm"),
    ],
)
def test_output_path_ends_in_slurm_and_the_mode(mode: Any, folder: str, expected: str) -> None:
    assert (
        SlurmConfig(mode=mode, output_parent_path="p", output_folder=folder).output_path == expected
    )


def test_changing_the_output_path_leaves_the_rest_and_the_original_alone() -> None:
    """In 0.2.1 set_output_path added the mode's suffix once more (slurm_local/slurm_local)."""
    config = SlurmConfig(mode="local", output_parent_path="a", setup=["x"])
    changed = config.set_output_path("b")
    assert (config.output_path, changed.output_path) == ("a/slurm_local", "b/slurm_local")
    changed.setup.append("y")
    assert config.setup == ["x"]
    assert dataclasses.replace(config, mode="slurm").output_path == "a/slurm"
    config.output_path = "elsewhere"  # a plain attribute in 0.2.1
    assert config.output_path == "elsewhere"
    assert config.set_output_path("c").output_path == "c/slurm_local"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"mode": "cluster"}, "'cluster'"),
        ({"link_mode": "symlink"}, "'symlink'"),
        ({"on_live_import": "fail"}, "'fail'"),
        ({"distributed_env_task": "jax"}, "'jax'"),
        ({"use_distributed_env": True}, "distributed_launch_command"),
    ],
)
def test_what_means_nothing_is_named(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named) as caught:
        SlurmConfig(**fields)
    assert caught.value.hint
    assert isinstance(caught.value, ValueError)  # what 0.2.1 raised


def test_no_mode_needs_a_partition() -> None:
    """0.2.1 refused mode="run" without one, and could not use a cluster's default partition."""
    for mode in ("run", "debug", "local", "slurm"):
        assert SlurmConfig(mode=mode).partition == ""  # type: ignore[arg-type]
