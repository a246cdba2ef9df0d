#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bcm_certificate
short_description: Make a client certificate of NVIDIA Base Command Manager that may do only what it needs, or remove it
version_added: 0.1.0
description:
  - Makes a BCM profile with the given tokens and no others, and a client certificate and key with that profile, through
    cmsh on the head node.
  - The certificate is made once. A new one is made when it is about to expire, when BCM lists it as revoked, and when
    the cluster's certificate authority is not the one that signed it, as after a new licence.
  - What BCM wrote is read before it is used. Name, profile, signature, expiry and key have to be right.
  - A file that holds anything else than a certificate of this name and profile, such as the administrator's, is never
    replaced. Neither is a profile that comes with BCM or that is for people.
  - The key is never part of the result or of the difference.
  - With O(state=absent) revokes every certificate of this name and profile, and removes the profile and the files. A
    profile with which somebody else has a certificate stays.
  - BCM's list cuts names off, a profile's after 16 letters. A certificate of which it shows too little is only revoked
    if it is the one in O(certificate) or one that was replaced there. Others are named in RV(unsure) and in a warning;
    they and the profile stay.
  - A certificate that is replaced is kept beside the new one, with its serial number added to the file's name, to know
    it again.
author:
  - The superpod.monitoring developers (@superpod-monitoring)
extends_documentation_fragment:
  - superpod.monitoring.attributes
  - superpod.monitoring.attributes.bcm
  - superpod.monitoring.cmsh
requirements:
  - openssl
options:
  state:
    description:
      - Whether there is a certificate. For V(absent) only names and paths count.
    type: str
    choices: [present, absent]
    default: present
  common_name:
    description:
      - The certificate's common name.
    type: str
    required: true
  profile:
    description:
      - The name of the profile.
    type: str
    required: true
  tokens:
    description:
      - The tokens of the profile. It loses any other token that it has.
    type: list
    elements: str
    default: [GET_DEVICE_TOKEN]
  services:
    description:
      - The services of the profile. It loses any other service that it has.
      - Add what BCM needs if it answers with HTTP status 635 (service restricted).
    type: list
    elements: str
    default: []
  certificate:
    description:
      - Where the certificate goes. Its directory exists.
    type: path
    required: true
  private_key:
    description:
      - Where the key goes, with mode C(0600). Its directory exists.
    type: path
    required: true
  days:
    description:
      - How long a new certificate is valid.
    type: int
    default: 365
  renew_before_days:
    description:
      - Make a new certificate when the present one is valid for less than this.
    type: int
    default: 30
  key_length:
    description:
      - The size of a new key, in bits.
    type: int
    choices: [2048, 3072, 4096]
    default: 2048
  subject:
    description:
      - The rest of the certificate's subject.
    type: dict
    default: {}
    suboptions:
      organization:
        description: Its C(O).
        type: str
        default: SuperPOD
      organizational_unit:
        description: Its C(OU).
        type: str
        default: Monitoring
      locality:
        description: Its C(L).
        type: str
        default: Cluster
      state:
        description: Its C(ST).
        type: str
        default: Cluster
      country:
        description: Its C(C), two letters.
        type: str
        default: XX
  authorities:
    description:
      - The certificates of the cluster's certificate authority.
    type: list
    elements: path
    default:
      - /cm/local/apps/cmd/etc/cacert.pem
      - /cm/local/apps/cmd/etc/cluster.pem
  revoke_old:
    description:
      - Revoke the certificate that a new one replaces. Hosts that still have it cannot read from BCM until they get the
        new one.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: A certificate that can list devices and nothing else
  superpod.monitoring.bcm_certificate:
    common_name: role-monitor
    profile: superpod-devices-ro
    certificate: /root/.cm/role-monitor.pem
    private_key: /root/.cm/role-monitor.key

- name: Nobody needs it any more
  superpod.monitoring.bcm_certificate:
    state: absent
    common_name: role-monitor
    profile: superpod-devices-ro
    certificate: /root/.cm/role-monitor.pem
    private_key: /root/.cm/role-monitor.key
"""

RETURN = r"""
common_name:
  description: The certificate's common name.
  returned: success
  type: str
  sample: role-monitor
certificate:
  description: Where the certificate is.
  returned: success
  type: str
  sample: /root/.cm/role-monitor.pem
private_key:
  description: Where the key is.
  returned: success
  type: str
  sample: /root/.cm/role-monitor.key
profile:
  description: The profile as it is now, or in check mode would be.
  returned: success
  type: dict
  contains:
    name:
      description: Its name.
      type: str
      sample: superpod-devices-ro
    tokens:
      description: Its tokens.
      type: list
      elements: str
      sample: [GET_DEVICE_TOKEN]
    services:
      description: Its services.
      type: list
      elements: str
      sample: []
    change:
      description: What was done to it; V(none), V(created), V(changed) or V(removed).
      type: str
      sample: created
reasons:
  description:
    - Why a new certificate was made, or in check mode would be. Empty if the present one stays, or goes.
    - V(missing), V(key_missing), V(expires), V(revoked) or V(other_authority).
  returned: success
  type: list
  elements: str
  sample: [missing]
key_mode_corrected:
  description: Whether others could read the key, and it was given mode C(0600), or in check mode would be.
  returned: success
  type: bool
serial:
  description: The certificate's serial number. None in check mode if a new one would be made, and for O(state=absent).
  returned: success
  type: str
  sample: "23"
not_after:
  description: When the certificate expires, in UTC. None where RV(serial) is.
  returned: success
  type: str
  sample: "2027-11-20T09:43:59Z"
revoked:
  description: The serial numbers that were revoked, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample: []
unsure:
  description:
    - The serial numbers that would have been revoked if BCM's list showed that the certificates are of this name and
      profile.
  returned: success
  type: list
  elements: str
  sample: []
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
        - Of the options; V(bad_option), V(unsafe).
        - Of what is there; V(not_ours), V(io), V(openssl), V(no_cmsh).
        - Of BCM; V(refused), V(not_found), V(half_written), V(not_created), V(wrong_certificate), V(not_revoked),
          V(unreadable), V(timeout), V(failed).
      type: str
    details:
      description: What belongs to it, for example BCM's own words (C(bcm)).
      type: dict
"""

import contextlib
import datetime
import glob
import os
import shutil
import stat
import tempfile
import time
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.superpod.monitoring.plugins.module_utils import atomic_file
from ansible_collections.superpod.monitoring.plugins.module_utils.cmsh import Cmsh, quote
from ansible_collections.superpod.monitoring.plugins.module_utils.cmsh_certificate import (
    Order,
    create,
    holders,
    is_revoked,
    revoke,
)
from ansible_collections.superpod.monitoring.plugins.module_utils.cmsh_profile import (
    Profile,
    check_ours,
    profile,
    read_profile,
    remove_profile,
    write_profile,
)
from ansible_collections.superpod.monitoring.plugins.module_utils.failure import Failure, failing
from ansible_collections.superpod.monitoring.plugins.module_utils.openssl import (
    Certificate,
    OpensslError,
    is_signed_by,
    read_certificate,
    read_public_key,
)

KEY_MODE = 0o600
DAY = 86400


@dataclass(frozen=True)
class Wanted:
    """The options, checked."""

    order: Order
    profile: Profile
    certificate: str
    private_key: str
    authorities: list[str]
    renew_before_days: int
    revoke_old: bool


@dataclass(frozen=True)
class Present:
    """What is there: the certificate if there is one, and what is known about it.

    `revoked` is None if BCM does not list the certificate.
    """

    certificate: Certificate | None = None
    has_key: bool = False
    key_is_open: bool = False
    signed: bool = True
    revoked: bool | None = None


def check(params: Mapping[str, t.Any]) -> Wanted:
    """Return the options in the form in which they are used; raises Failure and CmshError, before cmsh is run."""
    order = Order(
        common_name=params["common_name"],
        profile=params["profile"],
        days=params["days"],
        key_length=params["key_length"],
        **params["subject"],
    )
    for word in (params["certificate"], params["private_key"], *params["tokens"], *params["services"]):
        quote(word)
    for name in ("common_name", "profile", "organization", "organizational_unit", "locality", "state", "country"):
        if not quote(getattr(order, name)).strip('" '):
            raise Failure(f"{name} is empty; BCM needs one for a certificate", "bad_option")
    if not params["tokens"]:
        raise Failure("tokens is empty; a certificate without tokens can read nothing", "bad_option")
    if params["days"] <= params["renew_before_days"] or params["renew_before_days"] < 0:
        raise Failure(
            f"a certificate of {params['days']} days would be renewed at once, {params['renew_before_days']} days "
            "before it expires; make days the larger number",
            "bad_option",
        )
    if os.path.abspath(params["certificate"]) == os.path.abspath(params["private_key"]):
        raise Failure("certificate and private_key are the same file; give two", "bad_option")
    for authority in params["authorities"]:
        if not os.path.isfile(authority):
            raise Failure(f"{authority} does not exist; run this on a head node, or set authorities", "bad_option")
    return Wanted(
        order,
        profile(params["tokens"], params["services"]),
        os.path.abspath(params["certificate"]),
        os.path.abspath(params["private_key"]),
        params["authorities"],
        params["renew_before_days"],
        params["revoke_old"],
    )


def our_certificate(certificate_path: str, key_path: str, common_name: str, profile_name: str) -> Certificate | None:
    """The certificate that is there, if any; raises Failure if it or the key is not this module's, OpensslError."""
    has_key = os.path.lexists(key_path)
    if not os.path.lexists(certificate_path):
        if has_key:
            raise Failure(
                f"there is a key {key_path} but no certificate {certificate_path}; whose key that is "
                "cannot be seen, so remove it or give another path",
                "not_ours",
            )
        return None
    certificate = read_certificate(certificate_path)
    if (certificate.common_name, certificate.profile) != (common_name, profile_name):
        raise Failure(
            f"{certificate_path} is the certificate of {certificate.common_name!r} with the profile "
            f"{certificate.profile!r}; remove it or give another path",
            "not_ours",
        )
    if has_key and read_public_key(key_path) != certificate.public_key:
        raise Failure(
            f"{key_path} is not the key of {certificate_path}; remove both, or give another path",
            "not_ours",
        )
    return certificate


def replaced(certificate_path: str, common_name: str, profile_name: str) -> dict[int, str]:
    """The certificates that `make` has kept because a newer one took their place: serial number -> path."""
    found = {}
    for path in glob.glob(f"{glob.escape(certificate_path)}.*"):
        with contextlib.suppress(OpensslError):  # somebody else's file
            old = read_certificate(path)
            if (old.common_name, old.profile, path) == (common_name, profile_name, f"{certificate_path}.{old.serial}"):
                found[old.serial] = path
    return found


def look(cmsh: Cmsh, wanted: Wanted) -> Present:
    """Read what is there; raises Failure if it is not this module's to replace, OpensslError and CmshError."""
    certificate = our_certificate(
        wanted.certificate, wanted.private_key, wanted.order.common_name, wanted.order.profile
    )
    if certificate is None:
        return Present()
    has_key = os.path.lexists(wanted.private_key)
    return Present(
        certificate,
        has_key,
        has_key and bool(stat.S_IMODE(os.stat(wanted.private_key).st_mode) & ~KEY_MODE),
        not wanted.authorities or is_signed_by(wanted.certificate, wanted.authorities),
        is_revoked(cmsh, certificate.serial),
    )


def reasons(present: Present, renew_before_days: int, now: float) -> list[str]:
    """Return why a new certificate is needed at `now` (seconds since 1970); empty if it is not."""
    if present.certificate is None:
        return ["missing"]
    checks = {
        "key_missing": not present.has_key,
        "expires": present.certificate.not_after - now < renew_before_days * DAY,
        "revoked": present.revoked is True,
        "other_authority": not present.signed,
    }
    return [reason for reason, is_so in checks.items() if is_so]


def make(cmsh: Cmsh, wanted: Wanted, old: Certificate | None, now: float) -> Certificate:
    """Have BCM make a pair, read it, and put it into place; raises Failure, OpensslError, CmshError and OSError.

    The key is never in a directory that others can read until its mode has been seen to. The certificate goes first: a
    key without a certificate would be anybody's. The old certificate is kept: BCM's list may not tell that it is ours.
    """
    directory = tempfile.mkdtemp(prefix=".bcm_certificate-", dir=os.path.dirname(wanted.private_key))
    try:
        key_path, certificate_path = os.path.join(directory, "key"), os.path.join(directory, "pem")
        create(cmsh, wanted.order, key_path, certificate_path)
        made = read_certificate(certificate_path)
        problems = {
            f"its common name is {made.common_name!r}": made.common_name != wanted.order.common_name,
            f"its profile is {made.profile!r}": made.profile != wanted.order.profile,
            "it expires too soon": made.not_after - now < wanted.renew_before_days * DAY,
            "its key is another one": read_public_key(key_path) != made.public_key,
            f"it is not signed by {' or '.join(wanted.authorities)}": bool(wanted.authorities)
            and not is_signed_by(certificate_path, wanted.authorities),
        }
        wrong = [problem for problem, is_so in problems.items() if is_so]
        if wrong:
            raise Failure(f"BCM made a certificate that cannot be used: {'; '.join(wrong)}", "wrong_certificate")
        moves = [(certificate_path, wanted.certificate), (key_path, wanted.private_key)]
        if old is not None:
            moves.insert(0, (wanted.certificate, f"{wanted.certificate}.{old.serial}"))
        for source, target in moves:
            with open(source, "rb") as file:
                atomic_file.write_if_changed(target, file.read(), KEY_MODE, tag="ansible")
        return made
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def moment(seconds: int) -> str:
    """Return a time in seconds since 1970 as ISO 8601 in UTC."""
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def as_text(
    name: str, found: Profile | None, certificate: Certificate | None, is_open: bool, planned: bool = False
) -> str:
    """Return profile and certificate for the diff."""
    lines = []
    if found is not None:
        lines += [f"profile {name}", *[f"  token {token}" for token in found.tokens]]
        lines += [f"  service {service}" for service in found.services]
    if planned:
        lines.append("a new certificate")
    elif certificate is not None:
        lines.append(f"certificate {certificate.serial}, valid until {moment(certificate.not_after)}")
    if is_open:
        lines.append("others can read the key")
    return "".join(f"{line}\n" for line in lines)


def run(module: AnsibleModule, now: float) -> dict[str, t.Any]:
    """Do the work; return the module's result."""
    wanted = check(module.params)
    cmsh = Cmsh(module.params["cmsh"], timeout=module.params["cmsh_timeout"])
    name = wanted.order.profile
    check_ours(name, None)
    found = read_profile(cmsh, name)
    check_ours(name, found)
    present = look(cmsh, wanted)
    why = reasons(present, wanted.renew_before_days, now)
    change = "none" if found == wanted.profile else "changed" if found else "created"
    correct = present.key_is_open and not why
    going, unsure = [], []
    if why and wanted.revoke_old and present.certificate:
        old = present.certificate.serial
        having = holders(cmsh, wanted.order.common_name, name, [old])
        going, unsure = ([serial for serial in serials if serial == old] for serials in (having.ours, having.unsure))

    certificate = present.certificate
    if not module.check_mode:
        if change != "none":
            write_profile(cmsh, name, found, wanted.profile)
        if why:
            certificate = make(cmsh, wanted, present.certificate, now)
        elif correct:
            os.chmod(wanted.private_key, KEY_MODE)
        for serial in going:
            revoke(cmsh, serial)
    planned = bool(why) and module.check_mode
    return {
        "changed": change != "none" or bool(why) or correct,
        "common_name": wanted.order.common_name,
        "certificate": wanted.certificate,
        "private_key": wanted.private_key,
        "profile": {
            "name": name,
            "tokens": list(wanted.profile.tokens),
            "services": list(wanted.profile.services),
            "change": change,
        },
        "reasons": why,
        "key_mode_corrected": correct,
        "serial": None if planned or certificate is None else str(certificate.serial),
        "not_after": None if planned or certificate is None else moment(certificate.not_after),
        "revoked": [str(serial) for serial in going],
        "unsure": [str(serial) for serial in unsure],
        "diff": {
            "before_header": wanted.certificate,
            "after_header": wanted.certificate,
            "before": as_text(name, found, present.certificate, present.key_is_open),
            "after": as_text(name, wanted.profile, certificate, False, planned),
        },
    }


def take_away(module: AnsibleModule) -> dict[str, t.Any]:
    """See to it that there is no certificate; return the module's result."""
    params = module.params
    common_name, name = params["common_name"], params["profile"]
    paths = [os.path.abspath(params["private_key"]), os.path.abspath(params["certificate"])]
    check_ours(name, None)
    cmsh = Cmsh(params["cmsh"], timeout=params["cmsh_timeout"])
    found = read_profile(cmsh, name)
    check_ours(name, found)
    certificate = our_certificate(paths[1], paths[0], common_name, name)
    known = replaced(paths[1], common_name, name)
    there = [path for path in (*paths, *known.values()) if os.path.lexists(path)]
    having = holders(cmsh, common_name, name, [*known, *([certificate.serial] if certificate else [])])
    going = sorted(having.ours)
    without_profile = found is not None and not having.others and not having.unsure
    if not module.check_mode:
        for serial in going:
            revoke(cmsh, serial)
        if without_profile:
            remove_profile(cmsh, name)
        for path in there:
            os.unlink(path)
    left = None if without_profile else found
    return {
        "changed": bool(going or without_profile or there),
        "common_name": common_name,
        "certificate": paths[1],
        "private_key": paths[0],
        "profile": {
            "name": name,
            "tokens": list(left.tokens) if left else [],
            "services": list(left.services) if left else [],
            "change": "removed" if without_profile else "none",
        },
        "reasons": [],
        "key_mode_corrected": False,
        "serial": None,
        "not_after": None,
        "revoked": [str(serial) for serial in going],
        "unsure": [str(serial) for serial in sorted(having.unsure)],
        "diff": {
            "before_header": paths[1],
            "after_header": paths[1],
            "before": as_text(name, found, certificate, False),
            "after": as_text(name, left, None, False) + "".join(f"revoked {serial}\n" for serial in going),
        },
    }


def main() -> None:
    """Run the module."""
    subject = {
        "organization": {"type": "str", "default": "SuperPOD"},
        "organizational_unit": {"type": "str", "default": "Monitoring"},
        "locality": {"type": "str", "default": "Cluster"},
        "state": {"type": "str", "default": "Cluster"},
        "country": {"type": "str", "default": "XX"},
    }
    etc = "/cm/local/apps/cmd/etc"
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "common_name": {"type": "str", "required": True},
            "profile": {"type": "str", "required": True},
            # names of rights, nothing secret
            "tokens": {"type": "list", "elements": "str", "default": ["GET_DEVICE_TOKEN"], "no_log": False},
            "services": {"type": "list", "elements": "str", "default": []},
            "certificate": {"type": "path", "required": True},
            "private_key": {"type": "path", "required": True, "no_log": False},
            "days": {"type": "int", "default": 365},
            "renew_before_days": {"type": "int", "default": 30},
            "key_length": {"type": "int", "choices": [2048, 3072, 4096], "default": 2048, "no_log": False},
            "subject": {"type": "dict", "default": {}, "options": subject, "apply_defaults": True},
            "authorities": {"type": "list", "elements": "path", "default": [f"{etc}/cacert.pem", f"{etc}/cluster.pem"]},
            "revoke_old": {"type": "bool", "default": False},
            "cmsh": {"type": "path"},
            "cmsh_timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    with failing(module):
        try:
            result = take_away(module) if module.params["state"] == "absent" else run(module, time.time())
        except OpensslError as error:
            raise Failure(str(error), "openssl") from None
    if result["unsure"]:
        module.warn(
            "BCM's list cuts off what is long, so it does not show whether these are certificates of "
            f"{result['common_name']} with the profile {result['profile']['name']}: {', '.join(result['unsure'])}; "
            "they and the profile stay; revoke those that are nobody else's "
            "(cmsh -c 'cert; revokecertificate SERIAL') and run this again"
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
