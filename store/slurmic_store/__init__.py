"""The engine of slurmic: a content-addressed store of source trees, and code folders built from it.

- A **blob** is the bytes of one file together with its read and execute permission bits.
- A **tree** is the list of all files of one packed source tree, named by the digest of its content;
  its stored form is the **manifest**.
- A **code folder** is a directory built from a tree.
- A **snapshot** is one act of packing: a tree, the code folder built from it, and a **record** of
  it.
- A **store** is the folder that holds blobs, manifests and records of one user on one filesystem.

The engine knows nothing of Slurm, of selection, of argv or of environment variables, and never
prints. ``FORMAT.md``, in the folder above this package, says what lies in a store, to the byte.
"""

from __future__ import annotations

from .lazy import lazy_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .archive import ArchiveLimits, import_archive, write_archive
    from .buildfolder import BuiltFolder, build_folder
    from .claim import CodeFolderName
    from .content import TreeContent, read_tree
    from .digests import digest_of
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
    from .findings import Finding, FindingKind, VerifyReport
    from .gc import GRACE, GcPlan, GcStats, plan_gc
    from .liveness import is_superseded
    from .manifest import Tree, TreeEntry, decode_tree
    from .pace import THREADS, Pace, threaded_map
    from .placing import LinkMode
    from .progress import Listener, followed, reporting
    from .records import (
        AnchorState,
        SnapshotRecord,
        anchor_state,
        attach_jobs,
        pin,
        pinned_ids,
        read_record,
        read_records,
        scan_records,
        snapshot_ids,
        unpin,
    )
    from .repair import Repaired, RepairReport, repair_store
    from .repairfolder import repair_code_folder
    from .sharing import FolderUsage, StoreSharing, measure_sharing
    from .snapshot import (
        REFRESH_AFTER,
        Snapshot,
        SnapshotStats,
        take_snapshot,
        withdraw_snapshot,
    )
    from .sourcetree import read_source_tree
    from .store import Store
    from .trials import Trials, try_folders
    from .usage import StoreUsage, measure_usage
    from .verify import verify_store
    from .verifyfolder import verify_code_folder

__all__ = [
    "GRACE",
    "REFRESH_AFTER",
    "THREADS",
    "AnchorState",
    "ArchiveLimits",
    "BuiltFolder",
    "CodeFolderName",
    "DamagedError",
    "DestinationError",
    "Finding",
    "FindingKind",
    "FolderUsage",
    "GcPlan",
    "GcStats",
    "LinkMode",
    "LinkModeError",
    "Listener",
    "Pace",
    "RepairReport",
    "Repaired",
    "Snapshot",
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
    "is_superseded",
    "measure_sharing",
    "measure_usage",
    "pin",
    "pinned_ids",
    "plan_gc",
    "printable",
    "quoted",
    "read_record",
    "read_records",
    "read_source_tree",
    "read_tree",
    "repair_code_folder",
    "repair_store",
    "reporting",
    "scan_records",
    "snapshot_ids",
    "take_snapshot",
    "threaded_map",
    "try_folders",
    "unpin",
    "verify_code_folder",
    "verify_store",
    "withdraw_snapshot",
    "write_archive",
]

__getattr__ = lazy_names(
    __name__,
    {
        ".archive": "ArchiveLimits import_archive write_archive",
        ".buildfolder": "BuiltFolder build_folder",
        ".claim": "CodeFolderName",
        ".content": "TreeContent read_tree",
        ".digests": "digest_of",
        ".errors": (
            "DamagedError DestinationError LinkModeError SourceChangedError SourceError "
            "StoreError StoreFormatError StoreOwnerError UnknownSnapshotError printable quoted"
        ),
        ".findings": "Finding FindingKind VerifyReport",
        ".gc": "GRACE GcPlan GcStats plan_gc",
        ".liveness": "is_superseded",
        ".manifest": "Tree TreeEntry decode_tree",
        ".pace": "THREADS Pace threaded_map",
        ".placing": "LinkMode",
        ".progress": "Listener followed reporting",
        ".records": (
            "AnchorState SnapshotRecord anchor_state attach_jobs pin pinned_ids read_record "
            "read_records scan_records snapshot_ids unpin"
        ),
        ".repair": "Repaired RepairReport repair_store",
        ".repairfolder": "repair_code_folder",
        ".sharing": "StoreSharing FolderUsage measure_sharing",
        ".snapshot": "REFRESH_AFTER Snapshot SnapshotStats take_snapshot withdraw_snapshot",
        ".sourcetree": "read_source_tree",
        ".store": "Store",
        ".trials": "Trials try_folders",
        ".usage": "StoreUsage measure_usage",
        ".verify": "verify_store",
        ".verifyfolder": "verify_code_folder",
    },
)
