"""Read one file in a process of its own, of little memory: `bomb.py FILE`.

The line printed is JSON: why the file was refused, "" if it was not; how much memory reading it took; and how much
its reader said it would take.
"""

import json
import math
import resource
import sys
import warnings
from importlib import import_module
from pathlib import Path

MEMORY = 3 << 30
READERS = ["PIL.Image", "PIL.PngImagePlugin", "cv2", "nibabel", "simplejpeg", "tifffile"]


def main(path):
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    from delineate.files import UnreadableFile, by_content, read_mask

    for name in READERS:  # what they take is not the file's
        import_module(name)
    by_content(path)
    stated = [0]
    for module in [m for n, m in sys.modules.items() if n.startswith("delineate.files")]:
        if hasattr(module, "check_size"):
            module.check_size = listening(module.check_size, stated)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    why = ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read_mask(path)
    except UnreadableFile as error:
        why = str(error)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"why": why, "MB": (after - before) / 1024, "stated": max(stated) / 2**20}))


def listening(check_size, stated):
    def check(shape, bytes_per_sample):
        stated.append(math.prod(shape) * bytes_per_sample)
        check_size(shape, bytes_per_sample)

    return check


if __name__ == "__main__":
    main(Path(sys.argv[1]))
