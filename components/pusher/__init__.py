# SPDX-License-Identifier: Apache-2.0
"""Pusher: puts a model that passed every gate where a model server looks for it, once."""

from components.pusher.component import Pusher

__all__ = ["Pusher"]
