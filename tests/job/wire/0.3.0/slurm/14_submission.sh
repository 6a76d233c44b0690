#!/bin/bash
# slurmic: {"config": {"mode": "slurm", "job_name": "wire", "partition": "", "output_parent_path": "..", "output_folder": "slurm", "node_list": "", "node_list_exclude": "", "num_of_node": 1, "tasks_per_node": 1, "gpus_per_task": 0, "cpus_per_task": 1, "gpus_per_node": null, "mem": "", "timeout_min": 9223372036854775807, "stderr_to_stdout": false, "setup": [], "pack_code": true, "use_packed_code": false, "code_root": ".", "code_file_suffixes": [".py", ".sh", ".yaml", ".toml"], "exclude_code_folders": [".git", "wandb", "outputs", "datasets"], "use_distributed_env": true, "distributed_env_task": "torch", "processes_per_task": 1, "distributed_launch_command": "echo {num_processes}", "extra_params_kwargs": {}, "extra_submit_kwargs": {}, "extra_task_kwargs": {}, "store_path": "../store", "link_mode": "auto", "code_scope": "submission", "code_stage": "shared", "on_live_import": "warn", "array_parallelism": 0, "warn_code_files": 10000, "warn_code_mb": 200, "warn_added_files": 500, "warn_added_mb": 50, "max_code_files": 100000, "max_code_mb": 2147, "require_clean": false, "output_path": "/slurmic-wire-root-_________________________________________________________________________________________________________________________________________________________________/slurm"}, "params": {}, "submit": {}}

# Parameters
#SBATCH --chdir=/slurmic-wire-root-_________________________________________________________________________________________________________________________________________________________________/slurm/code-4
#SBATCH --cpus-per-task=1
#SBATCH --error=/slurmic-wire-root-_________________________________________________________________________________________________________________________________________________________________/project/../slurm/%j_0_log.err
#SBATCH --job-name=wire
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --open-mode=append
#SBATCH --output=/slurmic-wire-root-_________________________________________________________________________________________________________________________________________________________________/project/../slurm/%j_0_log.out
#SBATCH --signal=USR2@90
#SBATCH --wckey=submitit

# setup
unset SLURMIC_SLURM_HAS_BEEN_SET_UP
{ slurmic_waited=0; slurmic_sleep=1; until cd /slurmic-wire-root-_________________________________________________________________________________________________________________________________________________________________/slurm/code-4 2>/dev/null; do if [ "$slurmic_waited" -ge 60 ]; then printf '%s\n' 'slurmic: code folder "/slurmic-wire-root-_________________________________________________________________________________________________________________________________________________________________/slurm/code-4" cannot be entered on this node: was it deleted, or is its filesystem not mounted here?' >&2; exit 1; fi; ls /slurmic-wire-root-_________________________________________________________________________________________________________________________________________________________________/slurm >/dev/null 2>&1 || :; sleep "$slurmic_sleep"; slurmic_waited=$((slurmic_waited + slurmic_sleep)); if [ "$slurmic_sleep" -lt 8 ]; then slurmic_sleep=$((slurmic_sleep * 2)); fi; done; unset slurmic_waited slurmic_sleep; }
export PYTHONPATH=/slurmic-wire-root-_________________________________________________________________________________________________________________________________________________________________/slurm/code-4"${PYTHONPATH:+:$PYTHONPATH}"
export SLURMIC_SNAPSHOT=261126-090226-32bcc1 SLURMIC_CODE=/slurmic-wire-root-_________________________________________________________________________________________________________________________________________________________________/slurm/code-4 SLURMIC_CODE_ROOT=/slurmic-wire-root-_________________________________________________________________________________________________________________________________________________________________/project SLURMIC_GIT_COMMIT=''
[ "${MASTER_PORT:-}" != "${slurmic_main_process_port:-}" ] || unset MASTER_PORT
export MASTER_PORT="${MASTER_PORT:-$(/slurmic-wire-python -S -c 'import os, socket
number = int(os.environ.get("SLURM_JOB_ID") or os.getppid())
for step in range(20000):
    port = 12000 + (number + step) % 20000
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            continue
    print(port)
    break
')}"
[ -n "$MASTER_PORT" ] || unset MASTER_PORT

# command
export SUBMITIT_EXECUTOR=slurm
srun --unbuffered --output /slurmic-wire-root-_________________________________________________________________________________________________________________________________________________________________/project/../slurm/%j_%t_log.out --error /slurmic-wire-root-_________________________________________________________________________________________________________________________________________________________________/project/../slurm/%j_%t_log.err --ntasks=1 --ntasks-per-node=1 --cpus-per-task=1 --kill-on-bad-exit=1 /slurmic-wire-python -u -c 'import sys; sys.path[:] = [entry for entry in sys.path if entry]; from submitit.core import _submit; sys.argv[0] = _submit.__file__; _submit.submitit_main()' /slurmic-wire-root-_________________________________________________________________________________________________________________________________________________________________/project/../slurm
