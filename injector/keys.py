"""Every label, annotation and reserved name that the injector reads or writes, in one place."""

from __future__ import annotations

import re

DOMAIN = "secrets-svc.internal"

#: Annotation: what the pod asks for (our dialect).
REQUEST = f"{DOMAIN}/request"
#: Annotation: what it got. Output only, never believed.
STATUS = f"{DOMAIN}/status"
#: Labels: the scope that the pod claims. Believed only with a proof.
PROJECT = f"{DOMAIN}/project"
DOMAIN_LABEL = f"{DOMAIN}/domain"
SCOPE_LABELS = (PROJECT, DOMAIN_LABEL)

#: Flyte's label that sends a pod to its webhook, its labels of the scope, what its annotations begin with.
FLYTE_LABEL = "inject-flyte-secrets"
FLYTE_PROJECT = "project"
FLYTE_DOMAIN = "domain"
FLYTE_ANNOTATION = "flyte.secrets/s"

#: Names of Secrets that begin so are ours.
RESERVED = "ss-"
#: What is staged, and its lease, has such a name.
STAGED_NAME = re.compile(RESERVED + "[0-9a-f]{40}")
#: Names of volumes that begin so are ours.
VOLUME = "secrets-svc-files-"
#: The one key in a staged Secret; in one that holds credentials for pulling images it is Kubernetes' own.
DATA_KEY = "value"
PULL_DATA_KEY = ".dockerconfigjson"
#: Where files appear; where Flyte's readers look for theirs.
FILES = "/var/run/secrets/secrets-svc"
FLYTE_FILES = "/etc/flyte/secrets"

#: Label on what is staged: how the injector finds its leases again.
STAGED = f"{DOMAIN}/staged"
STAGED_SELECTOR = f"{STAGED}=true"
#: Label on a lease: which installation key its Secret's name was made with (an id, not the key).
KEY_ID = f"{DOMAIN}/key"
#: Annotations on a lease: which secret it is about, in which version. No value.
LEASE_SECRET = f"{DOMAIN}/secret"
LEASE_VERSION = f"{DOMAIN}/version"
#: Type of a staged Secret; of one with credentials for pulling images (core/v1 SecretTypeDockerConfigJson).
STAGED_TYPE = f"{DOMAIN}/staged"
PULL_TYPE = "kubernetes.io/dockerconfigjson"
#: Backup tools (Velero) leave what carries this out: a copy of a staged Secret helps nobody.
NOT_FOR_BACKUP = "velero.io/exclude-from-backup"
