"""Packing a source tree, and building folders from what was packed.

- A **snapshot** is one act of packing.
- A **staging folder** is what a code folder is until it has its name; it is **announced** by a note
  in the store.
- A **code folder name** is claimed by the record beside the folder.

Files: ``snapshot`` (the transaction: the order of the steps), ``from_source`` (what it does with
files), ``from_store`` (a folder from manifest and blobs), ``filler`` (links and copies of blobs),
``publisher`` (blobs get their names), ``staging`` (staging folders and their notes), ``naming``
(code folder names).
"""
