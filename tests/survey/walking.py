"""A rater with hands: goes through a survey's page in a browser."""

import json


class Walk:
    """One open page, and what the browser complained about or asked the network for."""

    def __init__(self, context, path, expect_trouble=False):
        self.expect_trouble = expect_trouble
        self.trouble = []
        self.page = context.new_page()
        self.page.set_default_timeout(10_000)
        self.page.on("console", lambda message: self.trouble.append(message.text))
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.on("request", self._asked)
        self.url = path.resolve().as_uri()
        self.page.goto(self.url)

    def _asked(self, request):
        if request.url != self.url and not request.url.startswith(("data:", "blob:")):
            self.trouble.append(f"request of {request.url}")

    def start(self):
        button = self.page.get_by_role("button", name="Start")
        assert button.is_disabled(), "nobody begins without consent"
        self.page.get_by_label("I have read this").check()
        button.click()

    def finished(self):
        return self.page.locator("h1").inner_text() == "Thank you!"

    def answers(self):
        return self.page.locator("main button[data-answer]")

    def ready(self):
        """What the page waits for: an "answer", or a "button" to go on."""
        self.page.locator(
            "main button[data-answer]:enabled, main button.main:enabled"
        ).first.wait_for()
        return "button" if self.page.locator("main button.main").count() else "answer"

    def step(self, answer=None):
        """One screen: an answer if it asks for one, else its button."""
        if self.ready() == "button":
            self.page.locator("main button.main").click()
        elif answer:
            answer()
        else:
            self.answers().first.click()

    def result(self):
        """The answers as they stand on the last page, to be copied."""
        return json.loads(self.page.locator("#code").input_value())

    def download(self, folder):
        with self.page.expect_download() as waiting:
            self.page.get_by_role("button", name="Save my answers").click()
        path = folder / waiting.value.suggested_filename
        waiting.value.save_as(path)
        return path
