# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in software images and should not be, what a grab would put there, and what a sync would take from nodes.

Pure.  It holds the table of installed files, and the files that were found, against the categories' exclude lists.
"""

from __future__ import annotations

import typing as t
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from .exclude_list import NO_NEW_FILES, ExcludeList, escaped, parse
from .installed_files import BY_PACKAGES, INSTALLED_FILES, PER_NODE, SECRET, InstalledFile, classify, matcher

ROLES_OF_GROUPS: dict[str, tuple[str, ...]] = {
    "dgx_nodes": ("dgx_exporters", "role_monitor"),
    "prometheus_servers": ("prometheus_server",),
    "grafana_servers": ("grafana_server",),
    "slurm_controllers": ("slurm_controller", "jobstats"),
    "login_nodes": ("login_node", "jobstats"),
}
"""What site.yml installs on the hosts of each group."""
GRAB_LISTS = ("excludelistgrab", "excludelistgrabnew")
SYNC_LISTS = ("excludelistsyncinstall", "excludelistupdate")
MARKER = "superpod.monitoring"
"""The marker of the block that bcm_settings keeps in a list."""

IN_MEMORY = "/run/"
"""What begins so is on no disk of a node."""

File = Mapping[str, t.Any]
"""As installed_files_info returns it: path, role, class, type, content."""


@dataclass(frozen=True)
class Guarded:
    """A line of the table that must stay out of images: its pattern here, and a path that it matches."""

    line: InstalledFile
    pattern: str

    @property
    def sample(self) -> str:
        """A path that no list names by chance."""
        return self.pattern.replace("*", "0superpod0")


@dataclass(frozen=True)
class Site:
    """What the inventory says: the hosts by group, the category by host, moved directories (keys of DEFAULT_PLACES).

    `accepted` are patterns, as in the table, of what the site wants in its images although it is secret.
    """

    members: Mapping[str, Collection[str]]
    category_of: Mapping[str, str]
    places: Mapping[str, str] = field(default_factory=dict)
    accepted: tuple[str, ...] = ()


def roles_of_category(
    category: str, members: Mapping[str, Collection[str]], categories: Mapping[str, str]
) -> list[str]:
    """The roles on the hosts of a category: `members` by group, `categories` by host."""
    roles: dict[str, None] = {}
    for group, names in ROLES_OF_GROUPS.items():
        if any(categories.get(host) == category for host in members.get(group, ())):
            roles.update(dict.fromkeys(names))
    return list(roles)


def guarded(roles: Collection[str], places: Mapping[str, str], accepted: Iterable[str] = ()) -> list[Guarded]:
    """The lines of these roles that must stay out of images, without those that another one covers.

    `accepted` are patterns, as in the table, that the site wants in its images.
    """
    wanted = [matcher(pattern) for pattern in accepted]
    found = [
        Guarded(line, line.path(places))
        for line in INSTALLED_FILES
        if line.role in roles and line.kind in (PER_NODE, SECRET)
    ]
    patterns = {item.pattern for item in found}
    return [
        item
        for item in found
        if not item.pattern.startswith(IN_MEMORY)
        and not (item.pattern.endswith("/**") and item.pattern[: -len("/**")] in patterns)
        and not any(accept.fullmatch(item.sample) for accept in wanted)
    ]


def without_block(text: str) -> str:
    """A list without the block that is ours."""
    lines = text.splitlines()
    begin, end = f"# BEGIN {MARKER}", f"# END {MARKER}"
    if begin in lines and end in lines[lines.index(begin) :]:
        first = lines.index(begin)
        lines = lines[:first] + lines[first + lines[first:].index(end) + 1 :]
    return "\n".join(lines)


def _covered(rules: ExcludeList, item: Guarded, sync: bool) -> bool:
    """Whether a list keeps the path, and if it is a directory all in it, to its node."""
    if rules.excluding(item.sample) is None:
        return False
    # in a sync, what an image holds by mistake must not get onto a node that has none of its own
    return not sync or rules.barring(item.sample) is not None


def needed_lines(texts: Mapping[str, str], items: Iterable[Guarded]) -> dict[str, list[str]]:
    """The rules that each list needs besides what the site has in it; what is needed stays needed once it is there."""
    lines: dict[str, list[str]] = {}
    for name in (*GRAB_LISTS, *SYNC_LISTS):
        sync = name in SYNC_LISTS
        rules = parse(without_block(texts[name]))
        prefix = f"{NO_NEW_FILES} " if sync else ""
        lines[name] = [f"{prefix}- {escaped(item.pattern)}" for item in items if not _covered(rules, item, sync)]
    return lines


def unguarded(texts: Mapping[str, str], items: Iterable[Guarded]) -> list[dict[str, t.Any]]:
    """The patterns that a list as it is now does not keep out: path, class, role, and the lists."""
    rules = {name: parse(texts[name]) for name in (*GRAB_LISTS, *SYNC_LISTS)}
    found = []
    for item in items:
        open_in = [name for name, parsed in rules.items() if not _covered(parsed, item, name in SYNC_LISTS)]
        if open_in:
            found.append({"path": item.pattern, "class": item.line.kind, "role": item.line.role, "lists": open_in})
    return found


def lost(
    texts: Mapping[str, str], roles: Collection[str], on_node: Iterable[File], in_image: Iterable[File]
) -> list[dict[str, t.Any]]:
    """What a sync would take of a node's files: path, class, role, what (`deletes` or `replaces`), and the lists."""
    image = {file["path"]: file for file in in_image}
    rules = {name: parse(texts[name]) for name in SYNC_LISTS}
    found = []
    for file in on_node:
        other = image.get(file["path"])
        same = other is not None and (other["type"], other["content"]) == (file["type"], file["content"])
        # a directory goes with what is in it
        if same or file["type"] == "directory" or file["role"] not in roles or file["path"].startswith(IN_MEMORY):
            continue
        lists = [name for name, parsed in rules.items() if parsed.excluding(file["path"]) is None]
        if lists:
            what = "deletes" if other is None else "replaces"
            found.append(
                {"path": file["path"], "class": file["class"], "role": file["role"], "what": what, "lists": lists}
            )
    return found


def leaked(in_image: Iterable[File], accepted: Iterable[str] = ()) -> list[File]:
    """The secrets and the files of one node that are in an image; an empty directory does no harm."""
    wanted = [matcher(pattern) for pattern in accepted]
    return [
        file
        for file in in_image
        if file["class"] in (PER_NODE, SECRET)
        and file["type"] != "directory"
        and file["path"] not in BY_PACKAGES
        and not any(accept.fullmatch(file["path"]) for accept in wanted)
    ]


def summary(in_image: Iterable[File], places: Mapping[str, str]) -> list[dict[str, t.Any]]:
    """What is in an image by the lines of the table, and how many files each is: class, role, path, files."""
    counts: dict[InstalledFile, int] = {}
    for file in in_image:
        line = classify(file["path"], places)
        if line is not None and file["type"] != "directory":
            counts[line] = counts.get(line, 0) + 1
    found = [
        {"class": line.kind, "role": line.role, "path": line.path(places), "files": count}
        for line, count in counts.items()
    ]
    return sorted(found, key=lambda item: (item["class"], item["path"]))


def audit(
    categories: Mapping[str, Mapping[str, t.Any]],
    paths: Mapping[str, str],
    in_images: Mapping[str, Iterable[File] | None],
    on_nodes: Mapping[str, Iterable[File]],
    site: Site,
) -> dict[str, t.Any]:
    """Everything together.

    `categories` as bcm_images_info returns them, `paths` the directories of images, `in_images` the files by image, or
    None where nobody could look, `on_nodes` those by host.  Returns what the filter image_audit documents.
    """
    images: dict[str, dict[str, t.Any]] = {
        name: {
            "path": path,
            "categories": [],
            "files": list(in_images[name] or ()),
            "summary": summary(in_images[name] or (), site.places),
            "leaked": leaked(in_images[name] or (), site.accepted),
        }
        for name, path in sorted(paths.items())
        if name in in_images
    }
    audited: dict[str, dict[str, t.Any]] = {}
    for name, category in sorted(categories.items()):
        roles = roles_of_category(name, site.members, site.category_of)
        if not roles or category["image"] not in images:
            continue
        images[category["image"]]["categories"].append(name)
        files = images[category["image"]]["files"]
        items = guarded(roles, site.places, site.accepted)
        nodes = {host: node for host, node in sorted(on_nodes.items()) if site.category_of.get(host) == name}
        audited[name] = {
            "image": category["image"],
            "roles": roles,
            "unguarded": unguarded(category["lists"], items),
            "lines": needed_lines(category["lists"], items),
            "lost": {host: lost(category["lists"], roles, node, files) for host, node in nodes.items()},
            "unknown_rules": sorted({rule for text in category["lists"].values() for rule in parse(text).unknown}),
            "script": category["script"],
        }
    result = {
        "images": images,
        "categories": audited,
        "leaks": sum(len(image["leaked"]) for image in images.values()),
        "not_found": sorted(image["path"] or name for name, image in images.items() if in_images.get(name) is None),
    }
    return {**result, "table": table(result)}


_SHOWN = 12


def table(result: Mapping[str, t.Any]) -> list[str]:
    """The result for people, line by line."""
    lines: list[str] = []
    for name, image in result["images"].items():
        count = sum(file["type"] != "directory" for file in image["files"])
        there = "not looked at" if image["path"] in result["not_found"] else f"{count} files of the roles"
        lines.append(
            f"Software image {name} ({image['path']}), of {', '.join(image['categories']) or 'no category'}: {there}"
        )
        for item in image["summary"]:
            lines.append(f"  {item['class']}: {item['path']}" + (f" ({item['files']})" if item["files"] > 1 else ""))
        for file in image["leaked"]:
            lines.append(f"  {file['class']}: {file['path']} must not be in an image; rm {image['path']}{file['path']}")
    for name, category in result["categories"].items():
        lines += [f"Category {name}", *(_remarks(category) or ["  nothing to remark"])]
    return lines


def _remarks(category: Mapping[str, t.Any]) -> list[str]:
    lines: list[str] = []
    for names, does in ((GRAB_LISTS, "a grab takes into the image"), (SYNC_LISTS, "a sync takes from a node")):
        for listed in dict.fromkeys(
            tuple(name for name in names if name in item["lists"]) for item in category["unguarded"]
        ):
            items = [item for item in category["unguarded"] if listed == tuple(n for n in names if n in item["lists"])]
            if listed:
                lines.append(f"  By {' and '.join(listed)}, {does}, unless -e superpod_exclude_lines=yes adds rules:")
                lines += [f"    {item['class']}: {item['path']}" for item in items]
    for host, files in category["lost"].items():
        shown = [file for file in files if file["class"] not in (PER_NODE, SECRET)]
        if shown:
            lines.append(f"  The image has not, or has otherwise, and so the next sync takes from {host}, unless")
            lines.append(
                "  `ansible-playbook site.yml -i bcm_inventory.yml --limit bcm_images` puts it into the image:"
            )
            lines += [f"    {file['what']} {file['path']}" for file in shown[:_SHOWN]]
        if len(shown) > _SHOWN:
            lines.append(f"    and {len(shown) - _SHOWN} more")
    lines += [f"  Not understood, and not counted here: {rule}" for rule in category["unknown_rules"]]
    if category["script"]:
        lines.append("  excludelistmanipulatescript changes these lists; what it does is not counted here.")
    return lines
