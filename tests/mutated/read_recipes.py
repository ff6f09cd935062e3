# SPDX-License-Identifier: Apache-2.0
"""Reads mutated recipes; started by tests/recipes/test_damaged_recipes.py."""

import sys

import mutations

from mixer_tf import recipes


def read(content: bytes) -> str | None:
    try:
        recipe = recipes.Recipe.from_json(content.decode("utf-8", "surrogateescape"))
    except ValueError as error:
        return None if len(str(error)) < 700 else f"a message of {len(str(error))} characters"
    return "" if recipes.Recipe.from_json(recipe.to_json()) == recipe else "not equal to its JSON"


if __name__ == "__main__":
    original = recipes.get(sys.argv[1]).to_json().encode()
    mutations.report(mutations.mutate(original, int(sys.argv[2])), read)
