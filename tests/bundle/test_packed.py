"""A bundle in one file: the same bundle when it is opened, and nothing else is opened as one."""

import os
import shutil
import stat
import struct
import subprocess
import sys
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from delineate.bundle import join_bundles, new_bundle, open_bundle, pack_bundle, save_bundle
from delineate.bundle import packed as home
from delineate.cli import main
from delineate.recipe import load_recipe

RECIPE = """\
data: {phantom: {cases: 4}}
labels: {polyp: 1}
model: unet
loss: dice
"""
CARD = {"channels": 3, "ndim": 2}
OPENVINO = {"weights.xml": b"<net/>", "weights.bin": bytes(range(256))}


def made(folder, weights=(b"torch",), notes=""):
    """An ensemble in a folder; the first weights are its own."""
    folder.mkdir(parents=True)
    members = []
    for i, inner in enumerate(weights[1:]):
        (folder / f"{i}.yaml").write_text(RECIPE)
        save_bundle(folder / f"m{i}", load_recipe(folder / f"{i}.yaml"), CARD, inner)
        members.append(f"m{i}")
    (folder / "r.yaml").write_text(
        RECIPE + (f"predict: [{{ensemble: {members}}}]\n" if members else "")
    )
    recipe = load_recipe(folder / "r.yaml")
    save_bundle(folder / "bundle", recipe, {**CARD, "notes": notes}, weights[0])
    return folder / "bundle"


def content(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in Path(folder).rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """The folder of a bundle with two members: a name of a file, another engine, nesting."""
    return made(tmp_path_factory.mktemp("bundles") / "b", (b"own", b"inner", OPENVINO))


@pytest.fixture(scope="module")
def file(bundle, tmp_path_factory):
    return pack_bundle(open_bundle(bundle), tmp_path_factory.mktemp("packed") / "b.delineate")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache."""
    monkeypatch.setenv("DELINEATE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def left_in(cache):
    """What is in the cache, besides locks."""
    return [p for p in cache.rglob("*") if p.is_file() and not p.name.endswith(".lock")]


def refused(path, cache):
    """The message with which a file is refused: one line that names it, and nothing is left."""
    with pytest.raises(ValueError, match="\\S") as error:
        open_bundle(path)
    said = str(error.value)
    assert "\n" not in said
    assert len(said) < 600
    assert str(path) in said
    assert left_in(cache) == []
    return said


@settings(
    max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    weights=st.lists(
        st.binary(min_size=1, max_size=40)
        | st.fixed_dictionaries({name: st.binary(min_size=1, max_size=9) for name in OPENVINO}),
        min_size=1,
        max_size=3,
    ),
    notes=st.text(max_size=20),
)
def test_what_is_packed_is_opened_to_the_byte_and_packed_again_to_the_same_bytes(
    weights, notes, tmp_path_factory
):
    here = tmp_path_factory.mktemp("same")
    bundle = made(here / "b", weights, notes)
    packed = pack_bundle(open_bundle(bundle), here / "one.delineate")
    opened = open_bundle(packed)
    assert content(opened.folder) == content(bundle)
    assert opened.digest == open_bundle(bundle).digest
    assert opened.card == open_bundle(bundle).card
    again = pack_bundle(opened, here / "two.delineate")
    assert again.read_bytes() == packed.read_bytes()


def test_times_rights_and_other_files_change_no_byte(bundle, file, tmp_path):
    copy = shutil.copytree(bundle, tmp_path / "copy")
    for path in copy.rglob("*"):
        os.utime(path, (0, 0))
        path.chmod(0o700)
    (copy / "README.md").write_text("notes")
    (copy / "parts" / "notes").mkdir()
    packed = pack_bundle(open_bundle(copy), tmp_path / "c.delineate")
    assert packed.read_bytes() == file.read_bytes()


def test_other_tools_read_it(bundle, file, tmp_path):
    with zipfile.ZipFile(file) as known:
        assert known.testzip() is None
        assert all(stat.S_IMODE(entry.external_attr >> 16) == 0o644 for entry in known.infolist())
        known.extractall(tmp_path / "out")
    assert content(tmp_path / "out") == content(bundle)
    assert open_bundle(tmp_path / "out").card == open_bundle(bundle).card


def test_it_is_opened_wherever_a_bundle_is_named(file, bundle, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(file, tmp_path / "b.delineate")
    (tmp_path / "r.yaml").write_text(RECIPE + "predict: [{ensemble: [b.delineate]}]\n")
    saved = save_bundle(tmp_path / "holder", load_recipe(tmp_path / "r.yaml"), CARD, b"own")
    (member,) = open_bundle(tmp_path / "holder").members.values()
    assert content(member.folder) == content(bundle)
    assert saved.files == open_bundle(tmp_path / "holder").files


# ---- damaged and hostile files


def test_every_changed_byte_of_a_header_is_refused(file, cache, tmp_path):
    whole, path = file.read_bytes(), tmp_path / "b.delineate"
    inside: set[int] = set()
    with zipfile.ZipFile(file) as known:
        for entry in known.infolist():
            start = entry.header_offset + 30 + len(entry.filename)
            inside |= {*range(start, start + entry.file_size)}
    headers = sorted({*range(len(whole))} - inside)
    assert len(headers) > 1000
    for at in headers:
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        with pytest.raises(ValueError, match="b.delineate: "):
            open_bundle(path)
    assert left_in(cache) == []


@pytest.mark.parametrize("known", [False, True])
@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(data=st.data())
def test_any_changed_byte_is_refused_also_where_the_whole_bundle_is_in_the_cache(
    known, data, file, bundle, tmp_path
):
    whole, path = file.read_bytes(), tmp_path / "b.delineate"
    if known:
        path.write_bytes(whole)
        open_bundle(path)
    at = data.draw(st.integers(0, len(whole) - 1))
    by = data.draw(st.integers(1, 255))
    path.write_bytes(whole[:at] + bytes([whole[at] ^ by]) + whole[at + 1 :])
    with pytest.raises(ValueError, match="b.delineate: "):
        open_bundle(path)
    path.write_bytes(whole)
    assert content(open_bundle(path).folder) == content(bundle)


@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(data=st.data())
def test_a_file_that_is_cut_or_has_more_is_refused(data, file, cache, tmp_path):
    whole, path = file.read_bytes(), tmp_path / "b.delineate"
    end = data.draw(st.integers(0, len(whole) - 1))
    more = data.draw(st.binary(min_size=1, max_size=30))
    for damaged in (whole[:end], whole[end + 1 :], whole + more, more + whole):
        path.write_bytes(damaged)
        refused(path, cache)


@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(noise=st.binary(max_size=200), tail=st.booleans())
def test_noise_is_refused(noise, tail, cache, tmp_path):
    path = tmp_path / "noise.delineate"
    path.write_bytes(noise + (b"PK\5\6" + noise[:18].ljust(18, b"\0") if tail else b""))
    refused(path, cache)


def zipped(bundle, path, *, compression=zipfile.ZIP_STORED, change=lambda entry: None, more=()):
    """A bundle zipped by another tool, with further files."""
    with zipfile.ZipFile(path, "w") as out:
        for name, told in [*sorted(content(bundle).items()), *more]:
            entry = name if isinstance(name, zipfile.ZipInfo) else zipfile.ZipInfo(name)
            entry.compress_type = compression
            change(entry)
            out.writestr(entry, told)
    return path


def info(name, mode=0o100644):
    entry = zipfile.ZipInfo(name)
    entry.external_attr = mode << 16
    return entry


def nested(bundle):
    buffer = BytesIO()
    zipped(bundle, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../up.json", "../up.json lies outside the bundle"),
        ("parts/../../card.json", "lies outside the bundle"),
        ("/etc/cron.d/x", "/etc/cron.d/x lies outside the bundle"),
        ("C:/x", "C:/x lies outside the bundle"),
        ("c:card.json", "lies outside the bundle"),
        ("..\\x", "lies outside the bundle"),
        ("parts\\a\\card.json", "is no file of a bundle"),
        ("./card.json", "is no file of a bundle"),
        ("parts//a/card.json", "is no file of a bundle"),
        ("parts/./card.json", "is no file of a bundle"),
        ("parts/a./card.json", "is no file of a bundle"),
        ("parts/.a/card.json", "is no file of a bundle"),
        ("parts/a/parts/b/parts/c/card.json", "is no file of a bundle"),
        ("RECIPE.yaml", "is no file of a bundle"),
        ("README.md", "README.md is no file of a bundle"),
        ("run.py", "is no file of a bundle"),
        ("weights.pth", "is no file of a bundle"),
        ("parts/", "is no file of a bundle"),
        ("parts/a\nb/card.json", "is no file of a bundle"),
        ("x" * 5000, "x is no file of a bundle"),
        ("parts/é/card.json", "is no file of a bundle"),
    ],
)
def test_names_that_no_bundle_has_are_refused(name, said, bundle, cache, tmp_path):
    path = zipped(bundle, tmp_path / "x.delineate", more=[(info(name), b"evil")])
    assert said in refused(path, cache)
    files = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert files <= {"x.delineate", *(f for f in files if f.endswith(".lock"))}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["recipe.yaml", "parts/A/card.json"])
def test_a_name_that_is_there_twice_is_refused(name, bundle, cache, tmp_path):
    more = [(info(name), b"evil"), (info("parts/a/card.json"), b"evil")]
    path = zipped(bundle, tmp_path / "x.delineate", more=more)
    assert "is there twice" in refused(path, cache)


@pytest.mark.parametrize(
    "mode", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFDIR]
)
def test_links_and_devices_are_refused(mode, bundle, cache, tmp_path):
    more = [(info("weights.onnx", mode | 0o777), b"/etc/passwd")]
    path = zipped(bundle, tmp_path / "x.delineate", more=more)
    assert "weights.onnx is a link or a device" in refused(path, cache)


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compressed_zip_is_refused_before_anything_is_unpacked(
    compression, bundle, cache, tmp_path
):
    more = [(info("weights.onnx"), bytes(50_000_000))]
    path = zipped(bundle, tmp_path / "x.delineate", compression=compression, more=more)
    assert path.stat().st_size < 1_000_000
    assert "card.json is compressed" in refused(path, cache)


def test_an_encrypted_zip_is_refused(bundle, cache, tmp_path):
    path = zipped(bundle, tmp_path / "x.delineate")
    whole = bytearray(path.read_bytes())
    whole[6] |= 1
    whole[whole.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(whole)
    assert "card.json is encrypted" in refused(path, cache)


def test_too_many_files_are_refused_before_their_list_is_read(bundle, cache, tmp_path):
    more = [(info(f"parts/a{i}/card.json"), b"") for i in range(home.MOST_FILES)]
    path = zipped(bundle, tmp_path / "x.delineate", more=more)
    assert "the zip lists 10" in refused(path, cache)
    whole = bytearray(path.read_bytes())
    whole[-14:-10] = struct.pack("<2H", 9, 9)  # the directory is as long as before
    path.write_bytes(whole)
    refused(path, cache)


@pytest.mark.parametrize(
    "change",
    [
        lambda entry: setattr(entry, "comment", b"evil"),
        lambda entry: setattr(entry, "extra", struct.pack("<HHQ", 1, 8, 1 << 40)),
        lambda entry: setattr(entry, "date_time", (2026, 1, 1, 0, 0, 0)),
        lambda entry: setattr(entry, "create_version", 45),
        lambda entry: setattr(entry, "external_attr", 0o100777 << 16),
    ],
    ids=["comment", "extra", "time", "version", "rights"],
)
def test_a_zip_with_anything_else_in_it_is_refused(change, bundle, file, cache, tmp_path):
    def plainly(entry):
        entry.external_attr = 0o100644 << 16

    def changed(entry):
        plainly(entry)
        change(entry)

    path = zipped(bundle, tmp_path / "x.delineate", change=changed)
    assert "no zip that Delineate wrote" in refused(path, cache)
    path = zipped(bundle, tmp_path / "y.delineate", change=plainly)
    assert path.read_bytes() == file.read_bytes()  # what zipfile makes of the same files


def test_a_size_that_is_not_true_is_refused(file, cache, tmp_path):
    """Headers and directory agree, so that only the bytes themselves tell."""
    whole, path = file.read_bytes(), tmp_path / "x.delineate"
    with zipfile.ZipFile(file) as known:
        entries = known.infolist()
    for which, by in ((0, 1), (0, -1), (-1, 5), (-1, 1 << 31), (2, 40)):
        entry = entries[which]
        size = struct.pack("<2I", *[(entry.file_size + by) % (1 << 32)] * 2)
        changed = bytearray(whole)
        changed[entry.header_offset + 18 : entry.header_offset + 26] = size
        at = whole.rindex(b"PK\1\2", 0, whole.rindex(entry.filename.encode()))
        changed[at + 20 : at + 28] = size
        path.write_bytes(changed)
        refused(path, cache)


def test_a_bundle_in_a_bundle_s_place_is_refused(bundle, cache, tmp_path):
    """An archive is never opened within another one."""
    told = content(bundle) | {"weights.safetensors": nested(bundle)}
    home.pack(told, tmp_path / "x.delineate")
    assert "weights.safetensors: the SHA-256" in refused(tmp_path / "x.delineate", cache)
    path = zipped(bundle, tmp_path / "y.delineate", more=[("b.zip", nested(bundle))])
    assert "b.zip is no file of a bundle" in refused(path, cache)
    with zipfile.ZipFile(tmp_path / "z.delineate", "w") as out:
        out.writestr("b.delineate", nested(bundle))
    assert "b.delineate is no file of a bundle" in refused(tmp_path / "z.delineate", cache)


@pytest.mark.parametrize(
    ("name", "told", "said"),
    [
        ("recipe.yaml", RECIPE.encode() + b"refine: ['os:system']\n", "recipe.yaml: the SHA-256"),
        ("labels.json", b"[]", "labels.json: the SHA-256"),
        ("weights.safetensors", b"other", "weights.safetensors: the SHA-256"),
        ("weights.onnx", b"second", "weights.onnx: the SHA-256"),
        ("weights.safetensors", None, "weights.safetensors: the file is missing"),
        ("parts/stranger/recipe.yaml", b"x", "parts/stranger/recipe.yaml is no part of the bundle"),
        ("parts/stranger/card.json", b"{}", "parts/stranger/card.json is no part of the bundle"),
        ("card.json", b"{", "card.json: not valid JSON"),
        ("card.json", b"[" * 10_000, "card.json: not valid JSON"),
        ("card.json", b'{"format": 1, "channels": 3, "ndim": 2}', "has no hashes"),
        ("card.json", b'{"format": 9, "channels": 3, "ndim": 2}', "A newer Delineate wrote it"),
        ("card.json", None, "card.json is missing"),
        ("recipe.yaml", None, "recipe.yaml is missing"),
    ],
)
@pytest.mark.parametrize("trust", [(), ("os",)])
def test_a_zip_as_delineate_writes_it_of_what_is_no_bundle_is_refused(
    name, told, said, trust, bundle, cache, tmp_path
):
    files = content(bundle) | {name: told}
    path = tmp_path / "x.delineate"
    home.pack({k: v for k, v in files.items() if v is not None}, path)
    with pytest.raises(ValueError, match="x.delineate"):
        open_bundle(path, trust)
    assert said in refused(path, cache)


def test_a_part_of_a_member_that_was_changed_is_refused(bundle, cache, tmp_path):
    files = content(bundle)
    for name in [name for name in files if name.startswith("parts/")]:
        path = tmp_path / f"{zlib.crc32(name.encode())}.delineate"
        home.pack(files | {name: files[name] + b" "}, path)
        assert f"{path}/{name}: the SHA-256" in refused(path, cache)


@pytest.mark.parametrize("told", [b"", b"PK\5\6", b"\xff\xd8\xff\xe0 a photograph" * 9])
def test_what_is_no_zip_is_refused(told, cache, tmp_path, capsys):
    path = tmp_path / "photo.jpg"
    path.write_bytes(told)
    assert "no bundle there" in refused(path, cache)
    assert main(["predict", str(path), str(path), "-o", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()


# ---- the cache


def test_a_file_is_unpacked_once(file, cache, monkeypatch):
    first = open_bundle(file).folder
    assert first.is_relative_to(cache / "bundles")
    monkeypatch.setattr(home, "_unpack", None)
    assert open_bundle(file).folder == first
    assert open_bundle(file).packed == file


def damaged(folder, how):
    weights = folder / "weights.safetensors"
    if how == "changed":
        weights.write_bytes(b"oWn")
    elif how == "longer":
        weights.write_bytes(b"own!")
    elif how == "empty":
        weights.write_bytes(b"")
    elif how == "missing":
        weights.unlink()
    elif how == "more":
        (folder / "weights.onnx").write_bytes(b"planted")
    elif how == "another card":
        (folder / "card.json").write_bytes((folder / "card.json").read_bytes() + b" ")
    elif how == "a folder":
        weights.unlink()
        weights.mkdir()
    else:
        shutil.rmtree(folder)
        folder.write_text("a file") if how == "a file" else folder.mkdir()


@pytest.mark.parametrize(
    "how",
    ["changed", "longer", "empty", "missing", "more", "another card", "a folder", "a file", "gone"],
)
def test_a_damaged_entry_of_the_cache_is_made_anew(how, file, bundle, cache):
    folder = open_bundle(file).folder
    damaged(folder, how)
    assert content(open_bundle(file).folder) == content(bundle)
    assert [p.name for p in (cache / "bundles").iterdir() if not p.name.startswith(".")] == [
        folder.name
    ]


def test_a_process_that_is_killed_while_it_unpacks_leaves_nothing_that_is_opened(
    file, bundle, cache, monkeypatch
):
    class KilledError(BaseException):
        pass

    real = home._pieces

    def killed(*words):
        if left.pop():
            raise KilledError
        return real(*words)

    for times in range(len(content(bundle))):
        left = [True] + [False] * times
        with monkeypatch.context() as patch:
            patch.setattr(home, "_pieces", killed)
            with pytest.raises(KilledError):
                open_bundle(file)
        assert left_in(cache) == []
    part = cache / "bundles" / ".delineate-0123456789abcdef"  # as a kill -9 leaves it
    part.mkdir()
    (part / "recipe.yaml").write_text("half")
    assert content(open_bundle(file).folder) == content(bundle)
    assert not part.exists()


def test_threads_that_open_a_file_at_once_get_the_same_bundle(file, bundle, cache):
    with ThreadPoolExecutor(8) as pool:
        folders = {opened.folder for opened in pool.map(lambda _: open_bundle(file), range(16))}
    assert [content(folder) for folder in folders] == [content(bundle)]


@pytest.mark.slow
def test_processes_that_open_a_file_at_once_get_the_same_bundle(tmp_path, cache):
    bundle = made(tmp_path / "b", (os.urandom(30_000_000),))
    file = pack_bundle(open_bundle(bundle), tmp_path / "b.delineate")
    code = "import sys; from delineate.bundle import open_bundle; print(open_bundle(sys.argv[1]).folder)"
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(file)], stdout=subprocess.PIPE, text=True)
        for _ in range(5)
    ]
    folders = {one.communicate()[0].strip() for one in running}
    assert [one.returncode for one in running] == [0] * 5
    assert [content(folder) for folder in folders] == [content(bundle)]
    assert len(left_in(cache)) == 4


def test_a_cache_that_cannot_be_written_is_named_with_what_to_do(file, tmp_path, monkeypatch):
    (tmp_path / "taken").write_text("a file")
    monkeypatch.setenv("DELINEATE_CACHE", str(tmp_path / "taken"))
    with pytest.raises(OSError, match="cannot be unpacked into the cache .*Set DELINEATE_CACHE"):
        open_bundle(file)


# ---- writing


def test_a_bundle_in_one_file_is_never_changed(file):
    before = file.read_bytes()
    with pytest.raises(ValueError, match="cannot be changed. Unzip it"):
        open_bundle(file).update_card(scores={})
    assert main(["rehash", str(file)]) == 2
    assert file.read_bytes() == before


def test_what_cannot_be_one_file_is_refused(bundle, file, tmp_path):
    with pytest.raises(ValueError, match="exists already"):
        pack_bundle(open_bundle(bundle), file)
    other = made(tmp_path / "other")
    joined = join_bundles([open_bundle(other), open_bundle(bundle)])
    with pytest.raises(ValueError, match="joined with other bundles in memory"):
        pack_bundle(joined, tmp_path / "j.delineate")
    (other / "card.json").write_text('{"format": 1, "channels": 3, "ndim": 2}')
    with pytest.raises(ValueError, match="run: delineate rehash .*bundle"):
        pack_bundle(open_bundle(other), tmp_path / "j.delineate")
    copy = shutil.copytree(bundle, tmp_path / "copy")
    opened = open_bundle(copy)
    (member, *_) = opened.members.values()
    (member.folder / "recipe.yaml").write_text("changed")
    with pytest.raises(ValueError, match=f"{member.folder}/recipe.yaml: was changed since"):
        pack_bundle(opened, tmp_path / "j.delineate")
    assert not list(tmp_path.glob("*.delineate"))


def test_a_new_bundle_is_put_in_place_whole_or_not_at_all(tmp_path, bundle):
    recipe = load_recipe(bundle.parent / "r.yaml")
    for name in ("folder", "one.delineate", "deep/er/one.delineate"):
        out = tmp_path / name
        with suppress(KeyboardInterrupt), new_bundle(out) as folder:
            save_bundle(folder, recipe, CARD, b"own")
            raise KeyboardInterrupt
        assert not out.exists()
        with new_bundle(out) as folder:
            save_bundle(folder, recipe, CARD, b"own")
        assert len(open_bundle(out).members) == 2
        assert out.is_file() == name.endswith(".delineate")
        with pytest.raises(ValueError, match="exists already|is not empty"), new_bundle(out):
            pass
    assert not [p for p in tmp_path.rglob(".delineate-*")]
