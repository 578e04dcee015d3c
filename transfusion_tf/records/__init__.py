"""The run directory: its files, written atomically, on disk or object stores.

Every file that another stage reads is written under another name first and
then renamed, so that a file under its final name is complete.
"""

from transfusion_tf.records.checksums import (
    check_undamaged,
    checksums_path,
    find_damage,
    write_checksums,
)
from transfusion_tf.records.files import (
    in_object_store,
    read_json,
    read_jsonl,
    read_npz,
    replaced_whole,
    write_bytes,
    write_json,
    write_jsonl,
    write_npz,
    write_text,
)
from transfusion_tf.records.run_directory import (
    SCHEMA_VERSION,
    InUseError,
    RunDirectory,
    check_writable,
)

__all__ = [
    "InUseError",
    "SCHEMA_VERSION",
    "RunDirectory",
    "check_undamaged",
    "check_writable",
    "checksums_path",
    "find_damage",
    "in_object_store",
    "read_json",
    "read_jsonl",
    "read_npz",
    "replaced_whole",
    "write_bytes",
    "write_checksums",
    "write_json",
    "write_jsonl",
    "write_npz",
    "write_text",
]
