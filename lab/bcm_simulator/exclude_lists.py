# SPDX-License-Identifier: GPL-3.0-or-later
"""What a category's exclude lists hold unless somebody changed them: a selection of the entries of a live BCM 11.

The selection has what monitoring meets (certificates, host identity, logs, spools, units) and both kinds of entry; a
complete list is three to five times as long.
"""

from __future__ import annotations

_FULL = """\
- lost+found/
- /proc/*
- /sys/*
- /boot/efi
"""
_SYNC = """\
- /cm/local/apps/openldap/etc/certs/ldap.key
- /home/*
- /local/*
- /scratch/*
- /tmp/*
- /var/log/*
- /var/tmp/*
- /var/spool/mail/*

no-new-files: - /boot/efi
no-new-files: - /cm/images
no-new-files: - /cm/shared/*
no-new-files: - lost+found/
no-new-files: - /proc/*
no-new-files: - /sys/*
no-new-files: - /var/lib/systemd/random-seed
"""
_UPDATE = """\
- /cm/local/apps/cmd/etc/*
- /etc/exports
- /etc/fstab
- /etc/hosts
- /etc/hostname
- /etc/resolv.conf
- /etc/systemd/system/*.wants/munge.service
- /etc/systemd/system/*.wants/slurmctld.service
- /etc/systemd/system/*.wants/slurmd.service
- /etc/systemd/system/*.wants/slurmdbd.service
- /home/*
- /local/*
- /mnt/*
- /root/.bash_history
- /root/.ssh/known_hosts
- /scratch/*
- /tmp/*
- /var/log/*
- /var/spool/*
- /var/tmp/*

no-new-files: - /cm/shared/*
no-new-files: - /dev/*
no-new-files: - lost+found/
no-new-files: - /proc/*
no-new-files: - /run/*
no-new-files: - /sys/*
"""
_GRAB = """\
- /cm/local/apps/cmd/etc/cert.*
- /cm/local/apps/openldap/etc/certs/ldap.key
- /cm/images/*
- /cm/shared/*
- /dev/*
- /etc/fstab
- /etc/hostname
- /etc/hosts
- /etc/resolv.conf
- /local/*
- lost+found/
- /proc/*
- /run/*
- /scratch/*
- /sys/*
- /tmp/*
- /var/lib/systemd/random-seed
- /var/log/*
- /var/spool/cmd/*
- /var/tmp/*
"""
_GRAB_NEW = """\
- /cm/local/apps/cmd/etc/cert.*
- /cm/images/*
- /cm/shared/*
- /dev/shm/*
- /etc/hostname
- /etc/resolv.conf
- lost+found/
- /proc/*
- /run/*
- /sys/*
- /tmp/*
- /var/lib/systemd/random-seed
- /var/log/node-installer
- /var/spool/cmd/*
- /var/tmp/*
"""
# By cmsh property.
EXCLUDE_LISTS = {
    "excludelistfullinstall": _FULL,
    "excludelistsyncinstall": _SYNC,
    "excludelistupdate": _UPDATE,
    "excludelistgrab": _GRAB,
    "excludelistgrabnew": _GRAB_NEW,
}
