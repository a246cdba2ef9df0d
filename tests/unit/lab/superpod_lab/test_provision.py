# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from superpod_lab import provision as module
from superpod_lab.artifacts import Artifact
from superpod_lab.plan import hosts
from superpod_lab.settings import CHECKOUT, LabError, Settings

ETC = "cm/local/apps/cmd/etc"


@pytest.fixture(name="lab", scope="module")
def provisioned(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A lab whose files are made and whose hosts are not booted, without a compiler and without ssh-keygen."""
    top = tmp_path_factory.mktemp("lab")
    settings = Settings(7, top / "image", top / "data")
    host_key = settings.image / "etc/ssh/ssh_host_ed25519_key.pub"
    host_key.parent.mkdir(parents=True)
    host_key.write_text("ssh-ed25519 AAAA root@image\n")
    exporter = Artifact(str(CHECKOUT / "lab/stand_ins/cgroup_exporter"), "stand-in", "a test")

    def keys(lab: Settings) -> str:
        lab.ssh_key.parent.mkdir()
        lab.ssh_key.write_text("private\n")
        return "public\n"

    def stub_nvml(lab: Settings) -> Path:
        program = lab.data / "nvml/usr/bin/nvidia-smi"
        program.parent.mkdir(parents=True)
        program.touch()
        return lab.data / "nvml"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "ssh_key", keys)
        patch.setattr(module, "fake_nvml", stub_nvml)
        patch.setattr(module.stock, "CACHE", top / "cache")
        settings.data.mkdir()
        module.provision(settings, hosts(settings.net, dgx=2, head_nodes=2), exporter)
    return settings


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_what_is_secret_is_only_for_root(lab: Settings) -> None:
    head, node = lab.files / "bcm-head-01", lab.files / "dgx-01"
    for path in (head / "root/.cm/admin.key", head / "root/.ssh/id_ed25519", head / ETC / "cluster.key"):
        assert mode(path) == 0o600, path
    for host in (head, node):
        assert mode(host / ETC / "cert.key") == 0o600
        assert mode(host / "root/.ssh/authorized_keys") == 0o600
        assert mode(host / "root") == mode(host / "root/.ssh") == 0o700
    assert mode(lab.bcm / "state.yaml") == 0o600


def test_the_ca_key_and_the_administrators_stay_on_the_head_nodes(lab: Settings) -> None:
    holders = {
        path.relative_to(lab.files).parts[0] for name in ("cluster.key", "admin.key") for path in lab.files.rglob(name)
    }
    assert holders == {"bcm-head-01", "bcm-head-02"}


def test_a_nodes_certificate_is_its_own_and_knows_where_its_master_is(lab: Settings) -> None:
    names = set()
    for host in ("dgx-01", "dgx-02", "login-01"):
        certificate = x509.load_pem_x509_certificate((lab.files / host / ETC / "cert.pem").read_bytes())
        names.add(str(certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value))
        signer = x509.load_pem_x509_certificate((lab.files / host / ETC / "cluster.pem").read_bytes())
        assert certificate.issuer == signer.subject
        assert (lab.files / host / "var/spool/cmd/my.master.cmd.url").read_text() == "https://10.77.7.11:8081\n"
    assert names == {"02-00-0a-4d-07-65", "02-00-0a-4d-07-66", "02-00-0a-4d-07-1f"}


def test_a_head_node_can_run_the_literal_command(lab: Settings) -> None:
    for head in ("bcm-head-01", "bcm-head-02"):
        root = lab.files / head
        site = root / "root/superpod"
        assert yaml.safe_load((site / "bcm_inventory.yml").read_text())["plugin"] == "superpod.monitoring.bcm"
        assert (
            yaml.safe_load((site / "site.yml").read_text())[0]["ansible.builtin.import_playbook"]
            == "superpod.monitoring.site"
        )
        assert (site / "artifacts/manifest.json").is_file()
        assert os.readlink(root / "usr/local/bin/ansible-playbook") == "/opt/ansible/bin/ansible-playbook"
        assert os.readlink(root / "usr/local/bin/cmsh") == "/cm/local/apps/cmd/bin/cmsh"
        assert (root / "root/.ssh/known_hosts").read_text() == "* ssh-ed25519 AAAA\n"


def test_only_dgx_nodes_have_stub_gpus(lab: Settings) -> None:
    assert sorted(path.name for path in lab.files.iterdir() if (path / "usr/bin/nvidia-smi").exists()) == [
        "dgx-01",
        "dgx-02",
    ]


def test_a_compiler_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = tmp_path / "bin/make"
    make.parent.mkdir()
    make.write_text("#!/bin/sh\necho 'gcc: not found' >&2; exit 1\n")
    make.chmod(0o755)
    monkeypatch.setenv("PATH", f"{make.parent}:{os.environ['PATH']}")
    with pytest.raises(LabError, match="The stub of NVML could not be built: gcc: not found"):
        module.fake_nvml(Settings(7, tmp_path, tmp_path / "data"))


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")
def test_the_key_pair(tmp_path: Path) -> None:
    lab = Settings(7, tmp_path, tmp_path / "data")
    lab.data.mkdir()
    public = module.ssh_key(lab)
    assert public.startswith("ssh-ed25519 ")
    assert mode(lab.ssh_key) == 0o600
    derived = subprocess.run(["ssh-keygen", "-y", "-f", str(lab.ssh_key)], capture_output=True, text=True, check=True)
    assert derived.stdout.split()[:2] == public.split()[:2]
