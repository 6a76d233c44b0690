"""What git ignores, told from ignore files alone: by lines, patterns, and the rules of a folder.

Words:
    pattern: a line of an ignore file.
    rules of a folder: all patterns that apply to the names in one folder, and how far each has been
        matched by the path so far (:class:`~slurmic.selection.ignore.folderrules.FolderRules`).
    inherited rules: what a source tree gets from above it: core.excludesFile, info/exclude, and the
        .gitignore files from the top of the repository down.

Files: lines (reading ignore files), patterns (one line), folderrules, inherited.
"""
