import contextlib
import gzip
import io
import os
import random
import re
import shutil
import stat
import struct
import tarfile
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.core.errors import InputError
from pipeline.datasets.download import archives
from pipeline.datasets.download.archive_members import ALWAYS_ALLOWED
from pipeline.datasets.download.archives import unpack

FILES = {"set/a.jpg": b"first", "set/below/b.jpg": b"second" * 1000, "set/names.txt": b""}


def a_file(name: str, content: bytes = b"x", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def special(name: str, kind: bytes, linkname: str = "") -> tuple[tarfile.TarInfo, bytes]:
    return a_file(name, b"", type=kind, linkname=linkname)


def as_tar(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=form, encoding="utf-8", errors="surrogateescape") as tar:
        for info, body in members:
            tar.addfile(info, io.BytesIO(body))
    return content.getvalue()


def as_zip(*members: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # duplicate names
        for name, body in members:
            archive.writestr(name, body)
    return content.getvalue()


def of_mode(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def packed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


MAKERS: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    "zip": lambda files: as_zip(*files.items()),
    "stored zip": lambda files: as_zip(*files.items(), method=zipfile.ZIP_STORED),
    "pax tar": lambda files: as_tar(*(a_file(*file) for file in files.items())),
    "gnu tar": lambda files: as_tar(*(a_file(*file) for file in files.items()), form=tarfile.GNU_FORMAT),
    "old tar": lambda files: as_tar(*(a_file(*file) for file in files.items()), form=tarfile.USTAR_FORMAT),
    "tgz": lambda files: packed(as_tar(*(a_file(*file) for file in files.items()))),
}
any_kind = pytest.mark.parametrize("kind", MAKERS)


@pytest.fixture
def put(tmp_path):
    """Write an archive whose name has no suffix."""

    def write(content: bytes) -> Path:
        (tmp_path / "archive").write_bytes(content)
        return tmp_path / "archive"

    return write


def read_back(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(archive: Path, message: str, **options: Any) -> None:
    """Check that the refusal is one line and leaves nothing on the disk."""
    before = sorted(archive.parent.rglob("*"))
    with pytest.raises(InputError, match=rf"^{re.escape(str(archive))}: {message}$") as caught:
        unpack(archive, archive.parent / "out/target", **options)
    assert "\n" not in str(caught.value)
    assert sorted(archive.parent.rglob("*")) == sorted([*before, archive.parent / "out"])
    assert list((archive.parent / "out").iterdir()) == []


def refused_member(member: str, fault: str) -> str:
    return (
        rf"'{member}' {fault}; nothing was kept; download it again from where it is published, or unpack it by hand .*"
    )


@any_kind
def test_every_file_is_unpacked_whatever_the_archive_is_called(put, tmp_path, kind):
    assert unpack(put(MAKERS[kind](FILES)), tmp_path / "target") == sorted(FILES)
    assert read_back(tmp_path / "target") == FILES


@any_kind
def test_only_what_is_wanted_is_unpacked(put, tmp_path, kind):
    names = unpack(put(MAKERS[kind](FILES)), tmp_path / "target", wanted=lambda path: path.endswith(".jpg"))
    assert names == ["set/a.jpg", "set/below/b.jpg"]
    assert set(read_back(tmp_path / "target")) == set(names)


@any_kind
def test_long_names_and_other_alphabets_are_kept(put, tmp_path, kind):
    files = {"Araña/" + "ü" * 60 + "/" + "n" * 90: b"1"} if kind != "old tar" else {"Araña/ü": b"1"}
    unpack(put(MAKERS[kind](files)), tmp_path / "target")
    assert read_back(tmp_path / "target") == files


def test_a_name_that_is_not_utf_8_is_read_as_latin_1(put, tmp_path):
    name = b"se\xf1or.jpg".decode("utf-8", "surrogateescape")
    assert unpack(put(as_tar(a_file(name), form=tarfile.GNU_FORMAT)), tmp_path / "target") == ["señor.jpg"]


def test_dots_and_doubled_slashes_mean_nothing_in_a_name(put, tmp_path):
    assert unpack(put(as_tar(a_file("./set//./a.jpg"))), tmp_path / "target") == ["set/a.jpg"]


def test_folders_come_with_the_files_in_them(put, tmp_path):
    archive = put(as_tar(special("set", tarfile.DIRTYPE), special("empty", tarfile.DIRTYPE), a_file("set/a.jpg")))
    assert unpack(archive, tmp_path / "target") == ["set/a.jpg"]
    assert [path.name for path in (tmp_path / "target").iterdir()] == ["set"]


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_permissions_are_plain(put, tmp_path, kind):
    mode = stat.S_IFREG | 0o6777
    content = as_tar(a_file("run", mode=0o6777, uid=4321)) if kind == "tar" else as_zip((of_mode("run", mode), b"x"))
    mask = os.umask(0)
    try:
        unpack(put(content), tmp_path / "target")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "target/run").stat().st_mode) == 0o644
    assert (tmp_path / "target/run").stat().st_uid == os.getuid()


def test_a_folder_that_was_there_is_replaced(put, tmp_path):
    (tmp_path / "target").mkdir()
    (tmp_path / "target/old").touch()
    unpack(put(as_zip(("new", b""))), tmp_path / "target")
    assert [path.name for path in (tmp_path / "target").iterdir()] == ["new"]


def test_a_folder_that_was_there_stays_where_the_archive_is_refused(put, tmp_path):
    (tmp_path / "target").mkdir()
    (tmp_path / "target/old").touch()
    with pytest.raises(InputError):
        unpack(put(as_tar(a_file("new"), a_file("../x"))), tmp_path / "target")
    assert [path.name for path in (tmp_path / "target").iterdir()] == ["old"]


EVIL_NAMES = {
    "absolute": ("/etc/passwd", "is an absolute path"),
    "upwards": ("../evil", "leads out of the archive"),
    "upwards inside": ("set/../../evil", "leads out of the archive"),
    "upwards at the end": ("set/..", "leads out of the archive"),
    "drive": ("C:/evil", "is an absolute path"),
    "drive's own folder": ("C:evil", "is an absolute path"),
    "backslash": ("..\\evil", "has a backslash in its name"),
    "share": ("\\\\host\\share\\evil", "has a backslash in its name"),
    "control": ("a\x1b[2Jb", "has control characters in its name"),
    "newline": ("a\nb", "has control characters in its name"),
    "long": ("a/" * 1000 + "b", "begins a name of 2,001 characters"),
}


@pytest.mark.parametrize(("name", "fault"), EVIL_NAMES.values(), ids=EVIL_NAMES)
@pytest.mark.parametrize("kind", ["tgz", "zip"])
def test_a_name_that_could_leave_the_target_is_refused(put, kind, name, fault):
    quoted = re.escape(ascii(name[:1000])[1:-1])
    refused(put(MAKERS[kind]({"good": b"", name: b"x"})), refused_member(quoted, fault))


def test_a_name_that_goes_on_behind_a_nul_is_refused(put):
    archive = put(as_zip(("a.jpg_../evil", b"x")).replace(b"a.jpg_../evil", b"a.jpg\0../evil"))
    refused(archive, refused_member(r"a\.jpg\\x00\.\./evil", "has control characters in its name"))


@pytest.mark.parametrize("name", ["../evil/", "/evil/"])
def test_the_name_of_a_mere_folder_is_looked_at_too(put, name):
    refused(put(as_zip((name, b""))), refused_member(name, "(leads out of the archive|is an absolute path)"))


SPECIAL = {
    "symbolic link": (special("link", tarfile.SYMTYPE, "/etc/passwd"), "is a symbolic link"),
    "symbolic link inside": (special("link", tarfile.SYMTYPE, "good"), "is a symbolic link"),
    "hard link": (special("link", tarfile.LNKTYPE, "/etc/passwd"), "is a hard link"),
    "hard link inside": (special("link", tarfile.LNKTYPE, "good"), "is a hard link"),
    "character device": (special("link", tarfile.CHRTYPE), "is a device"),
    "block device": (special("link", tarfile.BLKTYPE), "is a device"),
    "pipe": (special("link", tarfile.FIFOTYPE), "is a pipe"),
    "sparse": (a_file("link", b"\0" * 512, type=tarfile.GNUTYPE_SPARSE), "is a sparse file"),
    "unknown": (special("link", b"Z"), "is of an unknown kind"),
}


@pytest.mark.parametrize(("member", "fault"), SPECIAL.values(), ids=SPECIAL)
def test_what_is_no_plain_file_in_a_tar_is_refused(put, member, fault):
    refused(put(as_tar(a_file("good"), member, form=tarfile.GNU_FORMAT)), refused_member("link", fault))


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        (stat.S_IFLNK, "is a symbolic link"),
        (stat.S_IFCHR, "is a device"),
        (stat.S_IFBLK, "is a device"),
        (stat.S_IFIFO, "is a pipe"),
        (stat.S_IFSOCK, "is a socket"),
    ],
)
def test_what_is_no_plain_file_in_a_zip_is_refused(put, kind, fault):
    refused(put(as_zip(("good", b""), (of_mode("link", kind | 0o777), b"/etc/passwd"))), refused_member("link", fault))


def test_a_link_that_nobody_wants_harms_nobody(put, tmp_path):
    archive = put(as_tar(a_file("a.jpg"), special("link", tarfile.SYMTYPE, "/etc")))
    assert unpack(archive, tmp_path / "target", wanted=lambda path: path.endswith(".jpg")) == ["a.jpg"]


def test_no_link_is_ever_written_through(put, tmp_path):
    archive = put(as_tar(special("set", tarfile.SYMTYPE, str(tmp_path / "outside")), a_file("set/evil")))
    (tmp_path / "outside").mkdir()
    assert unpack(archive, tmp_path / "target", wanted=lambda path: path != "set") == ["set/evil"]
    assert list((tmp_path / "outside").iterdir()) == []
    assert not (tmp_path / "target/set").is_symlink()


def test_all_that_the_standard_filter_refuses_is_refused(put, tmp_path):
    members = [member for member, _ in SPECIAL.values()] + [a_file(name) for name, _ in EVIL_NAMES.values()]
    filtered = 0
    for info, content in members:
        try:
            tarfile.data_filter(info, str(tmp_path))
        except tarfile.FilterError:
            filtered += 1
            with pytest.raises(InputError):
                unpack(put(as_tar((info, content))), tmp_path / "target")
    assert filtered > 5


TWICE = {
    "twice": ("set/a.jpg", "set/a.jpg", "comes twice"),
    "dots": ("set/a.jpg", "set/./a.jpg", "comes twice"),
    "case": ("set/a.jpg", "set/A.jpg", r"differs from 'set/a\.jpg' only in case or Unicode form"),
    "folder's case": ("set/a.jpg", "SET/b.jpg", "differs from 'set' only in case or Unicode form"),
    "Unicode form": ("\xf1.jpg", "n\u0303.jpg", r"differs from '\\xf1\.jpg' only in case or Unicode form"),
    "sharp s": ("stra\xdfe", "STRASSE", r"differs from 'stra\\xdfe' only in case or Unicode form"),
    "file and folder": ("set", "set/a.jpg", "'set' is both a file and a folder"),
    "folder and file": ("set/a.jpg", "set", "'set' is both a file and a folder"),
}


@pytest.mark.parametrize(("one", "other", "fault"), TWICE.values(), ids=TWICE)
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_no_name_is_taken_twice(put, kind, one, other, fault):
    content = as_tar(a_file(one), a_file(other)) if kind == "tar" else as_zip((one, b"x"), (other, b"x"))
    refused(put(content), refused_member(re.escape(ascii(other)[1:-1]), fault))


BOMB = bytes(ALWAYS_ALLOWED + 1)
TOO_MUCH = "which no set of images does; nothing was kept; download it again from where it is published"


@pytest.mark.parametrize("kind", ["tgz", "zip"])
def test_a_bomb_is_refused(put, kind):
    archive = put(MAKERS[kind]({"good": b"", "bomb": BOMB}))
    size = archive.stat().st_size
    refused(archive, f"unpacks to more than 16,777,216 bytes from {size:,}, {TOO_MUCH}")


@any_kind
def test_the_total_is_bounded(put, kind):
    refused(put(MAKERS[kind](FILES)), f"unpacks to more than 5,000 bytes, {TOO_MUCH}", largest=5000)


def test_a_bomb_that_nobody_wants_is_refused_as_well(put):
    archive = put(packed(as_tar(a_file("bomb", BOMB), a_file("a.jpg"))))
    refused(archive, f"unpacks to more than .*, {TOO_MUCH}", wanted=lambda path: path == "a.jpg")


def test_a_bomb_behind_the_end_of_a_tar_is_refused(put):
    refused(put(packed(as_tar(a_file("a.jpg")) + BOMB)), f"unpacks to more than .*, {TOO_MUCH}")


def test_nothing_of_a_bomb_is_believed_but_what_comes_out(put, monkeypatch):
    """A zip that declares a tiny member: no more than the declared size comes out."""
    content = as_zip(("bomb", BOMB))
    archive = put(content.replace(struct.pack("<L", len(BOMB)), struct.pack("<L", 10)))
    refused(archive, r"damaged or cut short \(Bad CRC-32 for file 'bomb'\); nothing was kept; download it again")


def test_a_member_shorter_than_its_list_says_is_damaged(put):
    content = as_zip(("a.jpg", b"x" * 1000)).replace(struct.pack("<L", 1000), struct.pack("<L", 2000))
    refused(put(content), r"damaged or cut short \(1,000 bytes of 'a\.jpg' are missing\); nothing was kept; .*")


def test_a_ratio_that_small_archives_reach_by_padding_is_allowed(put, tmp_path):
    archive = put(packed(as_tar(*(a_file(str(number)) for number in range(300)))))
    assert len(unpack(archive, tmp_path / "target", ratio=1)) == 300


def test_a_wild_claim_of_size_is_refused_before_anything_is_written(put, monkeypatch):
    def written(*_):
        pytest.fail("wrote")

    monkeypatch.setattr(archives, "_write_file", written)
    content = as_zip(("a.jpg", b"x" * 1000)).replace(struct.pack("<L", 1000), struct.pack("<L", 2**31))
    refused(put(content), f"unpacks to more than .*, {TOO_MUCH}")


def test_an_encrypted_member_is_refused(put):
    content = bytearray(as_zip(("good", b""), ("secret", b"x")))
    for start, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.rindex(start) + flags] |= 1
    refused(put(bytes(content)), refused_member("secret", "is encrypted"))


@pytest.mark.parametrize(("method", "number"), [(zipfile.ZIP_BZIP2, 12), (zipfile.ZIP_LZMA, 14)])
def test_a_rare_way_of_packing_is_refused(put, method, number):
    archive = put(as_zip(("a.jpg", b"x"), method=method))
    refused(archive, refused_member(r"a\.jpg", rf"is packed in a way that is not read here \(method {number}\)"))


@any_kind
def test_an_archive_cut_anywhere_is_refused(put, tmp_path, kind):
    whole = MAKERS[kind]({"a.jpg": random.Random(0).randbytes(1500), "b.jpg": random.Random(0).randbytes(100)})
    # A tar ends in several blocks of zeros; one is enough.
    needed = len(whole.rstrip(b"\0")) if "tar" in kind else len(whole)
    cuts = {*range(0, needed, 97), *range(512, needed, 512), needed - 1}
    for cut in sorted(cuts):
        with pytest.raises(InputError, match=r"damaged or cut short|not a zip, tar or tar.gz") as caught:
            unpack(put(whole[:cut]), tmp_path / "target")
        assert "\n" not in str(caught.value)


@any_kind
def test_no_changed_byte_brings_anything_but_a_refusal_or_files_in_the_target(put, tmp_path, kind):
    whole = MAKERS[kind]({"set/a.jpg": b"0123456789" * 10, "set/b.jpg": b"x"})
    for place in range(0, min(len(whole), 2100), 13):
        changed = bytearray(whole)
        changed[place] ^= 0xFF
        with contextlib.suppress(InputError):
            unpack(put(bytes(changed)), tmp_path / "out/target")
        assert {path.name for path in tmp_path.iterdir()} <= {"archive", "out"}
        assert {path.name for path in (tmp_path / "out").iterdir()} <= {"target"}


@pytest.mark.parametrize("kind", ["zip", "stored zip", "tgz"])
def test_a_changed_byte_of_content_is_noticed_where_the_archive_has_checksums(put, kind):
    whole = bytearray(MAKERS[kind]({"a.jpg": random.Random(0).randbytes(1000)}))
    whole[700] ^= 1
    refused(put(bytes(whole)), r"damaged or cut short \(.*\); nothing was kept; download it again")


def test_a_damaged_header_in_the_middle_is_not_taken_for_the_end(put):
    content = bytearray(as_tar(a_file("a.jpg"), a_file("b.jpg")))
    content[1024 + 100] ^= 0xFF
    refused(put(bytes(content)), r"damaged or cut short \(its end is missing\); nothing was kept; download it again")


def tar_header(name: bytes, size: bytes, kind: bytes) -> bytes:
    block = bytearray(name.ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + size + b"00000000000\0" + b" " * 8)
    block += kind
    block = block.ljust(257, b"\0") + b"ustar\x0000"
    block = block.ljust(512, b"\0")
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def test_many_members_need_no_memory(put, tmp_path):
    archive = put(as_tar(*(a_file(f"{number}") for number in range(4000))))
    tracemalloc.start()
    try:
        unpack(archive, tmp_path / "target", wanted=lambda path: path == "77")
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_a_size_below_zero_goes_nowhere(put):
    backwards = tar_header(b"a.jpg", b"\xff" * 11 + b"\x00", b"0")
    refused(
        put(as_tar(a_file("good"))[:1024] + backwards + bytes(1024)),
        r"damaged or cut short \(.+\); nothing was kept; .*",
    )


@pytest.mark.parametrize("kind", [b"x", b"g", b"L", b"K"])
def test_a_header_that_claims_gigabytes_is_not_read_into_memory(put, kind):
    huge = tar_header(b"a.jpg", b"77777777777\0", kind)
    archive = put(as_tar(a_file("good"))[:1024] + huge + bytes(1024))
    refused(
        archive, r"damaged or cut short \(a header of 8,?589,?\d+,?\d+ bytes\); nothing was kept; download it again"
    )


def test_headers_without_end_are_refused(put):
    record = b"11 path=ab\n"
    header = tar_header(b"p", b"%011o\0" % len(record), b"x") + record.ljust(512, b"\0")
    refused(put(as_tar(a_file("good"))[:1024] + header * 2000 + bytes(1024)), r"damaged or cut short \(.*\); .*")


def test_a_sparse_map_that_goes_on_behind_the_end_is_refused(put):
    header = bytearray(tar_header(b"a.jpg", b"00000000000\0", b"S"))
    header[482] = 1
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    refused(put(as_tar(a_file("good"))[:1024] + header), r"damaged or cut short \(.+\); nothing was kept; .*")


def test_a_name_too_long_for_the_disk_is_reported(put, tmp_path):
    with pytest.raises(
        InputError, match=r"n{300}: File name too long; nothing was kept; the same command tries again$"
    ):
        unpack(put(as_zip(("n" * 300, b""))), tmp_path / "target")


def test_a_full_disk_is_reported_before(put, monkeypatch):
    archive = put(as_zip(("a.jpg", random.Random(0).randbytes(5000))))
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=4000))
    with pytest.raises(InputError, match=r"5\.0 KB needed, 4\.0 KB free on its disk; free some$"):
        unpack(archive, archive.parent / "target")
    assert [path.name for path in archive.parent.iterdir()] == ["archive"]


@pytest.mark.parametrize(
    "content", [b"", b"x", b"<!DOCTYPE html>" + b" " * 2000, b"Rar!\x1a\x07\0" + b"x" * 2000], ids=len
)
def test_what_is_no_archive_is_reported(put, content):
    refused(put(content), "not a zip, tar or tar.gz file; give the archive as it is published")


@pytest.mark.parametrize("content", [as_zip(), as_tar(), packed(as_tar())], ids=["zip", "tar", "tgz"])
def test_an_archive_without_files_is_reported(put, content):
    refused(put(content), "has none of the files of the set; give the archive as it is published")


def test_an_archive_without_wanted_files_is_reported(put):
    archive = put(MAKERS["zip"](FILES))
    refused(archive, "has none of the files of the set; .*", wanted=lambda path: False)


def test_a_mistake_of_the_one_who_asks_is_not_the_archives_damage(put, tmp_path):
    def mistaken(path: str) -> bool:
        raise ValueError(path)

    with pytest.raises(ValueError, match=r"^set/a\.jpg$"):
        unpack(put(MAKERS["tgz"](FILES)), tmp_path / "target", wanted=mistaken)
