"""Jobs that fail say what happened, how their log ends, which code they ran, and what was live."""

from __future__ import annotations

from .cluster import SlurmCluster
from .project import Project
from .test_arrays import HEAD

FAILING = (
    HEAD
    + """
class Odd:
    def __reduce__(self):
        return (exec, ("import trainer.gone",))

@slurmic.slurm_fn
def fail(how):
    import signal
    import trainer

    print("the last words", flush=True)
    if how == "raise":
        raise ValueError("no luck")
    if how == "live":
        sys.path.insert(0, str(Path(SOURCE) / "ignored"))
        import notpacked

        raise ValueError(notpacked.WHERE)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "odd":
        return Odd()
    time.sleep(60)

SOURCE = os.getcwd()
for how in sys.argv[1:]:
    job = fail[configured()](how)
    print("result", json.dumps(job.job_id), flush=True)
    if how == "cancel":
        while "the last words" not in (job.stdout() or ""):
            time.sleep(0.1)
        job.cancel()
    error = job.exception() if how != "odd" else None
    try:
        job.result()
    except Exception as raised:
        same = type(raised) is type(error)
        names = [kind.__name__ for kind in type(raised).__mro__]
        again = pickle.loads(pickle.dumps(raised))
        assert str(again) == str(raised) and type(again) is type(raised)
        print("result", json.dumps([same or how == "odd", names, str(raised)]), flush=True)
"""
)


def test_failures_say_where_to_look(cluster: SlurmCluster, project: Project) -> None:
    """An exception, a kill, a cancellation, a result that cannot be loaded, a live import."""
    project.write(".gitignore", "__pycache__/\nignored/\n")
    project.write("ignored/notpacked.py", "WHERE = __file__\n")
    project.script(FAILING)
    ways = ("raise", "live", "kill", "cancel", "odd")
    script = project.run(*ways)
    said = {}
    for way in ways:
        job_id = script.result()
        same, names, text = script.result()
        assert same, way
        assert "SlurmicError" in names
        assert "UncompletedJobError" in names
        assert ("FailedJobError" in names) == (way in ("raise", "live"))
        assert f"job {job_id} " in text.splitlines()[0]
        number = list(ways).index(way)
        code = project.root / ("slurm/code" if number == 0 else f"slurm/code-{number + 1}")
        assert f"its code: '{code}' (snapshot 2" in text
        assert f"{project.root}/slurm/{job_id}_0_log." in text
        assert "  | " in text
        said[way] = text
    assert said["raise"].splitlines()[0].endswith(" failed: ValueError: no luck")
    assert 'raise ValueError("no luck")' in said["raise"]
    assert "live source tree:" not in said["raise"]
    assert f"notpacked: '{project.root}/ignored/notpacked.py'" in said["live"]
    assert "its state is FAILED" in said["kill"]
    assert "Killed" in said["kill"]
    assert "its state is CANCELLED" in said["cancel"]
    assert "it was cancelled" in said["cancel"]
    assert (
        "cannot be loaded here: ModuleNotFoundError: No module named 'trainer.gone'" in said["odd"]
    )
