"""The page, as raters meet it: in a real browser, with mouse, keyboard and thumb."""

import itertools
import json
import re

import pytest
from walking import Walk

from anime_keras import survey

PHONE = {
    "viewport": {"width": 360, "height": 640},
    "has_touch": True,
    "is_mobile": True,
}


@pytest.fixture
def open_page(chromium, made):
    """Opens a survey in a browser of its own; in the end nothing may have been complained about."""
    walks = []

    def opened(page=None, script=None, expect_trouble=False, **options):
        context = chromium.new_context(**options)
        if script:
            context.add_init_script(script)
        walk = Walk(context, page or made.page, expect_trouble)
        walks.append(walk)
        return walk

    yield opened
    for walk in walks:
        walk.page.context.close()
    for walk in walks:
        if not walk.expect_trouble:
            assert walk.trouble == []


def test_a_whole_survey_with_the_mouse(open_page, made, tmp_path):
    # A rater's number that is known, so that order and sides are the same in every test run.
    walk = open_page(script="crypto.getRandomValues = (bytes) => bytes.fill(7)")
    texts = [walk.page.content()]
    walk.start()
    while not walk.finished():
        walk.step(lambda: walk.answers().last.click())
        texts.append(walk.page.locator("main").inner_html())
    walk.page.get_by_label("Anything you would like to say").fill("<b>nice</b> ‮ & more")
    file = walk.download(tmp_path)
    saved = json.loads(file.read_text(encoding="utf-8"))
    assert saved["survey"] == made.id
    assert saved["complete"] is True
    asked = sorted(trial.id for trial in made.trials)
    assert sorted(saved["order"]) == sorted(a["trial"] for a in saved["answers"]) == asked
    assert [a["trial"] for a in saved["answers"]] == saved["order"]
    tasks = {trial.id: trial.task for trial in made.trials}
    for answer in saved["answers"]:
        wanted = {"real": "generated", "rating": 5, "attribute": "no"}.get(tasks[answer["trial"]])
        # The button on the right is the second picture, but for those that were exchanged.
        wanted = wanted or ("a" if answer["flipped"] else "b")
        assert answer["answer"] == wanted
        assert 200 <= answer["ms"] < 60_000
    assert saved["rater"] == "07" * 8
    assert {answer.get("flipped") for answer in saved["answers"]} == {None, False, True}
    assert file.name == f"answers-{saved['rater']}.json"
    # Copied instead of saved, they are the same.
    assert walk.page.locator("#code").input_value() == file.read_text(encoding="utf-8")

    # Nothing of what is secret or hostile came into the page.
    assert walk.page.evaluate("window.hacked") is None
    whole = "".join(texts)
    assert "x_1" not in whole
    assert "labelled" not in whole
    assert "顔" not in whole
    alts = set(re.findall(r'alt="([^"]*)"', whole))
    assert alts == {
        "The picture to judge",
        *(
            f"The {what} on the {side}"
            for what in ("picture", "group")
            for side in ("left", "right")
        ),
    }

    rules = survey.Rules(checks=0, fastest=0, same=10**6)
    scores = survey.score([file], made.key, rules)
    assert scores.measure("real", "real").estimate.value == 1.0
    assert scores.measure("rating", "real").estimate.value == 5.0
    assert scores.comments == [(saved["rater"], "<b>nice</b> ‮ & more")]
    report = scores.write(tmp_path / "scores")
    shown = open_page(report)
    assert shown.page.locator("blockquote").inner_text() == "<b>nice</b> ‮ & more"
    assert shown.page.locator("script, b").count() == 0
    assert shown.page.evaluate("window.hacked") is None
    assert shown.page.evaluate("document.querySelectorAll('img').length") == 1


def test_with_the_keyboard_alone_and_brief_pictures(open_page, tmp_path, faces):
    short = survey.build(
        *(tmp_path / "brief.html", faces.images[:60], {"model": faces.images[60:]}),
        tasks=("real", "better", "rating"),
        count=2,
        checks=1,
        practice=2,
        exposure=100,
    )
    walk = open_page(short.page)
    keyboard = walk.page.keyboard

    def tab_to(name):
        for _ in range(12):
            keyboard.press("Tab")
            focused = walk.page.locator(":focus")
            if name in (focused.inner_text() or focused.get_attribute("id") or ""):
                outline = focused.evaluate("e => getComputedStyle(e).outlineStyle")
                assert outline == "solid", "where the focus is must be seen"
                return
        raise AssertionError(f"{name} cannot be reached by Tab")

    for _ in range(12):
        keyboard.press("Tab")
        if walk.page.locator(":focus").get_attribute("id") == "agree":
            break
    keyboard.press("Space")
    tab_to("Start")
    keyboard.press("Enter")
    pressed = 0
    while not walk.finished():
        # Screen readers begin with the question; from there the next stop is an answer.
        assert walk.page.evaluate("document.activeElement.tagName") == "H1"
        if walk.ready() == "button":
            tab_to("Practise")
            keyboard.press("Enter")
            continue
        pressed += 1
        if pressed % 2:
            keyboard.press("2")
        else:
            keyboard.press("Tab")
            assert walk.page.locator(":focus").get_attribute("data-answer") is not None
            keyboard.press("Space")
        if walk.page.locator(".feedback").count():
            assert walk.page.evaluate("document.activeElement.closest('.feedback') !== null")
            assert walk.page.locator("#status").inner_text().strip() != ""
            keyboard.press("Enter")
    saved = walk.result()
    tasks = {trial.id: trial.task for trial in short.trials}
    for answer in saved["answers"]:
        assert ("seen" in answer) == (tasks[answer["trial"]] == "real")
        # A frame more or less, on machines that are busy a few.
        assert 90 <= answer.get("seen", 100) < 1000


def test_number_keys_can_be_switched_off(open_page):
    walk = open_page()
    walk.page.get_by_label("number keys").uncheck()
    walk.start()
    while walk.ready() == "button":
        walk.step()
    before = walk.page.locator("main").inner_text()
    walk.page.keyboard.press("1")
    assert walk.page.locator("main").inner_text() == before


def test_on_a_phone_stopped_and_taken_up_again(open_page, made):
    walk = open_page(**PHONE)
    walk.start()
    answered, stopped = 0, False
    order = None
    while not walk.finished():
        width = walk.page.evaluate("document.documentElement.scrollWidth")
        assert width <= 360, walk.page.locator("h1").inner_text()
        smallest = walk.page.evaluate(
            "Math.min(...[...document.querySelectorAll('main button')].flatMap("
            "b => [b.offsetWidth, b.offsetHeight]))"
        )
        assert smallest >= 44, "too small for a thumb"
        if answered == 4 and not stopped:
            stopped = True
            walk.page.get_by_role("button", name="Stop here").tap()
            partial = walk.result()
            assert partial["complete"] is False
            order = partial["order"]
            done = len(partial["answers"])
            walk.page.get_by_role("button", name="Back to the questions").tap()
            walk.page.reload()
            walk.page.get_by_text(f"You have answered {done} of {len(made.trials)}").wait_for()
            walk.page.get_by_role("button", name="Go on where I was").tap()
            continue
        if walk.ready() == "answer":
            answered += 1
        walk.step(lambda: walk.answers().first.tap())
    saved = walk.result()
    assert saved["order"] == order
    assert saved["complete"] is True
    assert saved["answers"][: len(partial["answers"])] == partial["answers"]
    # What was kept can be deleted.
    walk.page.get_by_role("button", name="Forget my answers").tap()
    assert walk.page.evaluate("localStorage.length") == 0
    walk.page.reload()
    assert walk.page.get_by_role("button", name="Go on").count() == 0


def test_every_rater_has_an_order_of_their_own(open_page, made):
    walk = open_page()
    orders = []
    for _ in range(6):
        walk.start()
        walk.page.get_by_role("button", name="Stop here").click()
        orders.append(walk.result()["order"])
        walk.page.get_by_role("button", name="Forget my answers").click()
    assert len({tuple(order) for order in orders}) == 6
    tasks = {trial.id: trial.task for trial in made.trials}
    for order in orders:
        kinds = [tasks[trial] for trial in order]
        # Kinds are not mixed: 5 kinds, 4 changes.
        assert sum(a != b for a, b in itertools.pairwise(kinds)) == 4
    assert len({tasks[order[0]] for order in orders}) > 1


def test_a_browser_that_keeps_nothing(open_page):
    walk = open_page(
        script="Object.defineProperty(window, 'localStorage', {get() { throw new Error('no') }})"
    )
    assert walk.page.get_by_text("answer all in one go").count() == 1
    walk.start()
    walk.step()
    walk.page.get_by_role("button", name="Stop here").click()
    assert walk.result()["complete"] is False


def test_damaged_leftovers_do_not_stop_it(open_page, made):
    key = f"anime-survey-{made.id}"
    for left in (
        "{",
        "null",
        '{"rater": 3}',
        '{"rater":"0123456789abcdef","answers":[],"step":1e9}',
    ):
        walk = open_page(script=f"localStorage.setItem({key!r}, {left!r})")
        assert walk.page.get_by_role("button", name="Go on").count() == 0
        walk.start()
        assert walk.ready() == "button"


def test_the_policy_keeps_network_and_foreign_scripts_out(open_page):
    walk = open_page(expect_trouble=True)
    script = "window.hacked = 1"
    walk.page.evaluate(
        "text => { const s = document.createElement('script'); s.textContent = text;"
        " document.body.append(s) }",
        script,
    )
    assert walk.page.evaluate("window.hacked") is None
    failed = walk.page.evaluate("fetch('https://example.org/').then(() => 'sent', () => 'refused')")
    assert failed == "refused"
    for what in ("script-src", "connect-src"):
        found = [
            text for text in walk.trouble if what in text and "Content Security Policy" in text
        ]
        assert found, walk.trouble


def test_in_a_notebook(chromium, made):
    shown = survey.in_notebook(made)
    page = chromium.new_page()
    trouble = []
    page.on("console", lambda message: trouble.append(message.text))
    page.set_content(f"<!doctype html><title>notebook</title>{shown.data}")
    frame = page.frame_locator("iframe")
    frame.get_by_label("I have read this").check()
    frame.get_by_role("button", name="Start").click()
    frame.locator("main button.main").click()
    frame.locator("button[data-answer]:enabled").first.wait_for()
    assert page.evaluate("window.hacked") is None
    page.close()
    assert trouble == []
