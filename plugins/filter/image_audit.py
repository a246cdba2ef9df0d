# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: image_audit
short_description: What of this collection is in software images, and what exclude lists do with it
version_added: 1.0.0
author:
  - The superpod.monitoring developers (@superpod-monitoring)
description:
  - Says which secrets and which files of a single node are in software images, which of them a grab would put there,
    and what the next sync would take from nodes.
options:
  _input:
    description: RV(superpod.monitoring.bcm_images_info#module:categories).
    type: dict
    required: true
  paths:
    description: RV(superpod.monitoring.bcm_images_info#module:images).
    type: dict
    required: true
  images:
    description: >-
      RV(superpod.monitoring.installed_files_info#module:files) by the image's name; none for an image that could not be
      looked at.
    type: dict
    required: true
  nodes:
    description: RV(superpod.monitoring.installed_files_info#module:files) by the node's name.
    type: dict
    default: {}
  groups:
    description: The hosts of each group that C(superpod.monitoring.site) deploys to.
    type: dict
    required: true
  category_of:
    description: The category of each host.
    type: dict
    required: true
  places:
    description: As for M(superpod.monitoring.installed_files_info).
    type: dict
    default: {}
  accepted:
    description: Paths that the site wants in its images although they are secret; a C(*) stands for part of a name.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Show what there is
  ansible.builtin.debug:
    msg: >-
      {{ (bcm.categories | superpod.monitoring.image_audit(paths=bcm.images, images={'dgx-image': found.files},
          groups=groups, category_of={'dgx-01': 'dgx-h200'})).table }}
"""

RETURN = r"""
_value:
  description: What was found.
  type: dict
  contains:
    images:
      description: >-
        A dictionary for each image: C(path); C(categories); C(files); C(summary), the same by the paths that roles
        create (C(class), C(role), C(path), C(files)); C(leaked), those of the files that must not be there.
      type: dict
    categories:
      description: >-
        A dictionary for each category whose hosts get a role: C(image); C(roles); C(unguarded), what the lists do not
        keep out (C(path), C(class), C(role), C(lists)); C(lines), the rules that each list needs beside the site's own;
        C(lost), by host, what a sync would take (C(path), C(class), C(role), C(what), C(lists)); C(unknown_rules);
        C(script).
      type: dict
    not_found:
      description: The directories of images that could not be looked at.
      type: list
      elements: str
    leaks:
      description: How many files are in images that must not be there.
      type: int
    table:
      description: The same for people, line by line.
      type: list
      elements: str
"""

import typing as t

from ..module_utils.image_audit import Site, audit


def image_audit(
    categories: dict[str, t.Any],
    *,
    paths: dict[str, str],
    images: dict[str, t.Any],
    groups: dict[str, list[str]],
    category_of: dict[str, str],
    nodes: dict[str, t.Any] | None = None,
    places: dict[str, str] | None = None,
    accepted: list[str] | None = None,
) -> dict[str, t.Any]:
    """See DOCUMENTATION."""
    return audit(categories, paths, images, nodes or {}, Site(groups, category_of, places or {}, tuple(accepted or ())))


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, t.Any]:
        """Names and functions."""
        return {"image_audit": image_audit}
