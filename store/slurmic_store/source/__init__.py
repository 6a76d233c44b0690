"""Reading a source tree: what its selected files are, and which of them have to be read.

- A **stamp** is what of a file's stat tells that the file has not changed.
- The **stat cache** knows which digest a file had when its stamp was the same.

Files: ``selected`` (the selected files, looked at and compared with the cache), ``statcache``,
``reading`` (files that may be written to meanwhile: hashed while they are copied).
"""
