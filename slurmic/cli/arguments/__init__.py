"""What commands are declared with.

- **group**: all commands as one, loaded when used; ``command``, ``argument``, ``option``; the help.
- **options**: options and arguments that several commands have.
- **values**: what a value can be, and what completes it.
- **configuration**: the fields of SlurmConfig as options.
- **shells**, **names**: completion, and the names of snapshots for it.
"""
