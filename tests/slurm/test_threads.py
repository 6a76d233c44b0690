"""Several threads of one program submit at once: a server, a notebook, a search for parameters."""

from __future__ import annotations

from .cluster import SlurmCluster
from .project import Project


def test_submissions_from_many_threads(cluster: SlurmCluster, project: Project) -> None:
    """Ordinary and distributed ones, into one output folder, each with a configuration, arguments
    and a condition of its own. 0.2.1 changed submitit's classes while it submitted a distributed
    job, and whatever another thread submitted meanwhile was changed with it."""
    project.script(
        """
        import json
        import os
        from concurrent.futures import ThreadPoolExecutor
        from pathlib import Path

        import slurmic

        @slurmic.slurm_fn
        def work(number, first=None):
            from trainer import late

            return [number, os.path.basename(os.getcwd()), late.VERSION]

        @slurmic.slurm_fn
        def launched():
            raise AssertionError("only the launch command's own program calls it")

        def submit(number):
            if number % 2:
                command = "python -c 'import sys; open(sys.argv[1], chr(119)).write(sys.argv[2])'"
                config = slurmic.SlurmConfig(
                    mode="slurm",
                    pack_code=True,
                    use_distributed_env=True,
                    num_of_node=2,
                    distributed_launch_command=command,
                )
                argv = [os.path.abspath(f"../noted-{number}"), "number %d" % number]
                return launched[config, None, None, None, argv].afterany(first)()
            config = slurmic.SlurmConfig(mode="slurm", pack_code=True, job_name=f"job-{number}")
            return work[config].afterok(first)(number)

        if __name__ == "__main__":
            first = work[slurmic.SlurmConfig(mode="slurm", pack_code=True)](-1)
            with ThreadPoolExecutor(8) as pool:
                jobs = list(pool.map(submit, range(8)))
            print("submitted", flush=True)
            print("result", json.dumps([job.results() for job in jobs]), flush=True)
        """
    )
    with cluster.queue_closed():
        script = project.start()
        script.line("submitted")
        project.set_version("newer")
    results = script.result()
    assert results[1::2] == [[0, 0]] * 4
    assert [result[0][::2] for result in results[::2]] == [[n, "one"] for n in range(0, 8, 2)]
    folders = [result[0][1] for result in results[::2]]
    assert len(set(folders)) == 4
    for number in range(1, 8, 2):
        assert (project.root.parent / f"noted-{number}").read_text() == f"number {number}"
