"""A real Kubernetes on one machine, for tests: built from packages, run as plain processes.

Here belongs what starts, stops and talks to such a cluster. Nothing here knows the product, and the product
never imports it. What tests use:

- :class:`Cluster`: a control plane; no root. :class:`Node`: a kubelet and containerd on this machine; root.
- ``cluster.api``, ``kubectl``, ``kubeconfig_for``, ``kubeconfig_with``, ``token``, ``namespace``, ``audit``.
- :func:`pod`, :func:`shell`, :func:`python` make pods; :class:`Pods` runs them.
- :class:`Webhook` and :func:`register` for admission; :func:`until` for what comes soon.
"""

from .api import Answer as Answer
from .cluster import Cluster as Cluster
from .errors import KitError as KitError
from .images import BUSYBOX as BUSYBOX
from .images import MACHINE as MACHINE
from .node import Node as Node
from .pods import Pods as Pods
from .pods import pod as pod
from .pods import python as python
from .pods import shell as shell
from .waiting import until as until
from .webhook import Webhook as Webhook
from .webhook import register as register
