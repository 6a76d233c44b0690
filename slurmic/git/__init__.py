"""git, as slurmic asks it: which repository, which files are tracked, what is set.

Words:
    repository: a working tree of git, with its git directory.
    index: the list of the files that git tracks. Each is listed once for a submission.

Files:
    repository: finding the repository that a folder belongs to, as git would.
    asking: one way to run git; the index.
    settings: what its configuration says of ignoring, and ignore files that only its index has.
    beside: keeping a process that works beside this one off its processor.

What follows from git's answers is decided in ``slurmic.selection`` (what is packed) and
``slurmic.provenance`` (from which commit).
"""
