# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated SuperPOD on lab hosts: what it consists of, what its hosts carry, how it is started and removed."""
