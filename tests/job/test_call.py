"""The frozen call: its life in a job, from the folder that appears late to the checkpoint."""

from __future__ import annotations

import json
import pickle
import threading
from pathlib import Path

import pytest
from projects import Project

from slurmic.job import FrozenCall, FrozenCode


def test_environment_and_cwd(project: Project) -> None:
    """The job runs in the code folder and can tell which snapshot it is, on every way to start
    it.
    """
    project.write(
        {
            "train.py": """
            import os, submitting

            def main(*args, **kwargs):
                names = ("SLURMIC_SNAPSHOT", "SLURMIC_CODE", "SLURMIC_GIT_COMMIT", "PWD")
                names += ("SLURMIC_CODE_ROOT",)
                return args, kwargs, os.getcwd(), [os.environ[name] for name in names]

            submitting.submit(main, 1, key="value")
            """
        }
    )
    submission = project.submit("train.py")
    folder = submission.frozen.code_folder
    root = str(project.root)
    expected = ((1,), {"key": "value"}, folder, ["snapshot-1", folder, "abc123", folder, root])
    for shell in ("", "sbatch", "local"):
        assert submission.run(shell).result() == expected


def test_files_of_the_script_are_the_frozen_ones(project: Project) -> None:
    """Path(__file__).parent / "config.yaml" read the live tree: a function of the script travels by
    value, with the live __file__, and so does its class.
    """
    project.write(
        {
            "config.yaml": "frozen",
            "train.py": """
            import inspect, pathlib, submitting

            class Model:
                def where(self):
                    return __file__

            def config():
                return (pathlib.Path(__file__).parent / "config.yaml").read_text()

            def main(model):
                inner = lambda: 0
                files = {main.__code__.co_filename, inner.__code__.co_filename, model.where()}
                return config(), files, inspect.getsource(main).startswith("def main")

            submitting.submit(main, Model())
            """,
        }
    )
    submission = project.submit("train.py")
    text = (project.root / "train.py").read_text()
    project.write({"config.yaml": "live", "train.py": "# edited\n" * 5 + text})
    config, files, source_is_right = submission.run().result()
    assert config == "frozen"
    assert files == {f"{submission.frozen.code_folder}/train.py"}
    assert source_is_right


def test_traceback_shows_the_frozen_line(project: Project) -> None:
    """A traceback through an edited file names lines that have nothing to do with the error."""
    project.write(
        {
            "train.py": """
            import submitting

            def main():
                raise RuntimeError("stop")  # the frozen line

            submitting.submit(main)
            """
        }
    )
    submission = project.submit("train.py")
    text = (project.root / "train.py").read_text()
    project.write({"train.py": "# edited\n" * 5 + text.replace("frozen line", "edited line")})
    error = submission.run().error()
    assert "# the frozen line" in error
    assert f'"{submission.frozen.code_folder}/train.py"' in error


def test_decorated_function_of_a_module(project: Project) -> None:
    """A function whose name in its module means something else (as slurm_fn leaves it) is pickled
    by value; what it refers to in the module must be the frozen module's.
    """
    project.write(
        {
            "lib.py": """
            def helper():
                return "frozen", __file__

            class Wrapped:
                def __init__(self, function):
                    self.function = function

            @Wrapped
            def work():
                return *helper(), globals()["__file__"]
            """,
            "train.py": "import submitting, lib\nsubmitting.submit(lib.work.function)\n",
        }
    )
    submission = project.submit("train.py")
    project.write({"lib.py": "1/0"})
    file = f"{submission.frozen.code_folder}/lib.py"
    assert submission.run().result() == ("frozen", file, file)


CHECKPOINTED = """
import os, signal, time, submitting
from submitit.core.utils import DelayedSubmission
import near

class Train:
    def __init__(self):
        self.epoch = 0

    def __call__(self, start):
        if self.epoch == 0:
            self.epoch = 3
            os.kill(os.getpid(), signal.SIGUSR2)
            time.sleep(30)
        return near.VERSION, near.__file__, self.epoch, start, os.getcwd()

    def {protocol}(self, start):
        return {result}

submitting.submit(Train(), 7)
"""


def checkpointed(project: Project, protocol: str, result: str) -> None:
    script = CHECKPOINTED.format(protocol=protocol, result=result)
    project.write({"near.py": "VERSION = 'frozen'", "train.py": script})


@pytest.mark.parametrize("protocol", ["checkpoint", "__submitit_checkpoint__"])
def test_checkpoint_round_trip(project: Project, protocol: str) -> None:
    """A preempted job is requeued with its state, and runs the same code again."""
    checkpointed(project, protocol, "DelayedSubmission(self, start + 1)")
    submission = project.submit("train.py")
    project.write({"near.py": "VERSION = 'live'"})
    first = submission.run()
    assert (first.state, first.exit_code) == ("none", 144), first.stderr  # asked to be requeued
    folder = submission.frozen.code_folder
    assert submission.run().result() == ("frozen", f"{folder}/near.py", 3, 8, folder)


def test_checkpoint_that_gives_up(project: Project) -> None:
    """None from a checkpoint means: do not requeue."""
    checkpointed(project, "checkpoint", "None")
    outcome = project.submit("train.py").run()
    assert "checkpoint function returned None" in outcome.error()


def test_requeue_without_checkpoint(project: Project) -> None:
    """Slurm's own requeue runs the same pickle again: same folder, after a first run wrote to
    it.
    """
    project.write(
        {
            "near.py": "VERSION = 'frozen'",
            "train.py": """
            import pathlib, submitting, near

            def main():
                pathlib.Path("made_by_job").touch()
                return near.VERSION, near.__file__

            submitting.submit(main)
            """,
        }
    )
    submission = project.submit("train.py")
    project.write({"near.py": "VERSION = 'live'"})
    assert submission.run().result() == submission.run().result()
    assert submission.run().result() == ("frozen", f"{submission.frozen.code_folder}/near.py")


def _plain() -> None: ...


class _Restartable:
    def __call__(self) -> None: ...

    def checkpoint(self) -> None: ...


def test_checkpoint_only_where_the_function_has_one(tmp_path: Path) -> None:
    """submitit tests for the attribute: a call that always has it would be requeued as new."""
    frozen = FrozenCode(str(tmp_path), str(tmp_path / "code"))
    assert not hasattr(FrozenCall.pack(frozen, _plain), "checkpoint")
    call = FrozenCall.pack(frozen, _Restartable())
    assert hasattr(call, "checkpoint")
    assert hasattr(pickle.loads(pickle.dumps(call)), "checkpoint")


def test_signal_before_the_function_is_loaded(tmp_path: Path) -> None:
    """A signal while the job still waits for its folder must requeue the call as it was sent."""
    frozen = FrozenCode(str(tmp_path), str(tmp_path / "code"))
    call = FrozenCall.pack(frozen, _Restartable())
    again = call.checkpoint().function
    assert (again.payload, again.frozen) == (call.payload, frozen)
    assert hasattr(again, "checkpoint")


def test_frozen_code_as_json(tmp_path: Path) -> None:
    """The record must survive JSON, with names that are not UTF-8, and keys of later versions."""
    frozen = FrozenCode(
        str(tmp_path),
        str(tmp_path / "c\udcffode"),
        import_roots=("src", "."),
        late_roots=(".",),
        packages=(("a.b", "lib"),),
        on_live_import="error",
    )
    values = json.loads(json.dumps({**frozen.to_dict(), "later": 1}))
    assert FrozenCode.from_dict(values) == frozen
    assert FrozenCode(f"{tmp_path}/", f"{tmp_path}/./code/").code_root == str(tmp_path)
    assert pickle.loads(pickle.dumps(frozen)) == frozen


@pytest.mark.parametrize("shell", ["", "sbatch"])
def test_folder_that_appears_late(project: Project, shell: str) -> None:
    """facts/users.md, 18: on another node of a network filesystem a new folder appears later."""
    project.write(
        {
            "near.py": "def work(): return 3",
            "train.py": "import submitting, near\nsubmitting.submit(near.work)\n",
        }
    )
    submission = project.submit("train.py", wait_seconds=20)
    folder = Path(submission.frozen.code_folder)
    away = folder.with_name("away")
    folder.rename(away)
    timer = threading.Timer(1.5, lambda: away.rename(folder))
    timer.start()
    # The interpreter has looked into the folder when it was not there, and remembers that.
    assert submission.run(shell, PYTHONPATH=str(folder)).result() == 3
    timer.join()


@pytest.mark.parametrize("shell", ["", "sbatch", "local"])
def test_folder_that_never_appears(project: Project, shell: str) -> None:
    """A deleted code folder must end the job soon, with a message, not run it somewhere else."""
    project.write({"train.py": "import submitting\nsubmitting.submit(len, 'abc')\n"})
    submission = project.submit("train.py", wait_seconds=1)
    Path(submission.frozen.code_folder).rename(project.root / "away")
    outcome = submission.run(shell)
    assert outcome.exit_code == 1
    assert f"code folder '{submission.frozen.code_folder}' cannot be entered" in outcome.stderr
    assert outcome.state == ("error" if shell == "" else "none")


def test_old_internals_of_cloudpickle_missing(project: Project, tmp_path: Path) -> None:
    """Another cloudpickle may build functions otherwise: the function must load as it was sent."""
    from slurmic.job.loading import _making_frozen_functions, _PathMap

    paths = _PathMap(FrozenCode(str(tmp_path), str(tmp_path / "code")))
    make = _making_frozen_functions(lambda *arguments: arguments, paths)
    assert make("other", 1) == ("other", 1)
    assert make() == ()
