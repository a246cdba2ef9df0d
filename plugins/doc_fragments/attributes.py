# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module of the collection promises about check mode, diff mode and repetition."""

from __future__ import annotations


class ModuleDocFragment:
    """`superpod.monitoring.attributes` and its parts."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Says in check mode what it would change, and changes nothing.
    support: full
  diff_mode:
    description: Shows what it changes, or in check mode would change.
    support: full
  idempotent:
    description: A second run with the same options changes nothing, unless somebody else changed something in between.
    support: full
  platform:
    description: Where the module can run.
    support: full
    platforms: posix
"""

    BCM = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/superpod.monitoring.bcm) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - superpod.monitoring.bcm
"""
