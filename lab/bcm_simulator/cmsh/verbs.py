# SPDX-License-Identifier: GPL-3.0-or-later
"""Which commands there are at each place."""

from __future__ import annotations

from collections.abc import Callable

from . import image_verbs, list_verbs, object_verbs, property_verbs, role_verbs
from .arguments import refuse_more, texts_of
from .certificates import list_certificates, order_from_words
from .errors import CmshError
from .shell import Shell
from .words import Statement


def show_profile(shell: Shell, arguments: Statement) -> None:
    """Print the profile of the certificate in use."""
    refuse_more("showprofile", texts_of(arguments))
    shell.output(shell.profile)


def create_certificate(shell: Shell, arguments: Statement) -> None:
    """Write a key and a certificate."""
    order = order_from_words(texts_of(arguments))
    for line in shell.issuer.create(order, shell.events):
        shell.output(line)


def show_certificates(shell: Shell, arguments: Statement) -> None:
    """Print the certificates that were made."""
    refuse_more("listcertificates", texts_of(arguments))
    shell.issuer.require("GET_CERTIFICATE_TOKEN")
    for line in list_certificates(shell.state):
        shell.output(line)


def revoke_certificate(shell: Shell, arguments: Statement) -> None:
    """Revoke a certificate by its serial number."""
    texts = texts_of(arguments)
    if len(texts) != 1:
        raise CmshError("revokecertificate: name one serial number")
    shell.issuer.revoke(texts[0])


Verb = Callable[[Shell, Statement], None]
_PROPERTY_VERBS: dict[str, Verb] = {
    "get": property_verbs.get,
    "set": property_verbs.set_value,
    "clear": property_verbs.clear,
    "append": property_verbs.append,
    "removefrom": property_verbs.removefrom,
    "show": property_verbs.show,
}
_CHANGE_VERBS: dict[str, Verb] = {
    "commit": object_verbs.commit,
    "refresh": object_verbs.refresh,
    "modified": object_verbs.modified,
    "validate": object_verbs.validate,
}
_OBJECT_VERBS: dict[str, Verb] = {
    **_PROPERTY_VERBS,
    **_CHANGE_VERBS,
    "list": list_verbs.list_objects,
    "use": object_verbs.use,
    "add": object_verbs.add,
    "remove": object_verbs.remove,
    "status": list_verbs.status,
    "foreach": list_verbs.foreach,
    "grabimage": image_verbs.grabimage,
    "imageupdate": image_verbs.imageupdate,
    "synclog": image_verbs.synclog,
    "lock": image_verbs.lock,
    "unlock": image_verbs.unlock,
}
_ROLE_VERBS: dict[str, Verb] = {
    **_CHANGE_VERBS,
    "list": role_verbs.list_roles,
    "assign": role_verbs.assign,
    "unassign": role_verbs.unassign,
    "use": role_verbs.use_role,
}
VERBS: dict[str, dict[str, Verb]] = {
    "top": {},
    "mode": _OBJECT_VERBS,
    "object": _OBJECT_VERBS,
    "roles": _ROLE_VERBS,
    "entry": {**_ROLE_VERBS, **_PROPERTY_VERBS},
    "cgroups": {**_PROPERTY_VERBS, **_CHANGE_VERBS},
    "main": {"showprofile": show_profile},
    "cert": {
        "createcertificate": create_certificate,
        "listcertificates": show_certificates,
        "revokecertificate": revoke_certificate,
    },
}
