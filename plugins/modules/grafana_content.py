#!/usr/bin/python
# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: grafana_content
short_description: Have a data source, a folder and dashboards in a Grafana that runs already
version_added: 1.0.0
author:
  - The superpod.monitoring developers (@superpod-monitoring)
description:
  - Asks Grafana's HTTP API what it has under these uids, and creates, corrects or removes only that. Nothing else in
    Grafana is touched.
  - A dashboard is as it should be when it has everything that is asked for. What Grafana itself adds when it saves one
    does not count as a difference.
extends_documentation_fragment:
  - superpod.monitoring.attributes
attributes:
  idempotent:
    details:
      - Grafana never tells a secret. A new value of one in O(datasource) is sent only together with another difference.
options:
  url:
    description: Grafana's URL, with its path below a proxy if it has one.
    type: str
    required: true
  token:
    description: Token of a service account with the role Admin. Either this or O(password) is needed.
    type: str
  username:
    description: Grafana's administrator, whose O(password) is given in the place of a O(token).
    type: str
    default: admin
  password:
    description: The administrator's password.
    type: str
  state:
    description:
      - V(absent) removes the dashboards, the data source, and the folder if nothing else is in it.
    type: str
    choices: [present, absent]
    default: present
  datasource:
    description: The data source as in a provisioning file, with at least C(uid), C(name), C(type).
    type: dict
  folder:
    description: The folder of the dashboards. Its title is set when it is made, and left alone afterwards.
    type: dict
    required: true
    suboptions:
      uid:
        description: Its uid.
        type: str
        required: true
      title:
        description: Its title.
        type: str
        required: true
  dashboards:
    description: The JSON text of each dashboard, which must have a C(uid).
    type: list
    elements: str
    required: true
  ca_path:
    description: CA bundle on the host that verifies Grafana's certificate. The system's own if it is not given.
    type: path
  validate_certs:
    description: Whether to verify Grafana's certificate.
    type: bool
    default: true
  timeout:
    description: Seconds to wait for each answer.
    type: int
    default: 20
"""

EXAMPLES = r"""
- name: Have the dashboards in our Grafana
  superpod.monitoring.grafana_content:
    url: https://grafana.example.com
    token: "{{ grafana_token }}"
    datasource:
      uid: superpod-prometheus
      name: SuperPOD
      type: prometheus
      access: proxy
      url: http://mon-01:9090
      jsonData: {timeInterval: 30s}
    folder: {uid: superpod, title: SuperPOD}
    dashboards:
      - "{{ lookup('ansible.builtin.file', 'superpod-job.json') }}"
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [data source superpod-prometheus, dashboard superpod-job]
failure:
  description: What went wrong, for programs.
  returned: failure
  type: dict
  contains:
    message:
      description: The same sentence as in RV(ignore:msg).
      type: str
    code:
      description:
        - The kind of failure.
        - Of the options; V(bad_entry).
        - Of Grafana; V(down), V(denied), V(status), V(malformed), V(provisioned).
      type: str
    details:
      description: What belongs to it.
      type: dict
"""

import base64
import json
import re
import typing as t
from http.client import HTTPException
from urllib.error import HTTPError

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import open_url
from ansible_collections.superpod.monitoring.plugins.module_utils.failure import Failure, failing
from ansible_collections.superpod.monitoring.plugins.module_utils.grafana_api import (
    Change,
    Json,
    ProvisionedError,
    Wanted,
    to_have,
    to_remove,
)

UID = re.compile(r"[A-Za-z0-9_-]{1,40}")


def _basic(params: dict[str, t.Any]) -> str:
    return "Basic " + base64.b64encode(f"{params['username']}:{params['password']}".encode()).decode()


class Api:
    """Grafana's API; calling it sends a request. Raises Failure."""

    def __init__(self, params: dict[str, t.Any]) -> None:
        self._url = params["url"].rstrip("/")
        self._authorization = f"Bearer {params['token']}" if params["token"] else _basic(params)
        self._options = {
            "timeout": params["timeout"],
            "validate_certs": params["validate_certs"],
            "ca_path": params["ca_path"],
            # what is sent again elsewhere has lost its body, and the administrator's password is for nobody else
            "follow_redirects": "none",
        }

    def __call__(self, method: str, path: str, body: Json | None = None) -> tuple[int, Json]:
        """Status and document; 404 is an answer, too."""
        headers = {"Authorization": self._authorization, "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body)
        try:
            with open_url(f"{self._url}{path}", method=method, headers=headers, data=data, **self._options) as answer:
                return answer.getcode(), self._document(answer.read(), path)
        except HTTPError as error:
            if error.code == 404:
                return 404, {}
            raise self._refused(method, path, error) from error
        except (OSError, ValueError, HTTPException) as error:  # no connection, certificate, valid URL, HTTP
            raise Failure(f"Grafana at {self._url} cannot be asked: {error}.", "down") from error

    def _document(self, text: bytes, path: str) -> Json:
        try:
            return t.cast(Json, json.loads(text))
        except ValueError as error:
            raise Failure(
                f"What answers at {self._url}{path} is no Grafana: its answer is not JSON.", "malformed"
            ) from error

    def _refused(self, method: str, path: str, error: HTTPError) -> Failure:
        try:
            said = str(json.loads(error.read()).get("message"))
        except (OSError, ValueError, AttributeError, HTTPException):
            said = str(error.reason)
        if 300 <= error.code < 400:
            target = error.headers.get("Location")
            return Failure(f"Grafana at {self._url} sends {method} {path} to {target}; give its URL there.", "status")
        if error.code in (401, 403):
            return Failure(
                f"Grafana at {self._url} does not let the token {method} {path} ({error.code}: {said}); use the token "
                "of a service account with the role Admin, or the administrator's password.",
                "denied",
            )
        return Failure(f"Grafana at {self._url} answered {method} {path} with {error.code}: {said}.", "status")


def carry_out(api: Api, change: Change) -> None:
    """Make the change; raises Failure where Grafana does not have what it is about, unless that is to go anyway."""
    status, _document = api(change.method, change.path, change.body)
    if status == 404 and change.method != "DELETE":
        raise Failure(
            f"{change.what} cannot be made: Grafana answered {change.method} {change.path} with 404; run this again, "
            "and look into Grafana's log if that does not help.",
            "status",
        )


def wanted_of(params: dict[str, t.Any]) -> Wanted:
    """What the parameters ask for. Raises Failure."""
    dashboards = []
    for number, text in enumerate(params["dashboards"]):
        try:
            dashboard = json.loads(text)
            if not UID.fullmatch(dashboard["uid"]):
                raise ValueError("the uid must be 1 to 40 letters, digits, - or _")
        except (ValueError, KeyError, TypeError) as error:
            raise Failure(
                f"dashboards[{number}] is no JSON of a dashboard with a uid: {error}.", "bad_entry"
            ) from error
        dashboards.append(dashboard)
    datasource = params["datasource"]
    if datasource and not {"uid", "name", "type"} <= datasource.keys():
        raise Failure("datasource must have uid, name and type.", "bad_entry")
    for what, one in (("datasource", datasource), ("folder", params["folder"])):
        if one and not UID.fullmatch(str(one["uid"])):
            raise Failure(f"The uid of {what} must be 1 to 40 letters, digits, - or _.", "bad_entry")
    return Wanted(datasource, params["folder"], dashboards)


def diff_of(change: Change) -> dict[str, str]:
    """Ansible's diff entry."""
    sides = [json.dumps(side, indent=2, sort_keys=True) + "\n" for side in (change.before, change.after)]
    return {"before_header": change.what, "after_header": change.what, "before": sides[0], "after": sides[1]}


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "token": {"type": "str", "no_log": True},
            "username": {"type": "str", "default": "admin"},
            "password": {"type": "str", "no_log": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "datasource": {"type": "dict"},
            "folder": {
                "type": "dict",
                "required": True,
                "options": {
                    "uid": {"type": "str", "required": True},
                    "title": {"type": "str", "required": True},
                },
            },
            "dashboards": {"type": "list", "elements": "str", "required": True},
            "ca_path": {"type": "path"},
            "validate_certs": {"type": "bool", "default": True},
            "timeout": {"type": "int", "default": 20},
        },
        required_one_of=[("token", "password")],
        supports_check_mode=True,
    )
    secrets = ((module.params["datasource"] or {}).get("secureJsonData") or {}).values()
    module.no_log_values.update(str(value) for value in secrets if value)
    with failing(module):
        api = Api(module.params)
        wanted = wanted_of(module.params)
        try:
            changes = to_have(api, wanted) if module.params["state"] == "present" else to_remove(api, wanted)
        except ProvisionedError as error:
            raise Failure(str(error), "provisioned") from None
        if not module.check_mode:
            for change in changes:
                carry_out(api, change)
    module.exit_json(
        changed=bool(changes),
        changes=[change.what for change in changes],
        diff=[diff_of(change) for change in changes],
        invocation={"module_args": {"url": module.params["url"], "state": module.params["state"]}},
    )


if __name__ == "__main__":
    main()
