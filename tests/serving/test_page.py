# SPDX-License-Identifier: Apache-2.0
"""The page of the server in a real browser: choosing, dropping, refused files, the keyboard.

chromedriver is driven by its own protocol (W3C WebDriver) with the standard library.
"""

import base64
import json
import pathlib
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from mixer_tf.serving.server import page

DRIVER, BROWSER = shutil.which("chromedriver"), shutil.which("chromium") or shutil.which("chrome")
needs_browser = pytest.mark.skipif(
    not (DRIVER and BROWSER), reason="needs chromium and chromedriver (apt install chromium-driver)"
)
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_ENTER = "\ue007"


class Browser:
    """A session of chromedriver."""

    def __init__(self, port: int):
        self._url = f"http://localhost:{port}"
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        options = {"args": arguments, "binary": BROWSER}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        body = {"capabilities": {"alwaysMatch": wanted}}
        self._url += f"/session/{self.call('POST', '/session', body)['sessionId']}"

    def call(self, method: str, path: str, body=None):
        data = json.dumps(body).encode() if method == "POST" else None
        request = urllib.request.Request(self._url + path, data, method=method)
        with urllib.request.urlopen(request, timeout=120) as response:
            return json.loads(response.read())["value"]

    def open(self, address: str) -> None:
        self.call("POST", "/url", {"url": address})

    def run(self, script: str, *arguments):
        return self.call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def type_into(self, selector: str, text: str) -> None:
        found = self.call("POST", "/element", {"using": "css selector", "value": selector})
        self.call("POST", f"/element/{found[_ELEMENT]}/value", {"text": text})

    def press(self, key: str) -> None:
        keys = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
        self.call("POST", "/actions", {"actions": [{"type": "key", "id": "k", "actions": keys}]})

    def wait_for_text(self, selector: str, pattern: str) -> str:
        end = time.monotonic() + 60
        while True:
            text = self.run(
                "return document.querySelector(arguments[0])?.innerText || ''", selector
            )
            if re.search(pattern, text):
                return text
            assert time.monotonic() < end, f"{selector} has the text {text!r}"
            time.sleep(0.1)

    def errors(self) -> list[str]:
        logged = self.call("POST", "/se/log", {"type": "browser"})
        return [each["message"] for each in logged if "status of 400" not in each["message"]]


@pytest.fixture(scope="module")
def browser():
    driver = subprocess.Popen([DRIVER, "--port=0"], stdout=subprocess.PIPE, text=True)
    try:
        port = next(
            int(found.group(1))
            for line in driver.stdout
            if (found := re.search(r"started successfully on port (\d+)", line))
        )
        browser = Browser(port)
        yield browser
        browser.call("DELETE", "")
    finally:
        driver.terminate()
        driver.wait()


@pytest.fixture
def opened(browser, model_server):
    browser.open(f"http://localhost:{model_server.rest_port}/")
    return browser


@needs_browser
def test_chosen_images_get_classes_probabilities_and_time(opened, served, tmp_path):
    paths = []
    for index, image in enumerate(served.images):
        path = tmp_path / f"image <{index}>.img"
        path.write_bytes(image)
        paths.append(str(path))
    assert opened.run("return document.title").startswith("pets")
    opened.type_into("#files", "\n".join(paths))
    opened.wait_for_text("#status", "^4 images classified.$")
    for index in range(4):  # the newest is first
        text = opened.run(
            "return document.querySelectorAll('#results > li')[arguments[0]].innerText", 3 - index
        )
        assert f"image <{index}>.img" in text
        for name, probability in served.best(index):
            assert name in text and f"{100 * probability:.1f} %" in text
        assert re.search(r"\d+ ms", text)
    widths = opened.run(
        "return [...document.querySelectorAll('#results img')].map((image) => image.naturalWidth)"
    )
    assert widths == [23] * 4
    assert opened.errors() == []


@needs_browser
def test_dropped_files_that_are_not_images_are_refused_one_by_one(opened, served):
    drop = """
      const transfer = new DataTransfer();
      for (const [name, content] of arguments[0]) {
        const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
        transfer.items.add(new File([bytes], name));
      }
      document.getElementById("drop").dispatchEvent(
        new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: transfer }));
    """
    files = [("no image.jpg", b"text"), ("good.jpg", served.images[0]), ("empty.png", b"")]
    opened.run(drop, [[name, base64.b64encode(content).decode()] for name, content in files])
    opened.wait_for_text("#status", "^1 image classified, 2 refused.$")
    texts = opened.run(
        "return [...document.querySelectorAll('#results > li')].map((item) => item.innerText)"
    )
    assert "must be JPEG, PNG, GIF or BMP" in texts[2] and "must be JPEG" in texts[0]
    assert served.best(0)[0][0] in texts[1]


@needs_browser
def test_the_keyboard_reaches_the_choice_of_files(opened):
    opened.run("document.getElementById('files').click = () => { window.wasOpened = true; }")
    opened.press("\ue004")  # Tab
    assert opened.run("return document.activeElement.id") == "files"
    border = "return getComputedStyle(document.getElementById('drop')).outlineStyle"
    assert opened.run(border) == "solid"
    opened.press(_ENTER)
    assert opened.run("return window.wasOpened === true")


def test_the_page_loads_nothing_from_elsewhere(model_server):
    address = f"http://localhost:{model_server.rest_port}/"
    with urllib.request.urlopen(address, timeout=60) as response:
        text, policy = response.read().decode(), response.headers["Content-Security-Policy"]
    assert not re.findall(r"https?://", text)
    assert not re.findall(r"\b(?:src|href)=(?!\"data:)", text)
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy


def test_the_name_of_the_model_is_escaped():
    text = page.render('<script>"x"').decode()
    assert "<title>&lt;script&gt;&quot;x&quot; –" in text
    assert text.count("<script>") == 1


def test_the_page_is_part_of_the_package():
    setup = (pathlib.Path(__file__).parents[2] / "setup.py").read_text()
    assert '"mixer_tf.serving.server": ["page.html"]' in setup
