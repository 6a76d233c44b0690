"""What may be deleted from a store, deleting it, and what that would bring back.

- A **plan** says what nothing uses; carrying it out is a **sweep**.
- The **grace period** is how young something is left alone.
- What is **aside** lies in quarantine until a collection has decided.

Files: ``plan`` (what may be deleted; its head says why no lock is needed), ``sweep`` (move aside,
look again, put back or delete), ``usage`` (what each output folder takes, and would free).
"""
