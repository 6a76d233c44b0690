"""Run by each Python process that a frozen job starts, before the program: see slurmic.job.child.

Its folder stands first on the job's PYTHONPATH, and Python imports a module of this name after it
has read the installed packages' .pth files. It must do no harm in any interpreter: in one of
another environment or version (Python 2 included, so nothing here is new syntax) it freezes
nothing. The sitecustomize that it stands before runs after it.

Most children can't reach the live tree at all. They pay for a look at their search path, and not
for the imports that freezing takes.
"""

import os
import sys

_HARMLESS = ("_frozen_importlib", "_frozen_importlib_external", "_distutils_hack", "six")
"""Modules whose import hooks find nothing of the user's: Python's own, setuptools' and six's."""


def _start():  # type: () -> None
    head, _, frozen = os.environ.get("SLURMIC_CHILD", "").partition("\n")
    interpreter, _, policy = head.rpartition(" ")
    # Another environment has packages of its own; and may have no slurmic, or another one.
    if interpreter != " ".join([sys.prefix, str(sys.version_info[0]), str(sys.version_info[1])]):
        return
    root = os.environ.get("SLURMIC_CODE_ROOT", "")
    code = os.environ.get("SLURMIC_CODE", "")
    try:
        if (
            policy == "error"
            or _has_hooks()
            or any(_is_live(path, root, code) for path in sys.path)
        ):
            from slurmic.job.child import freeze_child

            freeze_child(frozen)
        elif policy == "warn":
            import atexit

            atexit.register(_look_at_modules, frozen, root, code)
    except ImportError:
        return  # started with -S or the like: nothing of the environment can be imported


def _has_hooks():  # type: () -> bool
    """Whether there are import hooks of others: of editable installs, perhaps."""
    return any(getattr(hook, "__module__", "") not in _HARMLESS for hook in sys.meta_path)


def _is_live(path, root, code):  # type: (str, str, str) -> bool
    """Whether a path is in the live tree, and not in the code folder (which may be inside it)."""
    for name, folder, frozen in (
        (os.path.abspath(path), root, code),
        (os.path.realpath(path), os.path.realpath(root), os.path.realpath(code)),
    ):
        if (name + os.sep).startswith(folder + os.sep):
            return not (name + os.sep).startswith(frozen + os.sep)
    return False


def _look_at_modules(frozen, root, code):  # type: (str, str, str) -> None
    """At the end: a program may have put the live tree on its path by itself."""
    files = [str(getattr(module, "__file__", "")) for module in list(sys.modules.values())]
    live = [name for name in files if name.startswith(root + os.sep)]
    if any(not name.startswith(code + os.sep) for name in live):
        from slurmic.job.child import report_live_modules

        report_live_modules(frozen)


def _run_the_next():  # type: () -> None
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != here]
    if sys.version_info[0] == 2:  # noqa: UP036
        return  # importlib has no such functions there
    import importlib.util
    from importlib.machinery import PathFinder

    spec = PathFinder.find_spec("sitecustomize", sys.path)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)
    else:
        # Python looks for what it has imported; and nobody needs what is in here any more.
        sys.modules["sitecustomize"] = type(sys)("sitecustomize")


try:
    _start()
finally:
    _run_the_next()
