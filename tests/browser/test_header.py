"""The digest, and the help with the keys: what stands above and over the page."""

from playwright.sync_api import Page, expect
from tests.browser.desk import Reading
from tests.browser.serving import Server

NO_CLIPBOARD = "Object.defineProperty(navigator, 'clipboard', {value: undefined});"
KEYS = """() => import("/page/controls/actions.js").then(({GROUPS, keyName}) =>
  GROUPS.flatMap(({actions}) => actions.map(({label, keys}) => [keys.map(keyName).join(" or "), label])))"""


def digest_of(page: Page) -> str:
    told = page.locator("#digest").get_attribute("title")
    assert told is not None
    return told.partition(": ")[2].partition(".")[0]


def test_the_digest_is_copied_in_full(page: Page, server: Server) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    Reading(page, server).open()
    digest = digest_of(page)

    page.locator("#digest").click()

    expect(page.locator("#digest")).to_have_text("copied")
    assert page.evaluate("() => navigator.clipboard.readText()") == digest
    assert len(digest) == 64
    expect(page.locator("#digest")).to_have_text(digest[:12])


def test_the_digest_is_shown_in_full_where_the_browser_has_no_clipboard(page: Page, server: Server) -> None:
    # Browsers keep it from pages that come by plain HTTP from another machine.
    page.add_init_script(NO_CLIPBOARD)
    Reading(page, server).open()

    page.locator("#digest").click()

    expect(page.locator("#digest")).to_have_text(digest_of(page))


def test_the_help_has_every_key_beside_what_it_does(page: Page, server: Server) -> None:
    Reading(page, server).open()
    page.locator("#open-help").click()

    expected = page.evaluate(KEYS)

    terms = page.locator("#help dt").all_inner_texts()
    told = list(zip(terms, page.locator("#help dd").all_inner_texts(), strict=True))
    assert len(expected) > 25
    assert [pair for pair in expected if tuple(pair) not in told] == []
    page.locator("#help").get_by_role("button", name="Close").click()
    expect(page.locator("#help")).to_be_hidden()
    expect(page.locator("#open-help")).to_be_focused()
