"""What the programs are made of. Only data: this file is part of the key under which they are cached."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Program:
    """One command of a Go module.

    :param name: of the file, below the folder of programs.
    :param folder: of the module, below ``tools``.
    :param versioned: the module whose version the program shall tell, if any.
    :param variables: the linker's variables for that; ``{version}`` and ``{minor}`` stand for the module's.
    """

    name: str
    folder: str
    package: str
    tags: str = ""
    versioned: str = ""
    variables: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """Programs that are built and cached together.

    :param unpacked: programs taken from packages of Debian: name of the package, name of the program.
    :param takes: how long a first build takes on two cores, in words.
    """

    name: str
    programs: tuple[Program, ...]
    unpacked: tuple[tuple[str, str], ...] = ()
    takes: str = ""

    @property
    def folders(self) -> tuple[str, ...]:
        """The modules below ``tools`` that it is built from."""
        return tuple(sorted({program.folder for program in self.programs}))


#: Without these, Kubernetes calls itself v0.0.0, and clients go by that.
_KUBERNETES_VERSION = tuple(
    f"{package}.{variable}"
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    for variable in (
        "gitVersion={version}",
        "gitMajor=1",
        "gitMinor={minor}",
        "gitTreeState=clean",
        "gitCommit=unknown",
        "buildDate=1970-01-01T00:00:00Z",
    )
)


def _kubernetes(name: str) -> Program:
    package = f"k8s.io/kubernetes/cmd/{name}"
    return Program(name, "k8s", package, versioned="k8s.io/kubernetes", variables=_KUBERNETES_VERSION)


def _containerd(name: str) -> Program:
    module = "github.com/containerd/containerd/v2"
    return Program(
        name,
        "node",
        f"{module}/cmd/{name}",
        tags="no_btrfs no_devmapper no_zfs no_aufs",
        versioned=module,
        variables=(f"{module}/version.Version={{version}}",),
    )


def _cni(kind: str, name: str) -> Program:
    return Program(f"cni/{name}", "node", f"github.com/containernetworking/plugins/plugins/{kind}/{name}")


#: The control plane. The kubelet is here because it shares nearly all its code with the API server.
CONTROL_PLANE = Part(
    "control-plane",
    (
        Program("etcd", "k8s", "go.etcd.io/etcd/server/v3"),
        *map(
            _kubernetes,
            ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kubelet"),
        ),
        Program("envparse", "k8s", "./envparse"),
    ),
    takes="about five minutes",
)

#: What a node needs beside the kubelet.
NODE = Part(
    "node",
    (
        *map(_containerd, ("containerd", "containerd-shim-runc-v2", "ctr")),
        _cni("main", "bridge"),
        _cni("main", "loopback"),
        _cni("ipam", "host-local"),
        Program("pause", "pause", "."),
    ),
    # runc needs cgo and libseccomp to be built, and every sandbox needs a runc with seccomp.
    unpacked=(("runc", "runc"), ("busybox-static", "busybox")),
    takes="about one minute",
)
