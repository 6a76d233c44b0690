"""Slurm, as slurmic asks it and tells it things: by its client programs, in one way.

Words:
    client: a program of Slurm's that talks to its daemons: squeue, sacct, scontrol, scancel, …
    controller: the daemon that knows the jobs of today; squeue and scontrol ask it.
    accounting: the database that knows older jobs, where a site has one; sacct asks it.
    state: what Slurm says of a job, as in "RUNNING"; the table of all of them is in ``states``.
    job id: "1234", "1234_7" (a task of an array), "1234_[0-99]" (many of them), "1234+1" (a part of
        a heterogeneous job).

Files:
    client: running a client: one time limit, one environment, one kind of answer.
    states: every state of a job, and what it means.
    jobids: ids and ranges of tasks, expanded, shortened, compared.
    queue: which of a user's jobs have not ended; cancelling and releasing jobs.
    jobstates: the states of given jobs, by the controller and by the accounting.
    limits: how long an array may be, and how many tasks a user may have.

sbatch is submitit's to call (``slurmic.submit``). Only this room runs the other clients.
"""
