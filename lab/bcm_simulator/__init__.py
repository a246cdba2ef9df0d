# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for NVIDIA Base Command Manager's CMDaemon and cmsh, for tests and for the lab.

It answers what docs/stand_ins.md lists, with the source of each behaviour, and refuses everything else.
"""
