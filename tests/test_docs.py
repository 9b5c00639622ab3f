"""README.md and docs/: every page is reached, every link leads somewhere, and the site loads nothing from elsewhere."""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import readme

from pipeline.datasets.collect.sets import SETS
from pipeline.networks.backbones.table import BACKBONES, backbone

ROOT = readme.ROOT
README, INDEX = ROOT / "README.md", ROOT / "docs/index.md"
NAMES = {file.name for file in readme.PAGES if file not in (README, INDEX)}
OF_THE_FRONT = (
    "Dockerfile",
    ".devcontainer/devcontainer.json",
    "zensical.toml",
    "NOTICE",
    "SECURITY.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
# What a browser fetches by itself, by tag and attribute.
FETCHED = {
    "script": ("src",),
    "img": ("src", "srcset"),
    "source": ("src", "srcset"),
    "iframe": ("src",),
    "link": ("href",),
    "video": ("src",),
    "audio": ("src",),
}
ELSEWHERE = re.compile(r"^(?:[a-z]+:)?//", re.IGNORECASE)


def built(place: Path, *, page: str = "") -> subprocess.CompletedProcess[str]:
    """Build the site as `make docs` does, in a place of its own, with `page` at the end of the first one."""
    shutil.copytree(ROOT / "docs", place / "docs")
    shutil.copy2(ROOT / "zensical.toml", place)
    with (place / "docs/index.md").open("a", encoding="utf-8") as file:
        file.write(page)
    words = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    return subprocess.run(words, cwd=place, capture_output=True, text=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("site")
    done = built(place)
    assert done.returncode == 0, done.stdout + done.stderr
    return place / "build/site"


class Fetched(HTMLParser):
    """The addresses that a page has a browser fetch, and those that its reader may follow."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.addresses += [values[name] for name in FETCHED.get(tag, ()) if name in values]
        self.links += [values["href"]] if tag == "a" and "href" in values else []


def test_the_readme_is_of_one_page() -> None:
    assert len(readme.PAGES[README].splitlines()) <= 160


def test_the_readme_the_first_page_and_the_sites_menu_name_every_page() -> None:
    menu = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"]
    assert set(re.findall(r"\(docs/([\w-]+\.md)\)", readme.PAGES[README])) == NAMES
    assert set(re.findall(r"\(([\w-]+\.md)\)", readme.PAGES[INDEX])) == NAMES
    assert set(re.findall(r"'([\w-]+\.md)'", str(menu))) == {*NAMES, INDEX.name}


@pytest.mark.parametrize("page", readme.PAGES, ids=lambda file: file.name)
def test_a_link_leads_to_a_file_that_is_there(page: Path) -> None:
    """Of a page of the site to another one: what is outside docs/ is not part of it."""
    places = [urlsplit(link).path for link in LINK.findall(readme.PAGES[page]) if not urlsplit(link).scheme]
    for place in filter(None, places):
        assert (page.parent / place).is_file(), place
        assert page == README or not place.startswith("..")


def test_every_room_is_described() -> None:
    lines = readme.section("Packages").splitlines()
    described = {name for line in lines for name in re.findall(r"`(\w+)`", line.split("|")[1] if "|" in line else "")}
    rooms = {place.name for place in (ROOT / "pipeline").iterdir() if (place / "__init__.py").is_file()}
    assert described - {"pipeline"} == rooms


@pytest.mark.parametrize("broken", ["[a page](none.md)", "[a heading](data.md#none)"])
def test_a_link_that_leads_nowhere_stops_the_build(tmp_path: Path, broken: str) -> None:
    done = built(tmp_path, page=f"\n{broken}\n")
    assert done.returncode != 0
    assert "does not exist" in done.stdout + done.stderr


def test_the_site_has_its_pages_and_pictures_and_nothing_of_the_code(site: Path) -> None:
    pages = {f"{Path(name).stem}.html" for name in (*NAMES, INDEX.name)}
    assert {file.name for file in site.glob("*.html")} == {*pages, "404.html"}
    assert (site / "report.png").is_file()
    assert list(site.rglob("*.py")) == []


def test_what_a_page_of_the_site_fetches_is_in_the_site(site: Path) -> None:
    fetched = {file: Fetched(file.read_text("utf-8")).addresses for file in site.glob("*.html")}
    addresses = [address for found in fetched.values() for address in found]
    assert len(addresses) > 100
    assert [address for address in addresses if ELSEWHERE.match(address)] == []
    # The pages lie side by side; the addresses of a server's page for what is not there begin at its root.
    assert [address for address in addresses if not (site / urlsplit(address).path.removeprefix("/")).is_file()] == []
    styles = "".join(file.read_text("utf-8") for file in site.rglob("*.css"))
    assert re.findall(r"@import[^;]*//[^;]*;|url\(\s*['\"]?(?:https?:)?//[^)]*\)", styles) == []


def test_a_link_of_the_site_to_elsewhere_is_one_of_the_pages(site: Path) -> None:
    links = {link for file in site.rglob("*.html") for link in Fetched(file.read_text("utf-8")).links}
    ours = set(LINK.findall("".join(readme.PAGES.values())))
    assert {link for link in links if ELSEWHERE.match(link)} <= ours


@pytest.mark.parametrize("file", [*readme.PAGES, *(ROOT / name for name in OF_THE_FRONT)], ids=lambda file: file.name)
def test_no_path_of_a_machine_and_no_registry_is_named(file: Path) -> None:
    assert not re.search(r"/(root|home|tmp|work)/|pypi|https?://[^ ]*simple", file.read_text(encoding="utf-8"))


def test_every_server_of_a_download_is_named() -> None:
    text = (ROOT / "docs/network-access.md").read_text(encoding="utf-8")
    downloads = [url for row in SETS.values() for download in row.downloads for url in download.urls]
    imagenet = [weights.url for name in BACKBONES if (weights := backbone(name).imagenet)]
    weights = imagenet + [row.places365 for row in BACKBONES.values()]
    # The hub's library knows its own address.
    hosts = {urlsplit(url).hostname for url in [*downloads, *weights] if url} | {"huggingface.co"}
    assert len(hosts) > 5
    rows = [readme.cells(line)[1] for line in text.splitlines() if line.startswith(("| `data", "| `weights"))]
    assert {host for row in rows for host in re.findall(r"`([\w.]+)`", row)} == hosts


def test_only_the_downloads_ask_a_server() -> None:
    """`live` asks the machine for its own name, `failures` knows errors, `remotes` takes an address apart.

    So does `artifacts`, and `mlflow` looks whether its server can listen on one.
    """
    asks = re.compile(
        r"^\s*(?:import|from) (?:requests|urllib\d?|http|socket|ftplib|httpx|aiohttp|huggingface_hub)\b"
        r"|\bhub\.(?:load|download)",
        re.M,
    )
    files = [file for file in (ROOT / "pipeline").rglob("*.py") if asks.search(file.read_text(encoding="utf-8"))]
    own = {"live", "failures", "remotes", "artifacts", "mlflow"}
    assert {file.stem for file in files} == {"fetching", "hub", "responses", "transfer", *own}


def test_the_guides_commands_are_of_its_own_names_and_of_tests_that_are_there() -> None:
    """What they do is tried by test_extending.py, in a copy with the guide's blocks."""
    text = readme.PAGES[readme.GUIDE]
    names = set(re.findall(r'^ *"(\w+)"[:,]', text, re.MULTILINE)) | {"3b"}
    commands = [shlex.split(command) for command in readme.commands(re.sub(r"```.*?```", "", text, flags=re.DOTALL))]
    programs = {tuple(words[:2]) for words in commands if words[0] != "pytest"}
    assert programs == {("orbweaver", "describe"), ("orbweaver", "compare"), ("dvc", "exp"), ("dvc", "repro")}
    for words in (words for words in commands if "-S" in words or "-k" in words):
        named = {after.rpartition("=")[2] for before, after in pairwise(words) if before in ("-S", "-k")}
        assert named
        assert named - {"identity", "imagenet", "224", "/path/to/a/copy"} <= names
        assert all((ROOT / word).exists() for word in words if word.startswith("tests/"))
