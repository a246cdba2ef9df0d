# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the modules that talk to BCM through cmsh."""

from __future__ import annotations


class ModuleDocFragment:
    """`superpod.monitoring.cmsh`."""

    DOCUMENTATION = r"""
options:
  cmsh:
    description:
      - The cmsh to run.
      - The default is the one on E(PATH), and where there is none C(/cm/local/apps/cmd/bin/cmsh).
    type: path
  cmsh_timeout:
    description:
      - Seconds after which a call of cmsh is stopped and the module fails.
    type: int
    default: 60
requirements:
  - A BCM head node as the host that the module runs on, as root, whose C(~/.cm/admin.pem) cmsh uses.
notes:
  - On the passive head node cmsh itself goes to the active one.
  - A value that contains what cmsh would act on (C(!), C(;), C(|), C(<), C(>), quotes, backticks, backslashes, control
    characters) is refused before cmsh is run.
"""
