"""The filesystem, and doing many things on it.

- **publishing** a file is giving it a name that others look for, when it is complete and durable.
- **pace** is how many calls are under way at a time: one, or as many as there are threads.

Files: ``files`` (primitives: removing, listing, hashing), ``creating`` (new files and their names:
:func:`~slurmic_store.fs.creating.replacing`, :func:`~slurmic_store.fs.creating.publishing`),
``syncing`` (durability), ``pace`` (threads where calls wait), ``progress`` (telling how far a loop
is).

Nothing here knows what a store is.
"""
