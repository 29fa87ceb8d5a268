"""Data in and out: sources of rows, how columns are scaled, batches, and results as files."""

from isthmus.data.archive import ucr
from isthmus.data.batches import batches, split
from isthmus.data.builtin import digits, named
from isthmus.data.clips import video
from isthmus.data.documents import Documents, documents
from isthmus.data.form import Form
from isthmus.data.hailstone import hailstone
from isthmus.data.idx import read_idx
from isthmus.data.images import Images, frames, image_folder, read_images_of_any_size
from isthmus.data.measured import series
from isthmus.data.packing import pack_text, unpack_text
from isthmus.data.pictures import read_image, write_image
from isthmus.data.readers import open_source
from isthmus.data.recordings import Sound, sound
from isthmus.data.scaling import Scaling
from isthmus.data.sequences import SequenceSource, sequences
from isthmus.data.sources import ArraySource, ParquetSource, Source, SparseSource, digest
from isthmus.data.tokens import TextSource, text
from isthmus.data.windows import Windows
from isthmus.data.words import Words
from isthmus.data.writers import write_table

__all__ = [
    "ArraySource",
    "Documents",
    "Form",
    "Images",
    "ParquetSource",
    "Scaling",
    "SequenceSource",
    "Sound",
    "Source",
    "SparseSource",
    "TextSource",
    "Windows",
    "Words",
    "batches",
    "digest",
    "digits",
    "documents",
    "frames",
    "hailstone",
    "image_folder",
    "named",
    "open_source",
    "pack_text",
    "read_idx",
    "read_image",
    "read_images_of_any_size",
    "sequences",
    "series",
    "sound",
    "split",
    "text",
    "ucr",
    "unpack_text",
    "video",
    "write_image",
    "write_table",
]
