"""Read and write images and masks. One format per file.

The format is detected from the content when a file is read, and taken from the ending when it is written.
"""

from delineate.files._dicom_folder import (
    FolderImage,
    dicom_texts,
    folder_files,
    folder_images,
    is_dicom_file,
    patient_id,
    slices_of_one_series,
)
from delineate.files._format import (
    Format,
    Series,
    UnreadableFile,
    by_content,
    by_ending,
    image_suffixes,
    is_image_folder,
    mask_suffix,
)
from delineate.files._read_write import (
    data_files,
    in_order_of,
    read_geometry,
    read_image,
    read_mask,
    series_in,
    write_image,
    write_mask,
)
from delineate.files._run_lengths import (
    RUN_LENGTH_TABLES,
    RunLengthCode,
    RunLengthTable,
    run_length_table,
)
from delineate.files._whole_file import (
    cache_folder,
    clear_parts_once,
    is_part,
    part_folder,
    sha256,
    whole_file,
)

__all__ = [
    "RUN_LENGTH_TABLES",
    "FolderImage",
    "Format",
    "RunLengthCode",
    "RunLengthTable",
    "Series",
    "UnreadableFile",
    "by_content",
    "by_ending",
    "cache_folder",
    "clear_parts_once",
    "data_files",
    "dicom_texts",
    "folder_files",
    "folder_images",
    "image_suffixes",
    "in_order_of",
    "is_dicom_file",
    "is_image_folder",
    "is_part",
    "mask_suffix",
    "part_folder",
    "patient_id",
    "read_geometry",
    "read_image",
    "read_mask",
    "run_length_table",
    "series_in",
    "sha256",
    "slices_of_one_series",
    "whole_file",
    "write_image",
    "write_mask",
]
