# SPDX-License-Identifier: GPL-3.0-or-later
"""The Grafana dashboards in files/dashboards: how they are built, and the checks that prove them without a Grafana."""
