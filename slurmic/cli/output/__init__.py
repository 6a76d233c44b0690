"""How results and messages are written.

- **streams**: standard output and error, such that nothing that happens to them is a traceback.
- **console**: messages, warnings, lists of paths, the terminal for tables.
- **labelled**, **summary**: a snapshot in labelled lines, and as JSON.
- **foldertree**, **diffview**: drawings of folders and of differences.
"""
