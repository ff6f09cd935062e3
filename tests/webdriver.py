# SPDX-License-Identifier: Apache-2.0
"""A headless browser for tests of pages; a test that needs one is skipped where there is none.

chromedriver is driven by its own protocol (W3C WebDriver) with the standard library.
"""

import base64
import contextlib
import json
import re
import shutil
import subprocess
import time
import urllib.request

import pytest

DRIVER, BROWSER = shutil.which("chromedriver"), shutil.which("chromium") or shutil.which("chrome")
needs_browser = pytest.mark.skipif(
    not (DRIVER and BROWSER), reason="needs chromium and chromedriver (apt install chromium-driver)"
)
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
ENTER = "\ue007"


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
        data = json.dumps(body or {}).encode() if method == "POST" else None
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

    def wait_until(self, script: str, *arguments, seconds: float = 60) -> None:
        """Waits until the script returns something true; fails with what the page shows."""
        end = time.monotonic() + seconds
        while not self.run(script, *arguments):
            assert time.monotonic() < end, f"{script} {arguments}: {self.text()[-3000:]}"
            time.sleep(0.2)

    def text(self) -> str:
        """The text of the page, also of what is in shadow roots."""
        return self.run(f"return {_TEXT}")

    def wait_for_words(self, *words: str) -> None:
        for word in words:
            self.wait_until(f"return {_TEXT}.includes(arguments[0])", word)

    def screenshot(self, width: int, height: int) -> bytes:
        """A PNG of the page in a window of this size."""
        self.call("POST", "/window/rect", {"width": width, "height": height})
        return base64.b64decode(self.call("GET", "/screenshot"))


# Of an element, and of all that it holds; styles and scripts are not shown.
_TEXT = """(function read(node) {
  if (node.nodeType === Node.TEXT_NODE) return node.textContent + " ";
  if (["STYLE", "SCRIPT", "TEMPLATE"].includes(node.nodeName)) return "";
  const parts = [...(node.shadowRoot ? node.shadowRoot.childNodes : []), ...node.childNodes];
  return parts.map(read).join("");
})(document.body)"""


@contextlib.contextmanager
def open_browser():
    """Yields a Browser."""
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
