"""Files: a path <-> an Image, a Segmentation. One format per file.

What a file is, its content says, not its name; a file is written in the format its name asks for.
"""

from delineate.files._cache_folder import cache_folder
from delineate.files._format import UnreadableFile
from delineate.files._formats import by_content, by_ending, image_suffixes, mask_suffix
from delineate.files._parts import is_part, part_folder
from delineate.files._read import data_files, read_geometry, read_image, read_mask
from delineate.files._sha256 import sha256
from delineate.files._whole_file import whole_file
from delineate.files._write import write_image, write_mask

__all__ = [
    "UnreadableFile",
    "by_content",
    "by_ending",
    "cache_folder",
    "data_files",
    "image_suffixes",
    "is_part",
    "mask_suffix",
    "part_folder",
    "read_geometry",
    "read_image",
    "read_mask",
    "sha256",
    "whole_file",
    "write_image",
    "write_mask",
]
