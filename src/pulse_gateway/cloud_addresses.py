"""Where the models of the three big clouds are, from the variables that their own SDKs read. Pure: the variables are handed in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

__all__ = ["azure_address", "bedrock_address", "vertex_address"]

_DEFAULT_LOCATION = "global"
_NAMES_A_REGION = re.compile(r"\bbedrock-runtime(?:-fips)?\.[a-z0-9-]+\.|[?&]region=")


def azure_address(environ: Mapping[str, str], configured: str | None) -> str | None:
    """`configured`, else the resource's endpoint, with the version that a dated API needs. Source: openai 3.54, `lib/azure.py`."""
    endpoint = environ.get("AZURE_OPENAI_ENDPOINT")
    if configured is not None or not endpoint:
        return configured
    version = environ.get("OPENAI_API_VERSION")
    return endpoint if not version or "?" in endpoint else f"{endpoint.rstrip('/')}?api-version={quote(version)}"


def vertex_address(environ: Mapping[str, str], configured: str | None) -> str | None:
    """The project's, at `configured` where that is a bare host. Source: google-genai 3.4, `_api_client.py`."""
    project = environ.get("GOOGLE_CLOUD_PROJECT")
    if not project or (configured is not None and urlsplit(configured).path not in ("", "/")):
        return configured
    location = environ.get("GOOGLE_CLOUD_LOCATION") or _DEFAULT_LOCATION
    host = "aiplatform.googleapis.com" if location == _DEFAULT_LOCATION else f"{location}-aiplatform.googleapis.com"
    base = (configured or f"https://{host}").rstrip("/")
    return f"{base}/v1beta1/projects/{quote(project, safe=':')}/locations/{quote(location)}"


def bedrock_address(environ: Mapping[str, str], configured: str | None) -> str | None:
    """`configured`, else that of the region; an address that names no region gets the environment's.

    Source: botocore 1.44, `configprovider.py`; https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html (read 2026-11-24)
    """
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    address = configured or environ.get("AWS_ENDPOINT_URL_BEDROCK_RUNTIME")
    if address is None:
        return f"https://bedrock-runtime.{region}.amazonaws.com" if region else None
    if not region or _NAMES_A_REGION.search(address):
        return address
    return f"{address}{'&' if '?' in address else '?'}region={region}"
