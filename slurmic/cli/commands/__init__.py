"""The commands, one a file: each has its declaration and its callback under ``COMMAND``.

None imports another, and none is imported before it is used: the table (:mod:`slurmic.cli.table`)
says which module has which. What takes long to import is imported in the callback, because shells
load a command to complete its options.
"""
