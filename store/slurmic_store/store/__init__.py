"""The store itself: its folder, its records and pins, and what may be done in it.

- A **record** keeps what live snapshots need; a **pin** keeps a record; an **anchor** is a folder
  that does.
- A record is **live** if an anchor of it exists, or if it is pinned, or young.
- The **quarantine** is where something is put before a collection decides again.
- A **fill method** is how files get into a folder: hard link, reflink, copy.

Files: ``store`` (the folder: paths, manifests, quarantine), ``opening`` (the FORMAT file),
``records``, ``pins``, ``liveness`` (which records, trees and blobs are live), ``method`` (fill
methods, chosen by trying), ``trials`` (what two filesystems can do, for people).
"""
