"""Reading what was stored: lists of files, their content, and archives.

- **Content** is only given out after it has been hashed.
- An **archive** is a tree as one file, which ``tar`` unpacks.

Files: ``content`` (a tree's files, from wherever they are healthy), ``archive`` (the one writer and
reader of archives, for ``slurmic export``, ``slurmic import`` and the copies on nodes).
"""
