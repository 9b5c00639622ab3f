import contextlib
import gzip
import hashlib
import json
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from serving import Answer, serving

from pipeline.core.errors import InputError
from pipeline.datasets.download import cache as cached
from pipeline.datasets.download import download as published_file
from pipeline.datasets.download import transfer
from pipeline.datasets.download.cache import cache_folder
from pipeline.datasets.download.download import Download
from pipeline.datasets.download.fetching import fetch, local

BODY = bytes(range(256)) * 4000
OTHER = BODY[::-1]
HALF = len(BODY) // 2
SHA256 = hashlib.sha256(BODY).hexdigest()
MD5 = hashlib.md5(BODY).hexdigest()
WRONG_TYPES = '{"url": "URL", "version": 7, "total": "x"}'
OWN_COPY = "download it yourself and give archive: /path/to/it"


@pytest.fixture
def server():
    with serving() as started:
        yield started


@pytest.fixture
def cache(tmp_path, monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("ORBWEAVER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def pauses(cache, monkeypatch):
    """Record the pauses in seconds instead of sleeping."""
    slept: list[float] = []
    monkeypatch.setattr(transfer, "sleep", slept.append)
    return slept


def a_file(*urls: str, **published: Any) -> Download:
    return Download("set.tgz", urls, **published)


def bring(*urls: str, timeout: float = 5.0, tries: int = 3, **published: Any) -> bytes:
    return fetch(a_file(*urls, **published), timeout=timeout, tries=tries).read_bytes()


def refused(*urls: str, message: str, timeout: float = 5.0, tries: int = 1, **published: Any) -> None:
    with pytest.raises(InputError, match=rf"^set\.tgz: {message}; {re.escape(OWN_COPY)}$"):
        bring(*urls, timeout=timeout, tries=tries, **published)


def left(cache: Path) -> list[str]:
    """Return the files in the cache, without locks."""
    return sorted(path.name for path in cache.iterdir() if path.suffix != ".lock")


def test_a_file_comes_whole_and_checked(server, cache):
    url = server.give("/set.tgz", BODY)
    assert fetch(a_file(url, size=len(BODY), sha256=SHA256)) == cache / "set.tgz"
    assert (cache / "set.tgz").read_bytes() == BODY
    assert left(cache) == ["set.tgz", "set.tgz.json"]


def test_what_is_in_the_cache_is_not_asked_for_again(server, cache):
    url = server.give("/set.tgz", BODY)
    assert bring(url) == bring(url) == BODY
    assert len(server.asked) == 1


def test_a_file_cut_in_the_middle_goes_on_from_there(server, pauses):
    url = server.give("/set.tgz", Answer(BODY, cut=HALF), BODY)
    assert bring(url, sha256=SHA256) == BODY
    assert server.ranges == ["", f"bytes={HALF}-"]
    assert server.asked[1].headers["If-Range"] == '"1"'


def test_the_next_run_goes_on_where_the_last_was_cut(server, pauses):
    url = server.give("/set.tgz", Answer(BODY, cut=HALF), BODY)
    refused(url, message=rf"{url}: cut at {HALF:,} of {len(BODY):,} bytes, 1 try")
    assert bring(url) == BODY
    assert server.ranges == ["", f"bytes={HALF}-"]


def test_bytes_that_all_came_before_an_interruption_are_not_asked_for_again(server, cache, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    url = server.give("/set.tgz", BODY)
    with monkeypatch.context() as patch:
        patch.setattr(transfer, "mismatch", interrupt)
        with pytest.raises(KeyboardInterrupt):
            bring(url)
    assert bring(url, sha256=SHA256) == BODY
    assert len(server.asked) == 1


@pytest.mark.parametrize("came", [HALF, len(BODY)])
def test_a_part_that_suffered_since_the_last_run_starts_anew(server, cache, came):
    url = server.give("/set.tgz", BODY)
    cache.mkdir()
    (cache / "set.tgz.part").write_bytes(bytes(came))
    (cache / "set.tgz.part.json").write_text(json.dumps({"url": url, "version": '"1"', "total": len(BODY)}))
    assert bring(url, sha256=SHA256) == BODY
    assert server.ranges[-1] == ""


def test_a_part_goes_on_by_the_time_of_its_last_change_where_there_is_no_etag(server, pauses):
    when = "Sat, 01 Jan 2011 00:00:00 GMT"
    dated = {"version": 'W/"1"', "headers": {"Last-Modified": when}}
    url = server.give("/set.tgz", Answer(BODY, cut=HALF, **dated), Answer(BODY, **dated))
    assert bring(url) == BODY
    assert server.asked[1].headers["If-Range"] == when


def test_without_any_version_a_part_starts_anew(server, pauses):
    url = server.give("/set.tgz", Answer(BODY, cut=HALF, version=""), Answer(BODY, version=""))
    assert bring(url) == BODY
    assert server.ranges == ["", ""]


def test_a_server_without_ranges_starts_anew(server, pauses):
    url = server.give("/set.tgz", Answer(BODY, cut=HALF, ranges=False), Answer(BODY, ranges=False))
    assert bring(url, sha256=SHA256) == BODY


@pytest.mark.parametrize("heeds", [True, False])
def test_a_file_that_changed_between_two_halves_is_the_new_one(server, pauses, heeds):
    changed = Answer(OTHER, version='"2"', heeds_if_range=heeds)
    url = server.give("/set.tgz", Answer(BODY, cut=HALF), changed)
    assert bring(url) == OTHER


def test_a_file_that_became_shorter_than_what_came_starts_anew(server, pauses):
    url = server.give("/set.tgz", Answer(BODY, cut=HALF), Answer(OTHER[:100], version='"2"', heeds_if_range=False))
    assert bring(url) == OTHER[:100]
    assert server.ranges == ["", f"bytes={HALF}-", ""]


@pytest.mark.parametrize(
    "content_range", [f"bytes 0-{HALF - 1}/{len(BODY)}", f"bytes {HALF}-{len(BODY)}/{len(BODY) + 1}", ""]
)
def test_an_answer_to_another_question_is_not_joined(server, pauses, content_range):
    astray = Answer(OTHER[:HALF], status=206, headers={"Content-Range": content_range})
    url = server.give("/set.tgz", Answer(BODY, cut=HALF), astray, BODY)
    assert bring(url) == BODY
    assert server.ranges == ["", f"bytes={HALF}-", ""]


def test_a_file_cut_often_comes_as_long_as_each_try_brings_more(server, pauses):
    cuts = [Answer(BODY, cut=HALF // 10) for _ in range(9)]
    url = server.give("/set.tgz", *cuts, BODY)
    assert bring(url, tries=2) == BODY
    assert pauses == [1.0] * 9


def test_a_file_cut_at_the_same_place_each_time_is_given_up(server, pauses):
    url = server.give("/set.tgz", Answer(BODY, cut=HALF, ranges=False))
    refused(url, message=rf"{url}: cut at {HALF:,} of {len(BODY):,} bytes, 3 tries", tries=3)
    assert len(server.asked) == 3


def test_a_body_without_length_that_is_cut_goes_on(server, pauses):
    url = server.give("/set.tgz", Answer(BODY, cut=HALF, sized=False), BODY)
    assert bring(url, size=len(BODY)) == BODY
    assert server.ranges == ["", f"bytes={HALF}-"]


@pytest.mark.parametrize("published", [{"sha256": SHA256}, {"md5": MD5}, {"sha256": SHA256, "md5": "0" * 32}])
def test_the_strongest_checksum_decides(server, cache, published):
    assert bring(server.give("/set.tgz", BODY), **published) == BODY


@pytest.mark.parametrize(("kind", "right"), [("sha256", SHA256), ("md5", MD5)])
def test_a_wrong_checksum_is_reported_and_what_came_is_deleted(server, cache, kind, right):
    actual = hashlib.new(kind, OTHER).hexdigest()
    url = server.give("/set.tgz", OTHER)
    fault = f"{url}: its {kind} is {actual} in place of {right}; what came was deleted"
    refused(url, message=fault, **{kind: right})
    assert left(cache) == []


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_file_that_is_not_there_is_asked_for_once(server, pauses, status):
    url = server.give("/set.tgz", Answer(status=status))
    refused(url, message=rf"{url}: {status} [\w ]+", tries=3)
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_server_in_trouble_is_asked_again(server, pauses, status):
    url = server.give("/set.tgz", Answer(status=status), BODY)
    assert bring(url) == BODY
    assert pauses == [1.0]


def test_pauses_double(server, pauses):
    url = server.give("/set.tgz", Answer(status=503))
    refused(url, message=rf"{url}: 503 Service Unavailable, 8 tries", tries=8)
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_says_when_to_come_back_is_heeded(server, pauses, status):
    url = server.give("/set.tgz", Answer(status=status, headers={"Retry-After": "7"}), BODY)
    assert bring(url) == BODY
    assert pauses == [7.0]


@pytest.mark.parametrize("retry_after", ["soon", "9" * 5000, "Sat, 99 Foo 2011"])
def test_a_senseless_time_to_come_back_is_passed_over(server, pauses, retry_after):
    url = server.give("/set.tgz", Answer(status=429, headers={"Retry-After": retry_after}), BODY)
    assert bring(url) == BODY
    assert pauses == [1.0]


def test_a_server_that_wants_hours_is_not_waited_for(server, pauses):
    url = server.give("/set.tgz", Answer(status=429, headers={"Retry-After": "7200"}))
    refused(url, message=rf"{url}: 429 Too Many Requests, and not to be asked for at least 7,200 s", tries=3)
    assert pauses == []


def test_a_stalled_server_is_left(server, cache):
    url = server.give("/set.tgz", Answer(BODY, stall=HALF))
    refused(url, message=rf"{url}: stalled for 0\.3 s at [\d,]+ of {len(BODY):,} bytes, 1 try", timeout=0.3)


def test_a_stalled_file_goes_on_from_there(server, pauses):
    url = server.give("/set.tgz", Answer(BODY, stall=HALF), BODY)
    assert bring(url, timeout=0.3) == BODY
    assert re.fullmatch(r"bytes=\d+-", server.ranges[1])


def test_a_server_that_takes_the_call_and_says_nothing_is_left(cache):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/set.tgz"
        refused(url, message=rf"{url}: no answer within 0\.2 s, 1 try", timeout=0.2)


def test_a_server_that_is_not_there_is_reported_in_the_systems_words(pauses):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    url = f"http://127.0.0.1:{port}/set.tgz"
    refused(url, message=rf"{url}: \[Errno 111\] Connection refused, 2 tries", tries=2)


def test_a_mirror_is_asked_where_the_first_has_nothing(server, cache):
    first, second = server.url + "/gone", server.give("/set.tgz", BODY)
    assert bring(first, second) == BODY
    assert [asked.path for asked in server.asked] == ["/gone", "/set.tgz"]


def test_a_mirror_is_asked_where_the_first_gives_another_file(server, cache):
    assert bring(server.give("/a", OTHER), server.give("/b", BODY), sha256=SHA256) == BODY


def test_every_mirror_is_reported_where_none_has_it(server, cache):
    refused(
        f"{server.url}/a", f"{server.url}/b", message=rf"{server.url}/a: 404 Not Found; {server.url}/b: 404 Not Found"
    )


def test_the_mirror_that_was_cut_is_asked_first(server, pauses):
    first, second = server.give("/a", Answer(status=404), BODY), server.give("/b", Answer(BODY, cut=HALF), BODY)
    refused(first, second, message=".*")
    assert bring(first, second) == BODY
    assert [asked.path for asked in server.asked] == ["/a", "/b", "/b"]


def test_halves_of_two_mirrors_are_not_joined(server, pauses):
    first, second = server.give("/a", Answer(BODY, cut=HALF), Answer(status=404)), server.give("/b", OTHER)
    assert bring(first, second) == OTHER


def test_a_file_of_another_size_is_not_even_begun(server, cache):
    url = server.give("/set.tgz", BODY)
    refused(url, message=rf"{url}: {len(BODY):,} bytes in place of 7", size=7)
    assert left(cache) == []


def test_a_body_without_length_ends_where_it_is_too_long(server, cache):
    url = server.give("/set.tgz", Answer(BODY, sized=False))
    refused(url, message=rf"{url}: more than 1,000 bytes", size=1000)
    assert left(cache) == []


@pytest.mark.parametrize("sized", [True, False])
def test_an_empty_file_is_none_and_a_mirror_is_asked(server, cache, sized):
    url = server.give("/set.tgz", Answer(b"", sized=sized))
    refused(url, message=rf"{url}: an empty file; what came was deleted")
    assert bring(url, server.give("/mirror", BODY)) == BODY
    (cache / "set.tgz").write_bytes(b"")
    assert bring(server.give("/mirror", OTHER)) == OTHER


def test_a_web_page_is_no_file(server, cache):
    url = server.give("/set.tgz", Answer(b"<html>", headers={"Content-Type": "text/html; charset=utf-8"}))
    refused(url, message=rf"{url}: a web page in place of the file")


def test_a_file_on_no_server_is_the_users_to_bring(cache):
    refused(message="no server is known to have it")


def test_a_server_that_calls_the_file_packed_is_not_believed(server, cache):
    packed = gzip.compress(BODY)
    url = server.give("/set.tgz", Answer(packed, headers={"Content-Encoding": "x-gzip"}))
    assert bring(url) == packed
    assert server.asked[0].headers["Accept-Encoding"] == "identity"


def test_a_redirection_is_followed(server, cache):
    there = server.give("/there", BODY)
    assert bring(server.give("/set.tgz", Answer(status=302, headers={"Location": there}))) == BODY


def test_a_redirection_out_of_the_web_is_refused(server, cache):
    url = server.give("/set.tgz", Answer(status=302, headers={"Location": "file:///etc/passwd"}))
    refused(url, message=rf"{url}: No connection adapters were found for 'file:///etc/passwd'")


def test_a_redirection_to_no_address_is_refused_and_a_mirror_is_asked(server, cache):
    url = server.give("/set.tgz", Answer(status=302, headers={"Location": "http://[::bad"}))
    refused(url, message=rf"{url}: a redirection to a malformed address \(Invalid IPv6 URL\)")
    assert bring(url, server.give("/mirror", BODY)) == BODY


def test_the_environments_proxy_is_used(server, cache, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", server.url)
    server.give("http://nowhere.invalid/set.tgz", BODY)
    assert bring("http://nowhere.invalid/set.tgz") == BODY


def test_a_disk_without_room_is_reported_before_anything_comes(server, cache, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))
    message = rf"^{cache}: 1\.0 MB needed, 1\.0 KB free on its disk; free some, or name another .* ORBWEAVER_CACHE$"
    with pytest.raises(InputError, match=message):
        bring(server.give("/set.tgz", BODY))
    assert (cache / "set.tgz.part").stat().st_size == 0


def test_only_the_rest_needs_room(server, pauses, monkeypatch):
    url = server.give("/set.tgz", Answer(BODY, cut=HALF), BODY)
    refused(url, message=".*")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=HALF))
    assert bring(url) == BODY


@contextlib.contextmanager
def files_up_to(size: int):
    """Limit the size of files, for a real error of a write, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_fills_up_meanwhile_keeps_what_came(server, cache):
    url = server.give("/set.tgz", BODY)
    message = rf"set\.tgz\.part: File too large at [\d,]+ of {len(BODY):,} bytes; .* goes on from there$"
    with files_up_to(HALF), pytest.raises(InputError, match=message):
        bring(url)
    assert bring(url, sha256=SHA256) == BODY
    assert server.ranges == ["", f"bytes={HALF}-"]


def test_a_damaged_file_in_the_cache_is_fetched_anew(server, cache):
    url = server.give("/set.tgz", BODY)
    place = fetch(a_file(url, sha256=SHA256))
    place.write_bytes(OTHER)
    assert bring(url, sha256=SHA256) == BODY


def test_a_damaged_file_in_the_cache_stays_until_the_right_one_is_there(server, cache):
    cache.mkdir()
    (cache / "set.tgz").write_bytes(OTHER)
    refused(server.url + "/gone", message=".*", sha256=SHA256)
    assert (cache / "set.tgz").read_bytes() == OTHER


def test_a_file_is_checked_against_what_is_published_now(server, cache):
    url = server.give("/set.tgz", BODY, OTHER)
    bring(url, size=len(BODY), sha256=SHA256)
    assert bring(url, size=len(BODY), sha256=hashlib.sha256(OTHER).hexdigest()) == OTHER


def test_a_checksum_is_taken_once(server, cache, monkeypatch):
    taken: list[Path] = []
    whole = published_file._digest
    monkeypatch.setattr(published_file, "_digest", lambda file, kind: taken.append(file) or whole(file, kind))
    download = a_file(server.give("/set.tgz", BODY), sha256=SHA256)
    fetch(download)
    fetch(download)
    assert len(taken) == 1
    os.utime(cache / "set.tgz", (1, 1))
    fetch(download)
    fetch(download)
    assert len(taken) == 2


@pytest.mark.parametrize("junk", ["", "[1]", '{"url": 1, "more": 2}', WRONG_TYPES])
def test_a_damaged_note_is_as_good_as_none(server, pauses, junk):
    url = server.give("/set.tgz", Answer(BODY, cut=HALF), BODY)
    refused(url, message=".*")
    (cache_folder() / "set.tgz.part.json").write_text(junk.replace("URL", url))
    assert bring(url) == BODY
    assert server.ranges == ["", ""]


def test_a_cache_that_can_only_be_read_serves(server, cache, monkeypatch):
    cache.mkdir()
    (cache / "set.tgz").write_bytes(BODY)
    monkeypatch.setattr(cached, "make_folder", lambda folder: pytest.fail("wrote"))
    monkeypatch.setattr(cached.paths, "written_whole", lambda target: (_ for _ in ()).throw(PermissionError))
    assert bring(sha256=SHA256) == BODY


def test_a_cache_that_cannot_be_made_is_reported(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("ORBWEAVER_CACHE", str(tmp_path / "file/cache"))
    with pytest.raises(
        InputError, match=r"file/cache: the cache folder cannot be created \(.*\); name another folder in ORB"
    ):
        bring("http://127.0.0.1:1/set.tgz")


ONE_PROCESS = """
import sys
from pipeline.datasets.download.download import Download
from pipeline.datasets.download.fetching import fetch
fetch(Download("set.tgz", (sys.argv[1],), sha256=sys.argv[2]))
"""


def test_two_processes_that_want_the_same_file_fetch_it_once(server, cache):
    url = server.give("/set.tgz", Answer(BODY, stall=HALF), BODY)
    command = [sys.executable, "-c", ONE_PROCESS, url, SHA256]
    first = subprocess.Popen(command, stderr=subprocess.PIPE)
    while not server.asked:
        assert first.poll() is None
        time.sleep(0.01)
    second = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert second.stderr.readline() == "set.tgz: another process is fetching it; waiting for that\n"
    server.closing.set()
    assert [process.wait(20) for process in (first, second)] == [0, 0]
    for process in (first, second):
        process.stderr.close()
    assert server.ranges == ["", f"bytes={HALF}-"]


def test_the_cache_is_in_the_users_own_folder_where_nothing_is_said(monkeypatch):
    monkeypatch.delenv("ORBWEAVER_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/some/where")
    assert cache_folder() == Path("/some/where/orbweaver")


def test_a_relative_cache_is_the_clones(tmp_path, monkeypatch):
    monkeypatch.setenv("ORBWEAVER_CACHE", "downloads")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    assert cache_folder() == tmp_path / "downloads"


def test_the_users_own_copy_is_taken_where_it_lies(tmp_path, cache):
    (tmp_path / "mine.tgz").write_bytes(BODY)
    download = a_file(size=len(BODY), sha256=SHA256)
    assert local(download, tmp_path / "mine.tgz") == tmp_path / "mine.tgz"
    assert not cache.exists()


@pytest.mark.parametrize(
    ("published", "fault"),
    [
        ({"size": 7}, r"1,024,000 bytes in place of 7"),
        ({"md5": "0" * 32}, rf"its md5 is {MD5} in place of 0{{32}}"),
    ],
)
def test_an_own_copy_of_another_file_is_refused_and_kept(tmp_path, published, fault):
    mine = tmp_path / "mine.tgz"
    mine.write_bytes(BODY)
    message = rf"^archive: '{mine}' is not set\.tgz as published: {fault}; download it again$"
    with pytest.raises(InputError, match=message):
        local(a_file(**published), mine)
    assert mine.exists()


def test_an_own_copy_has_to_be_a_file_with_an_absolute_path(tmp_path):
    with pytest.raises(InputError, match=r"^archive: 'mine\.tgz' is relative, .*; give an absolute path such as /"):
        local(a_file(), Path("mine.tgz"))
    with pytest.raises(InputError, match=r"does not exist; give the downloaded file \(set\.tgz\)$"):
        local(a_file(), tmp_path / "mine.tgz")
    with pytest.raises(InputError, match=r"is not a file; give the downloaded file \(set\.tgz\)$"):
        local(a_file(), tmp_path)


@pytest.mark.parametrize(
    ("name", "urls", "published"),
    [
        ("a/b", (), {}),
        ("..", (), {}),
        ("", (), {}),
        ("a", ("ftp://x/a",), {}),
        ("a", ("/etc/passwd",), {}),
        ("a", (), {"sha256": "0" * 32}),
        ("a", (), {"md5": "A" * 32}),
    ],
)
def test_a_row_that_cannot_be_right_is_our_own_mistake(name, urls, published):
    with pytest.raises(ValueError, match=r"is not|is neither|is no "):
        Download(name, urls, **published)
