"""The page's files as they go over HTTP: types, headers, caching, compression, and what they weigh."""

import gzip
import re
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath

import httpx
import pytest
from starlette.applications import Starlette
from tests.inference.api.test_openapi import KEY, OneKey
from tests.support.asgi import Client
from tests.support.stubs import ListAudit

from chest_xray.inference.api.app import create_app
from chest_xray.inference.api.pages import FOLDER, INDEX, add_pages, read_assets
from chest_xray.inference.container.__main__ import compose
from chest_xray.inference.http.boundary import Boundary
from chest_xray.inference.http.problems import add_problem_handlers
from chest_xray.inference.predictor import OnnxPredictor

FIRST_PAINT_BYTES = 100_000
NO_COMPRESSION = {"accept-encoding": "identity"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "viewer").mkdir()
    (tmp_path / INDEX).write_text("<!doctype html><title>page</title>" + " " * 500)
    (tmp_path / "page.css").write_text("body { color: black }")
    (tmp_path / "viewer" / "index.js").write_text("export const one = 1;\n" * 50)
    (tmp_path / "notes.txt").write_text("not served")
    (tmp_path.parent / "secret.js").write_text("outside")
    return tmp_path


@pytest.fixture
def client(folder: Path) -> Client:
    app = Starlette()
    add_pages(app, read_assets(folder))
    add_problem_handlers(app)
    return Client(Boundary(app, None))


@pytest.fixture(scope="module")
def served(tiny_predictor: OnnxPredictor) -> Client:
    return Client(create_app(tiny_predictor))


def test_the_index_and_the_files_below_it_are_served_under_their_types(client: Client, folder: Path) -> None:
    for path, name, kind in (
        ("/", INDEX, "text/html; charset=utf-8"),
        ("/page/page.css", "page.css", "text/css; charset=utf-8"),
        ("/page/viewer/index.js", "viewer/index.js", "text/javascript; charset=utf-8"),
    ):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
        assert answer.content == (folder / name).read_bytes()
        assert answer.headers["x-content-type-options"] == "nosniff"
        head = client.request("HEAD", path, headers=NO_COMPRESSION)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str((folder / name).stat().st_size)


@pytest.mark.parametrize(
    "path",
    [
        "/page/",
        "/page/notes.txt",
        "/page/none.js",
        "/page/viewer",
        "/page/../secret.js",
        "/page/%2e%2e/secret.js",
        "/page/..%2fsecret.js",
        "/page//etc/passwd",
        "/page/viewer/%00",
        "/index.html",
        "/page/~1/",
        "/page/~1/none.js",
        "/page/~1/../secret.js",
        "/page/~1/~2/viewer/index.js",
        "/page/~x/viewer/index.js",
    ],
)
def test_nothing_outside_of_the_table_is_served(client: Client, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_module_has_further_addresses_for_browsers_that_it_did_not_reach(client: Client) -> None:
    assert client.get("/page/~12/viewer/index.js").content == client.get("/page/viewer/index.js").content


def test_files_are_read_once_when_the_application_starts(client: Client, folder: Path) -> None:
    before = client.get("/page/page.css").text
    (folder / "page.css").write_text("changed")
    (folder / "late.js").write_text("late")
    assert client.get("/page/page.css").text == before
    assert client.get("/page/late.js").status_code == 404


def test_a_browser_that_has_a_file_is_told_so_without_its_bytes(client: Client) -> None:
    for headers in ({}, NO_COMPRESSION):
        first = client.get("/page/viewer/index.js", headers=headers)
        tag = first.headers["etag"]
        assert first.headers["cache-control"] == "no-cache"
        for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            again = client.get("/page/viewer/index.js", headers=headers | {"if-none-match": known})
            assert (again.status_code, again.content) == (304, b"")
            assert (again.headers["etag"], again.headers["cache-control"]) == (tag, "no-cache")
        assert client.get("/page/viewer/index.js", headers=headers | {"if-none-match": '"other"'}).status_code == 200


def test_a_changed_file_has_another_tag(folder: Path) -> None:
    before = read_assets(folder)["page.css"].digest
    (folder / "page.css").write_text("body { color: white }")
    assert read_assets(folder)["page.css"].digest != before


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("br, GZIP;q=0.5", "gzip"),
        ("gzip;q=0", None),
        ("gzip; q=0.000", None),
        ("br", None),
        ("", None),
        ("identity", None),
    ],
)
def test_a_file_is_compressed_for_who_takes_that(
    client: Client, folder: Path, accepted: str, coding: str | None
) -> None:
    answer = client.get("/page/viewer/index.js", headers={"accept-encoding": accepted})
    assert answer.headers.get("content-encoding") == coding
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.content == (folder / "viewer" / "index.js").read_bytes()  # httpx has unpacked it
    length = int(answer.headers["content-length"])
    assert (length < len(answer.content)) == (coding == "gzip")


def test_the_compressed_and_the_plain_file_have_tags_of_their_own(client: Client) -> None:
    tags = {client.get("/", headers={"accept-encoding": coding}).headers["etag"] for coding in ("gzip", "identity")}
    assert len(tags) == 2
    asset = read_assets(FOLDER)[INDEX]
    assert asset.compressed is not None
    assert gzip.decompress(asset.compressed) == asset.plain


def policy(answer: httpx.Response) -> dict[str, str]:
    directives = answer.headers["content-security-policy"].split("; ")
    return {name: value for name, _, value in (directive.partition(" ") for directive in directives)}


def test_the_page_may_run_and_fetch_nothing_but_its_own(client: Client) -> None:
    for path in ("/", "/page/page.css"):
        answer = client.get(path)
        assert policy(answer) == {
            "default-src": "'none'",
            "script-src": "'self'",
            "style-src": "'self'",
            "img-src": "'self' blob: data:",
            "connect-src": "'self'",
            "worker-src": "'self'",
            "base-uri": "'none'",
            "form-action": "'none'",
            "frame-ancestors": "'none'",
            "require-trusted-types-for": "'script'",
        }
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        allowed = re.findall(r"([\w-]+)=(\S+?)(?:,|$)", answer.headers["permissions-policy"])
        assert {value for _, value in allowed} == {"()"}
        assert {"camera", "microphone", "geolocation"} <= {name for name, _ in allowed}


def test_every_other_answer_is_no_page_and_stays_here(served: Client) -> None:
    for path in ("/v1/model", "/healthz", "/nothing", "/metrics"):
        answer = served.get(path)
        assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"


def test_the_page_needs_no_key_and_the_data_do(tiny_predictor: OnnxPredictor) -> None:
    client = Client(create_app(tiny_predictor, access=OneKey()))
    names = [name for name in read_assets() if name != INDEX]
    assert {client.get(f"/page/{name}").status_code for name in names} <= {200}
    assert client.get("/").status_code in {200, 404}
    for path in ("/v1/model", "/v1/predictions", "/page", "/pages/x", "//page/x", "/openapi.json"):
        assert client.get(path).status_code == 401
    assert client.get("/v1/model", headers=KEY).status_code == 200
    assert client.post("/page/x", content=b"x").status_code == 405


def test_the_container_has_no_page(tiny_predictor: OnnxPredictor) -> None:
    app, _ = compose(tiny_predictor, ListAudit())
    assert {Client(app).get(path).status_code for path in ("/", "/page/index.html")} == {404}


# ---- the page itself


class _Loads(HTMLParser):
    """What an HTML file makes a browser fetch at once."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        url = values.get("src") if tag in ("script", "img") else values.get("href") if tag == "link" else None
        if url and not url.startswith("data:"):
            self.found.add(url)


_STATIC_IMPORTS = re.compile(r"""^(?:import|export)\s(?:[^;'"]*?\sfrom\s)?\s*["']([^"']+)["']""", re.MULTILINE)
_STYLE_IMPORTS = re.compile(r"""(?:@import\s+(?:url\()?|url\()["']?([^"')]+)""")


def loaded_at_once(folder: Path) -> dict[str, int]:
    """The files of the first paint with their bytes: the index, what it names, and what these import statically."""
    loads = _Loads()
    loads.feed((folder / INDEX).read_text())
    waiting = {url.removeprefix("/page/") for url in loads.found}
    found = {INDEX: (folder / INDEX).stat().st_size}
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        text = (folder / name).read_text()
        found[name] = len(text.encode())
        pattern = _STATIC_IMPORTS if name.endswith(".js") else _STYLE_IMPORTS
        for url in pattern.findall(text):
            if not url.startswith(("data:", "#")):
                target = PurePosixPath("/", PurePosixPath(name).parent, url)
                waiting.add(str(Path(str(target)).resolve()).removeprefix("/"))
    return found


def test_the_first_paint_weighs_less_than_100_kb() -> None:
    files = loaded_at_once(FOLDER)
    assert {name for name in files if name.endswith((".js", ".css"))}
    assert sum(files.values()) < FIRST_PAINT_BYTES, files


def test_what_the_index_names_is_served(served: Client) -> None:
    loads = _Loads()
    loads.feed(served.get("/").text)
    assert loads.found
    assert {url: served.get(url).status_code for url in loads.found} == dict.fromkeys(loads.found, 200)
