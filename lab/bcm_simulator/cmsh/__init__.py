# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for BCM's shell: exactly the commands that docs/stand_ins.md lists, on the simulator's state."""
