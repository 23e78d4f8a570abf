"""The store of stage outputs and records. No other code knows its layout on disk."""

from __future__ import annotations

from derm_bench.store.atomic_files import reason
from derm_bench.store.layout import default_store
from derm_bench.store.stage_files import file_digest
from derm_bench.store.store import CORRUPT, Finished, Store

__all__ = ["CORRUPT", "Finished", "Store", "default_store", "file_digest", "reason"]
