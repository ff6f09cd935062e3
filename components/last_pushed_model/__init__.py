# SPDX-License-Identifier: Apache-2.0
"""LastPushedModel: the newest pushed model, where no Resolver can look up the last blessed one."""

from components.last_pushed_model.component import LastPushedModel

__all__ = ["LastPushedModel"]
