"""The configuration of containerd, CNI and the kubelet. Nothing is started here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .images import PAUSE
from .layout import BRIDGE, BRIDGE_ADDRESS, POD_RANGE, Layout

#: In the node's own /run.
SOCKET = "/run/containerd/containerd.sock"
#: In the node's own mounts, each a folder of the state folder.
MOUNTS = {"/var/lib/kubelet": "kubelet", "/var/lib/cni": "cni-state", "/var/log": "logs"}

_CONTAINERD = """\
version = 3
root = '{node}/containerd'
state = '/run/containerd'
disabled_plugins = ['io.containerd.snapshotter.v1.erofs', 'io.containerd.snapshotter.v1.blockfile']
[grpc]
  address = '{socket}'
[plugins.'io.containerd.cri.v1.images']
  snapshotter = 'overlayfs'
  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = '{pause}'
[plugins.'io.containerd.cri.v1.runtime']
  disable_apparmor = true
  # Lowering oom_score_adj takes CAP_SYS_RESOURCE, which root has not everywhere.
  restrict_oom_score_adj = true
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    runtime_type = 'io.containerd.runc.v2'
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
      BinaryName = '{programs}/runc'
      SystemdCgroup = false
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ['{programs}/cni']
    conf_dir = '{node}/cni'
[plugins.'io.containerd.internal.v1.opt']
  path = '{node}/opt'
[plugins.'io.containerd.nri.v1.nri']
  disable = true
"""


def write(layout: Layout, programs: Path, settings: Mapping[str, Any]) -> None:
    """Write all files and make all folders.

    :param programs: the built ones of a node.
    :param settings: of the kubelet (``KubeletConfiguration``), on top of ours.
    """
    node = layout.node
    for name in ("cni", *MOUNTS.values()):
        (node / name).mkdir(parents=True, exist_ok=True)
    text = _CONTAINERD.format(node=node, programs=programs, socket=SOCKET, pause=PAUSE)
    containerd_file(layout).write_text(text)
    (node / "cni" / "10-bridge.conflist").write_text(json.dumps(_cni()))
    kubelet_file(layout).write_text(json.dumps({**_kubelet(layout), **settings}))


def containerd_file(layout: Layout) -> Path:
    """Its configuration."""
    return layout.node / "containerd.toml"


def kubelet_file(layout: Layout) -> Path:
    """Its configuration."""
    return layout.node / "kubelet.json"


def _cni() -> dict[str, Any]:
    ranges = [{"subnet": POD_RANGE, "rangeStart": _tenth(POD_RANGE), "gateway": BRIDGE_ADDRESS}]
    bridge = {
        "type": "bridge",
        "bridge": BRIDGE,
        # As a gateway it would switch forwarding on, for the whole machine and for good.
        "isGateway": False,
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "dataDir": "/var/lib/cni/networks",
            "ranges": [ranges],
            "routes": [{"dst": "0.0.0.0/0", "gw": BRIDGE_ADDRESS}],
        },
    }
    return {"cniVersion": "1.0.0", "name": "kube", "plugins": [bridge]}


def _tenth(network: str) -> str:
    return network.partition("/")[0].rpartition(".")[0] + ".10"


def _kubelet(layout: Layout) -> dict[str, Any]:
    serving = layout.pair("node")
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        # Whether the machine has cgroups of version 1 or 2, and whether systemd owns them or nobody.
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        "failSwapOn": False,
        "address": BRIDGE_ADDRESS,
        "readOnlyPort": 0,
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": layout.ports.kubelet_health,
        "tlsCertFile": str(serving.certificate),
        "tlsPrivateKeyFile": str(serving.key),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(layout.ca_file)},
        },
        "authorization": {"mode": "Webhook"},
        "makeIPTablesUtilChains": False,
        "resolvConf": "",
        # Most of what tests create never starts, and stays.
        "maxPods": 200,
        # A full disk is no reason for a test to fail in a strange way.
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
    }
