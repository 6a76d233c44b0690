"""The engine of slurmic: a content-addressed store of source trees, and code folders built from it.

- A **blob** is the bytes of one file together with its read and execute permission bits.
- A **tree** is the list of all files of one packed source tree, named by the digest of its content;
  its stored form is the **manifest**.
- A **code folder** is a folder built from a tree.
- A **snapshot** is one act of packing: a tree, the code folder built from it, and a **record** of
  it.
- A **store** is the folder that holds blobs, manifests and records of one user on one filesystem.

Its rooms, of which each may import those below it only: ``read`` (content, archives), ``check``
(verify, repair), ``collect`` (gc, usage), ``pack`` (snapshots and folders), ``source`` (source
trees), ``store`` (the folder, records, liveness), ``fs`` (files, threads, progress), ``format``
(what lies in a store). This module is all that the rest of slurmic uses.

The engine knows nothing of Slurm, of selection, of argv or of environment variables, and never
prints. ``FORMAT.md``, in the folder above this package, says what lies in a store, to the byte.
"""

from __future__ import annotations

from .lazy import lazy_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .check.findings import Finding, FindingKind, VerifyReport
    from .check.repairfolder import repair_code_folder
    from .check.repairstore import Repaired, RepairReport, repair_store
    from .check.verifyfolder import verify_code_folder
    from .check.verifystore import verify_store
    from .collect.plan import GRACE, plan_gc
    from .collect.sweep import GcPlan, GcStats
    from .collect.usage import FolderUsage, StoreSharing, StoreUsage, measure_sharing, measure_usage
    from .errors import (
        DamagedError,
        DestinationError,
        LinkModeError,
        SourceChangedError,
        SourceError,
        StoreError,
        StoreFormatError,
        StoreOwnerError,
        UnknownSnapshotError,
        printable,
        quoted,
    )
    from .format.digests import digest_of
    from .format.manifest import decode_tree
    from .format.names import is_bytecode
    from .format.record import SnapshotRecord
    from .format.tree import Tree, TreeEntry
    from .fs.creating import NewFile, replacing
    from .fs.pace import THREADS, Pace, threaded_map
    from .fs.progress import Listener, followed, reporting
    from .pack.from_store import BuiltFolder, FolderOptions, build_folder, write_folder
    from .pack.naming import CodeFolderName
    from .pack.snapshot import (
        REFRESH_AFTER,
        Snapshot,
        SnapshotOptions,
        SnapshotStats,
        take_snapshot,
        withdraw_snapshot,
    )
    from .read.archive import (
        ArchiveLimits,
        Compression,
        import_archive,
        unpack_archive,
        write_archive,
    )
    from .read.content import TreeContent, read_tree
    from .source.selected import read_source_tree
    from .store.liveness import is_superseded
    from .store.method import LinkMode
    from .store.pins import pin, pinned_ids, unpin
    from .store.records import (
        AnchorState,
        anchor_state,
        attach_jobs,
        read_record,
        read_record_beside,
        read_records,
        scan_records,
        snapshot_ids,
    )
    from .store.store import Store
    from .store.trials import Trials, try_folders

__all__ = [
    "GRACE",
    "REFRESH_AFTER",
    "THREADS",
    "AnchorState",
    "ArchiveLimits",
    "BuiltFolder",
    "CodeFolderName",
    "Compression",
    "DamagedError",
    "DestinationError",
    "Finding",
    "FindingKind",
    "FolderOptions",
    "FolderUsage",
    "GcPlan",
    "GcStats",
    "LinkMode",
    "LinkModeError",
    "Listener",
    "NewFile",
    "Pace",
    "RepairReport",
    "Repaired",
    "Snapshot",
    "SnapshotOptions",
    "SnapshotRecord",
    "SnapshotStats",
    "SourceChangedError",
    "SourceError",
    "Store",
    "StoreError",
    "StoreFormatError",
    "StoreOwnerError",
    "StoreSharing",
    "StoreUsage",
    "Tree",
    "TreeContent",
    "TreeEntry",
    "Trials",
    "UnknownSnapshotError",
    "VerifyReport",
    "anchor_state",
    "attach_jobs",
    "build_folder",
    "decode_tree",
    "digest_of",
    "followed",
    "import_archive",
    "is_bytecode",
    "is_superseded",
    "measure_sharing",
    "measure_usage",
    "pin",
    "pinned_ids",
    "plan_gc",
    "printable",
    "quoted",
    "read_record",
    "read_record_beside",
    "read_records",
    "read_source_tree",
    "read_tree",
    "repair_code_folder",
    "repair_store",
    "replacing",
    "reporting",
    "scan_records",
    "snapshot_ids",
    "take_snapshot",
    "threaded_map",
    "try_folders",
    "unpack_archive",
    "unpin",
    "verify_code_folder",
    "verify_store",
    "withdraw_snapshot",
    "write_archive",
    "write_folder",
]

__getattr__ = lazy_names(
    __name__,
    {
        ".check.findings": "Finding FindingKind VerifyReport",
        ".check.repairfolder": "repair_code_folder",
        ".check.repairstore": "RepairReport Repaired repair_store",
        ".check.verifyfolder": "verify_code_folder",
        ".check.verifystore": "verify_store",
        ".collect.plan": "GRACE plan_gc",
        ".collect.sweep": "GcPlan GcStats",
        ".collect.usage": "FolderUsage StoreSharing StoreUsage measure_sharing measure_usage",
        ".errors": (
            "DamagedError DestinationError LinkModeError SourceChangedError SourceError "
            "StoreError StoreFormatError StoreOwnerError UnknownSnapshotError printable quoted"
        ),
        ".format.digests": "digest_of",
        ".format.manifest": "decode_tree",
        ".format.names": "is_bytecode",
        ".format.record": "SnapshotRecord",
        ".format.tree": "Tree TreeEntry",
        ".fs.creating": "NewFile replacing",
        ".fs.pace": "Pace THREADS threaded_map",
        ".fs.progress": "Listener followed reporting",
        ".pack.from_store": "BuiltFolder FolderOptions build_folder write_folder",
        ".pack.naming": "CodeFolderName",
        ".pack.snapshot": (
            "REFRESH_AFTER Snapshot SnapshotOptions SnapshotStats take_snapshot withdraw_snapshot"
        ),
        ".read.archive": "ArchiveLimits Compression import_archive unpack_archive write_archive",
        ".read.content": "TreeContent read_tree",
        ".source.selected": "read_source_tree",
        ".store.liveness": "is_superseded",
        ".store.method": "LinkMode",
        ".store.pins": "pin pinned_ids unpin",
        ".store.records": (
            "AnchorState anchor_state attach_jobs read_record read_record_beside read_records "
            "scan_records snapshot_ids"
        ),
        ".store.store": "Store",
        ".store.trials": "Trials try_folders",
    },
)
