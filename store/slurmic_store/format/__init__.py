"""What lies in a store, to the byte; ``store/FORMAT.md`` says the same in prose.

- A **digest** is the XXH3-128 of some bytes; a **key** is a blob's digest and permission bits.
- The **seal** is the nanoseconds of a blob's modification time, derived from its digest.
- A **tree** is the list of all files of one packed source tree; a **manifest** is its stored form.
- A **record** is what the store keeps of a snapshot.

Files: ``digests`` (digests, keys, and columns of keys), ``seals`` (seals and ages), ``names``
(every name, prefix and suffix in a store and beside a code folder), ``tree`` (trees as values),
``manifest`` (their encoding), ``record`` (records, pins and their JSON).

Nothing here touches a filesystem.
"""
