"""Delineate delineates organs, lesions and polyps in medical images."""

__version__ = "0.1.0"
