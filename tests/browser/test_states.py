"""What the page does when it cannot do what it is there for."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.browser.conftest import Faults
from tests.browser.desk import LOADED, REFUSAL, Reading, write_films
from tests.browser.serving import Server
from tests.support import bundles

from chest_xray.inference.http.keys import KeyFile

GONE = r"Failed to load resource|ERR_CONNECTION|request failed"


def test_an_empty_page_says_what_to_do_and_what_it_is_not_for(page: Page, server: Server) -> None:
    Reading(page, server).open()
    expect(page.locator("#empty")).to_contain_text("chest films")
    expect(page.locator("footer")).to_contain_text("Research use only. Not a medical device.")
    expect(page.locator("#banner")).to_be_hidden()


def test_a_server_that_dies_loses_nothing_and_is_gone_on_with(
    page: Page, own_server: Server, faults: Faults, tmp_path: Path
) -> None:
    faults.expect(GONE)
    films = write_films(tmp_path, 2)
    own_server.deploy()
    own_server.start()
    reading = Reading(page, own_server).open().add(films[0])

    own_server.kill()
    page.set_input_files("#choose", films[1])
    expect(page.locator("#banner")).to_contain_text("The server does not answer", timeout=LOADED)
    expect(reading.row(films[0])).to_contain_text("\u00d7")
    own_server.start()

    expect(page.locator("#banner")).to_be_hidden(timeout=LOADED)
    expect(page.locator(".film-row.scored")).to_have_count(2, timeout=LOADED)


def test_without_a_model_the_page_says_the_command_and_goes_on_by_itself(
    page: Page, own_server: Server, faults: Faults, tmp_path: Path
) -> None:
    faults.expect(GONE)
    own_server.start()
    page.goto(own_server.address + "/")
    expect(page.locator("#banner")).to_contain_text("cxr deploy --model-name", timeout=LOADED)
    (film,) = write_films(tmp_path, 1)
    page.set_input_files("#choose", film)

    own_server.deploy()

    expect(page.locator(".film-row.scored")).to_have_count(1, timeout=LOADED)
    expect(page.locator("#banner")).to_be_hidden()


def test_a_key_is_asked_for_and_kept_for_the_tab_only(
    page: Page, own_server: Server, faults: Faults, tmp_path: Path
) -> None:
    faults.expect(REFUSAL, "ERR_CONNECTION|ERR_ABORTED")
    own_server.home.mkdir(parents=True)
    key = KeyFile(own_server.home).add("reader", rate=600)
    secret = key if isinstance(key, str) else key[1]
    own_server.deploy()
    own_server.start()
    page.goto(own_server.address + "/")
    dialog = page.locator("#key-dialog")

    expect(dialog).to_be_visible(timeout=LOADED)
    page.locator("#key").fill("cxr_wrong")
    with page.expect_response(lambda response: response.status == 401, timeout=LOADED):
        dialog.get_by_role("button", name="Use it").click()
    expect(page.locator("#banner")).to_contain_text("API key", timeout=LOADED)
    expect(dialog).to_be_visible(timeout=LOADED)
    page.locator("#key").fill(secret)
    dialog.get_by_role("button", name="Use it").click()

    expect(page.locator("#model-name")).to_be_visible(timeout=LOADED)
    assert page.evaluate("() => [JSON.stringify(localStorage), document.cookie].join()").count("cxr_") == 0
    (film,) = write_films(tmp_path, 1)
    Reading(page, own_server).add(film).choose(film)


def test_a_film_unlike_the_training_films_shows_no_score_and_no_map(
    page: Page, own_server: Server, tmp_path: Path
) -> None:
    own_server.deploy(guard=bundles.GUARD.model_copy(update={"threshold": 1e-9}))
    own_server.start()
    (film,) = write_films(tmp_path, 1)
    reading = Reading(page, own_server).open().add(film).choose(film)

    expect(page.locator("#warnings")).to_contain_text("unlike the training films")
    expect(page.locator("#warnings")).to_contain_text("mean nothing")
    expect(page.locator("#warnings")).to_contain_text("withheld")
    expect(page.locator("#findings-list li")).to_have_count(0)
    expect(reading.row(film)).to_contain_text("read it yourself: unlike training films")
    page.keyboard.press("1")
    expect(page.locator("#legend")).to_have_class("legend without")


def test_a_file_over_the_limit_is_not_sent(page: Page, server: Server, tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    with large.open("wb") as file:
        file.truncate(65 * 2**20)
    asked: list[str] = []
    reading = Reading(page, server).open()
    page.on("request", lambda request: asked.append(request.url))

    page.set_input_files("#choose", large)

    expect(reading.row(large)).to_contain_text("65 MiB; at most 64 MiB")
    assert [url for url in asked if "/v1/" in url] == []


def test_cancelling_leaves_out_what_is_not_scored_yet(
    page: Page, server: Server, faults: Faults, tmp_path: Path
) -> None:
    faults.expect("ERR_ABORTED")
    Reading(page, server).open()
    page.route("**/v1/predictions**", lambda route: None)
    page.set_input_files("#choose", write_films(tmp_path, 4))
    expect(page.locator(".film-row")).to_have_count(4)

    page.locator("#cancel").click()

    expect(page.locator(".film-row")).to_have_count(0)
    expect(page.locator("#empty")).to_be_visible()


@pytest.mark.parametrize("kind", ["no WebGL2", "WebGL2"])
def test_the_film_is_drawn_with_and_without_webgl(page: Page, server: Server, tmp_path: Path, kind: str) -> None:
    if kind == "no WebGL2":
        page.add_init_script(
            "const get = HTMLCanvasElement.prototype.getContext;"
            "HTMLCanvasElement.prototype.getContext = function (kind, ...rest)"
            " { return kind === 'webgl2' ? null : get.call(this, kind, ...rest); };"
        )
    (film,) = write_films(tmp_path, 1)
    Reading(page, server).open().add(film).choose(film)
    picture = page.locator("#first canvas.film").screenshot()
    assert len(set(picture)) > 100
