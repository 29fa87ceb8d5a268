"""Data in and out: sources of rows, how columns are scaled, batches, and results as files."""

from isthmus.data.batches import batches, split
from isthmus.data.builtin import digits, named
from isthmus.data.form import Form
from isthmus.data.images import read_idx
from isthmus.data.readers import open_source
from isthmus.data.scaling import Scaling
from isthmus.data.sources import ArraySource, ParquetSource, Source, SparseSource, digest
from isthmus.data.text import pack_text, unpack_text
from isthmus.data.writers import write_table

__all__ = [
    "ArraySource",
    "Form",
    "ParquetSource",
    "Scaling",
    "Source",
    "SparseSource",
    "batches",
    "digest",
    "digits",
    "named",
    "open_source",
    "pack_text",
    "read_idx",
    "split",
    "unpack_text",
    "write_table",
]
