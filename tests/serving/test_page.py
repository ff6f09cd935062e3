# SPDX-License-Identifier: Apache-2.0
"""The page of the server in a real browser: choosing, dropping, refused files, the keyboard."""

import base64
import re
import urllib.error
import urllib.request

import pytest
from webdriver import ENTER, needs_browser, open_browser

from mixer_tf.serving.server import page


@pytest.fixture(scope="module")
def browser():
    with open_browser() as browser:
        yield browser


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
    opened.press(ENTER)
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
