# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's stand-in for Grafana: what the collection uses of it, and a refusal of everything else."""
