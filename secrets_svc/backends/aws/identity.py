"""Clients with the identity that the settings say. The library is imported when a store is opened."""

from __future__ import annotations

from typing import Any

from secrets_svc.backends.aws.quiet import silence
from secrets_svc.backends.aws.settings import Way
from secrets_svc.core.errors import InvalidArgument

_SESSION_NAME = "secrets-svc"


class Identity:
    """One identity at one endpoint.

    :param timeout: seconds, to connect and to answer. :param connections: that are kept.
    :raises InvalidArgument: there is no such profile, or no region.
    """

    def __init__(self, way: Way, *, timeout: float, connections: int) -> None:
        self._way = way
        self._timeout = timeout
        self._connections = connections
        session = self._session()
        region = session.get_config_variable("region")
        if not region:
            raise InvalidArgument(
                "there is no region for AWS Secrets Manager: set it in the store's settings"
            )
        self.region = str(region)

    def client(self) -> Any:
        """A new client, with credentials that are looked for anew. Safe for threads."""
        session = self._session()
        if self._way.role_arn is not None:
            session._credentials = self._assumed(session)
        made = session.create_client(
            "secretsmanager",
            region_name=self.region,
            endpoint_url=self._way.endpoint_url,
        )
        silence()
        return made

    def _session(self) -> Any:
        import botocore.session
        from botocore.exceptions import BotoCoreError

        silence()
        try:
            session = botocore.session.Session(profile=self._way.profile)
            session.full_config  # noqa: B018  # reads the files: what is wrong with them is to be known now
            if self._way.profile is not None:
                session.get_scoped_config()
        except BotoCoreError as error:
            raise InvalidArgument(
                f"the profile for AWS Secrets Manager can't be read: {type(error).__name__}"
            ) from None
        # The library makes clients of its own where credentials come from STS: a web identity, a role.
        session.set_default_client_config(self._config())
        if self._way.region is not None:
            session.set_config_variable("region", self._way.region)
        self._hurry(session)
        return session

    def _hurry(self, session: Any) -> None:
        """Have the agent of pod identity asked once, for as long as a call may take.

        By itself the library asks three times, two seconds each: who wants a secret is gone by then.
        """
        from botocore.httpsession import URLLib3Session
        from botocore.utils import ContainerMetadataFetcher

        agent = ContainerMetadataFetcher(URLLib3Session(timeout=self._timeout), sleep=lambda _: None)
        agent.RETRY_ATTEMPTS = 1
        session.get_component("credential_provider").get_provider("container-role")._fetcher = agent

    def _assumed(self, session: Any) -> Any:
        """Credentials of the role; renewed by the library before they end."""
        from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials

        def sts(service: str, **more: Any) -> Any:
            return session.create_client(service, region_name=self.region, **more)

        extra = {"RoleSessionName": _SESSION_NAME}
        if self._way.external_id is not None:
            extra["ExternalId"] = self._way.external_id
        fetcher = AssumeRoleCredentialFetcher(
            client_creator=sts,
            source_credentials=session.get_credentials(),
            role_arn=self._way.role_arn,
            extra_args=extra,
        )
        return DeferredRefreshableCredentials(method="assume-role", refresh_using=fetcher.fetch_credentials)

    def _config(self) -> Any:
        from botocore.config import Config

        return Config(
            connect_timeout=self._timeout,
            read_timeout=self._timeout,
            retries={"mode": "standard", "total_max_attempts": 1},  # whoever calls us repeats
            max_pool_connections=self._connections,
            # What it finds wrong it would show.
            parameter_validation=False,
            user_agent_extra="secrets-svc",
        )
