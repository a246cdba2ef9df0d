# SPDX-License-Identifier: GPL-3.0-or-later
"""The first run of the site's playbook, with secrets of every kind that can be given, and the secrets of all hosts."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path

from superpod_site import SITE, SuperpodSite, grafana_repository

SMTP, ENGINE, USER = (f"Given-{whose}-pa55word" for whose in ("smtp", "engine", "user"))
GIVEN = {
    "grafana_server_secret_settings": {"smtp": {"password": SMTP}},
    "grafana_server_prometheus_username": "superpod",
    "grafana_server_prometheus_password": USER,
    "prometheus_server_credentials": {"engine_password": ENGINE},
    "prometheus_server_users": {"superpod": USER},
}
# Private keys and files of passwords, wherever the lab, the roles and the programs have them.
SECRET_FILES = r"""
find /root /cm/shared/apps /cm/local/apps/cmd/etc /etc /var/lib/grafana -xdev -type f -size -64k ! -name '*.pub' \
    2>/dev/null | while read -r file; do
    case $file in
        *.key | *_key | */secrets/* | */credentials/* | /root/.ssh/id_*) ;;
        *) grep -qs 'PRIVATE KEY' "$file" || continue ;;
    esac
    echo "$file $(base64 -w0 "$file")"
done
grep -shoE '\$2[aby]\$[0-9]+\$[./A-Za-z0-9]{53}' /etc/prometheus/web.yml | while read -r hash; do
    echo "hash $(printf %s "$hash" | base64 -w0)"
done
"""


@dataclass(frozen=True)
class FirstRun:
    """What a run in check mode has said, and what it has tried to write to BCM."""

    said: str
    writes: list[str]


def foretell(lab: SuperpodSite, directory: Path) -> FirstRun:
    """Prepare the site, and run its playbook in check mode on hosts that have nothing yet."""
    variables = {**grafana_repository(lab.shared, directory), **GIVEN}
    lab.put(json.dumps(variables), f"{SITE}/first.yml")
    lab.grafana_on_monitoring_hosts()
    journal = Path(f"{lab.info['bcm']['state_file']}.writes")
    before = journal.read_text() if journal.exists() else ""
    said = lab.playbook("site.yml", "-e @first.yml --check --diff")
    after = journal.read_text() if journal.exists() else ""
    return FirstRun(said, after[len(before) :].splitlines())


def deploy(lab: SuperpodSite) -> str:
    """Deploy; returns all that Ansible can be made to say of it."""
    return lab.playbook("site.yml", "-e @first.yml -vvv --diff")


def leaks(said: str, secret: bytes) -> list[str]:
    """The parts of a secret (a password, or the lines of a key) that an output holds, as they are or in base64."""
    text = secret.decode(errors="replace").strip()
    lines = [line for line in text.splitlines() if not line.startswith("-----")]
    # the last line of a key can be so short that it says nothing
    wanted = [line for line in lines if len(line) >= 20 or len(lines) == 1]
    coded = base64.b64encode(secret).decode().rstrip("=")
    # the last characters depend on whether a newline follows
    wanted += (
        [coded[start : start + 40] for start in range(0, max(len(coded) - 40, 1), 40)]
        if len(coded) > 48
        else [coded[: len(text) * 4 // 3 - 2]]
    )
    return [part for part in wanted if part in said]


def secrets_of(lab: SuperpodSite) -> dict[tuple[str, str], bytes]:
    """What is secret, by host and path; and what was given as a variable."""
    found = {("given", password): password.encode() for password in (SMTP, ENGINE, USER)}
    for host in lab.info["hosts"]:
        rows = (line.split(" ") for line in lab.run(SECRET_FILES, host).splitlines())
        found.update({(host, path): base64.b64decode(content) for path, content in rows if content})
    return found
