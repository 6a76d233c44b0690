"""What slurmic raises for a user's mistake or an impossible request.

    SlurmicError
    ├── ConfigError                a setting that means nothing, or that contradicts another
    │   └── UsageError             a command line that means nothing (slurmic.cli)
    ├── SelectionError             the source tree cannot be packed as it is
    ├── SubmissionError            Slurm, or the local runner, refused the job
    ├── NotSubmittedError          a job of a batch was asked before the batch's end
    ├── UnmetConditionError        what a job waited for became impossible
    ├── JobFailedError             the job's function raised
    ├── JobDiedError               the job left no result: Slurm or the system ended it
    ├── ResultUnreadableError      the job's result cannot be loaded in this process
    ├── LiveImportError            the job imported code from the live source tree
    ├── CodeFolderMissingError     the code folder does not exist on the job's node
    ├── NodeFolderError            the code cannot be unpacked on the job's node
    ├── CallsFileError             the file with an array's calls cannot be read
    └── OutputError                the command line's own output cannot be written
        └── ReaderGoneError        its reader has gone

ConfigError, SelectionError, SubmissionError and LiveImportError are defined here, the others where
they are raised. The engine has a tree of its own, under :class:`slurmic_store.errors.StoreError`.
"""

from __future__ import annotations


class SlurmicError(Exception):
    """Base class of slurmic's errors.

    Args:
        message: what failed, on what; one line, lower case, the subject quoted.
        hint: what the reader can do about it, or "" where there is nothing to say.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class ConfigError(SlurmicError, ValueError):
    """A setting that means nothing, or that contradicts another.

    Also a ValueError, as 0.2.1 raised for a bad configuration.
    """


class SelectionError(SlurmicError):
    """The source tree cannot be packed as it is."""


class SubmissionError(SlurmicError):
    """Slurm, or the local runner, refused the job."""


class LiveImportError(SlurmicError, ImportError):
    """The job imported code from the live source tree, and on_live_import is "error"."""


class SlurmicWarning(UserWarning):
    """Something at submission that the user should know, and that a setting changes."""
