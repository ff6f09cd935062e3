# SPDX-License-Identifier: Apache-2.0
"""Unpickles what torch.save writes, and nothing else: no code is run, and work is bounded."""

from __future__ import annotations

import collections
import io
import pickle
from collections.abc import Callable
from typing import BinaryIO

MAX_BYTES = 4 << 20  # of a pickle, which holds about 200 bytes for each tensor
_MAX_ARGUMENTS = 16  # of a call
_MAX_MESSAGE = 200
_KEY_TYPES = (str, int, float, bool, type(None))  # whose hash takes no time

# All that torch.save writes. Others are refused: some allocate any size that the file states.
_OPCODES = (
    *("PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK", "MEMOIZE", "PUT", "BINPUT"),
    *("LONG_BINPUT", "GET", "BINGET", "LONG_BINGET", "NONE", "NEWTRUE", "NEWFALSE", "INT"),
    *("BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING"),
    *("BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "UNICODE", "BINUNICODE"),
    *("SHORT_BINUNICODE", "BINUNICODE8", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
    *("EMPTY_LIST", "LIST", "APPEND", "APPENDS", "EMPTY_DICT", "DICT", "SETITEM", "SETITEMS"),
    *("EMPTY_SET", "ADDITEMS", "GLOBAL", "STACK_GLOBAL", "BINPERSID", "REDUCE", "NEWOBJ", "BUILD"),
)


class _Dispatch(dict):
    """The method for each opcode."""

    def __missing__(self, opcode):
        raise pickle.UnpicklingError(f"it has opcode {opcode}, which torch.save does not write")


class Ignored:
    """Replaces an object beside the weights whose value is not needed, such as a Namespace."""

    def __init__(self, *args):
        pass


class RestrictedUnpickler(pickle._Unpickler):  # the one in C cannot refuse opcodes
    """Reads one pickle of dictionaries, lists, tuples, numbers, strings, and allowed classes.

    States of objects are read and ignored. Any key must be a string or a number.

    Args:
        file: is read from its current position; afterwards it is behind the pickle.
        allowed: (module, name) → what is called instead of that class or function.
    """

    def __init__(self, file: BinaryIO, allowed: dict[tuple[str, str], Callable]):
        self._outer, self._start = file, file.tell()
        self._inner = io.BytesIO(file.read(MAX_BYTES))  # no read of it allocates more than it has
        super().__init__(self._inner)
        self._allowed = {**allowed, ("collections", "OrderedDict"): self._ordered_dict}
        self._items_left = MAX_BYTES  # of all ordered dictionaries

    def load(self):
        loaded = super().load()
        self._outer.seek(self._start + self._inner.tell())
        return loaded

    def find_class(self, module, name):
        if (module, name) not in self._allowed:
            raise pickle.UnpicklingError(f"it names {module}.{name}"[:_MAX_MESSAGE])
        return self._allowed[module, name]

    def _ordered_dict(self, items=()):
        """Python 2 pickles an OrderedDict as a call with a list of its items."""
        if type(items) not in (list, tuple):
            raise pickle.UnpicklingError("the items of a dictionary are not a list")
        self._items_left -= len(items)
        if self._items_left < 0:
            raise pickle.UnpicklingError("it repeats its items too often")
        found = collections.OrderedDict()
        for key, value in items:
            found[_checked_key(key)] = value
        return found

    def _set_items(self):
        items = self.pop_mark()
        self._put(zip(items[::2], items[1::2], strict=True))

    def _set_item(self):
        value, key = self.stack.pop(), self.stack.pop()
        self._put([(key, value)])

    def _put(self, pairs):
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise pickle.UnpicklingError("it sets items of another object than a dictionary")
        for key, value in pairs:
            target[_checked_key(key)] = value

    def _dict(self):
        items = self.pop_mark()
        self.append({})
        self._put(zip(items[::2], items[1::2], strict=True))

    def _append_items(self):
        self._extend(self.pop_mark())

    def _append_item(self):
        self._extend([self.stack.pop()])

    def _extend(self, items):
        if type(self.stack[-1]) is not list:
            raise pickle.UnpicklingError("it appends to another object than a list")
        self.stack[-1].extend(items)

    def _empty_set(self):
        self.append(Ignored())

    def _add_items(self):
        self.pop_mark()

    def _call(self):
        arguments, function = self.stack.pop(), self.stack.pop()
        if type(arguments) is not tuple or len(arguments) > _MAX_ARGUMENTS:
            raise pickle.UnpicklingError("the arguments of a call are not a short tuple")
        if not callable(function):
            raise pickle.UnpicklingError("it calls an object that is not a class or function")
        self.append(function(*arguments))

    def _ignore_state(self):
        self.stack.pop()

    dispatch = _Dispatch(
        (getattr(pickle, name)[0], pickle._Unpickler.dispatch[getattr(pickle, name)[0]])
        for name in _OPCODES
    )
    dispatch |= {
        pickle.SETITEM[0]: _set_item,
        pickle.SETITEMS[0]: _set_items,
        pickle.DICT[0]: _dict,
        pickle.APPEND[0]: _append_item,
        pickle.APPENDS[0]: _append_items,
        pickle.EMPTY_SET[0]: _empty_set,
        pickle.ADDITEMS[0]: _add_items,
        pickle.REDUCE[0]: _call,
        pickle.NEWOBJ[0]: _call,
        pickle.BUILD[0]: _ignore_state,
    }


def _checked_key(key):
    if type(key) not in _KEY_TYPES or (type(key) is int and abs(key) >= 1 << 63):
        raise pickle.UnpicklingError("a key is neither a string nor a number of 64 bits")
    return key
