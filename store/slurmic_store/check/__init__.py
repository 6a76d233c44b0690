"""Verifying what was stored and built, and repairing it.

- A **finding** is one thing that is not as it should be.
- A **substitute** is another place that holds the content of a blob that is missing or damaged.

Files: ``findings`` (findings, and how one file is compared), ``verifystore``, ``verifyfolder``,
``repairstore`` (its head says what makes a repair safe), ``repairfolder``, ``substitutes`` (where
healthy content is looked for, and a manifest from a code folder).
"""
