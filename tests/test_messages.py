# SPDX-License-Identifier: Apache-2.0
import unicodedata

import pytest

from mixer_tf.console import format_table
from mixer_tf.messages import clear_message, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cat", "cat"),
        ("été 夏 חתול 👩\u200d🔬", "été 夏 חתול 👩\u200d🔬"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x1b[31mred\x9b0m\x7f", "\\x1b[31mred\\x9b0m\\x7f"),
        ("cat\u202egpj.exe\u200f", "cat\\u202egpj.exe\\u200f"),
        ("a\u2028b\udcff", "a\\u2028b\\udcff"),
        ("a\\nb", "a\\nb"),
    ],
)
def test_what_acts_on_a_terminal_is_written_out(text, shown):
    assert visible(text) == shown


def test_every_control_character_is_written_out():
    for code in range(0x110000):
        character = chr(code)
        if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp"):
            assert visible(character).isascii() and visible(character).isprintable()


def test_an_error_keeps_its_lines_and_nothing_else_acts():
    assert clear_message(ValueError("no \x1b[2Jfile\tx")) == "no \\x1b[2Jfile\\tx"


def test_a_table_stays_aligned_whatever_a_cell_contains():
    rows = [["a\nb", "1"], ["c\td", "22"], ["\x1b[31mred", "3"], ["猫\u202e", "4"]]
    lines = format_table(("class", "images"), rows).splitlines()
    assert lines == [
        "class        images",
        "a\\nb              1",
        "c\\td             22",
        "\\x1b[31mred       3",
        "猫\\u202e          4",
    ]
