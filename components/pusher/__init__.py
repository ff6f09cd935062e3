# SPDX-License-Identifier: Apache-2.0
"""Pusher: copies a model that passed every gate to where a model server looks for it."""

from components.pusher.component import Pusher

__all__ = ["Pusher"]
