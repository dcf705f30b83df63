"""Files in a bucket of Amazon S3, to be read: where they are, and a request that is signed as S3 wants it.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html and /API/API_GetObject.html (read 2026-11-24)
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs, quote

import msgspec

from pulse_gateway.types.http import HttpRequest
from pulse_gateway.wire.foreign_json import not_of_protocol

__all__ = ["Bucket", "S3Read", "bucket_of"]

_URI = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<key>.*))?", re.DOTALL)


class S3Read(HttpRequest, frozen=True):
    """A GET of one file. `region` is the bucket's, which its signature names."""

    region: str = ""


class Bucket(msgspec.Struct, frozen=True):
    """`uri` is `s3://bucket/folder`; `endpoint` is where it is asked for, None: Amazon's own address of the region."""

    uri: str
    region: str
    endpoint: str | None = None

    def read(self, uri: str) -> S3Read:
        """The file at `uri`, which may be in another bucket of the same place.

        Raises: UpstreamProtocolError when `uri` is no address of S3's.
        """
        found = _URI.fullmatch(uri)
        if found is None or not found["key"]:
            raise not_of_protocol("a file that is not at an address of S3's")
        name, key = found["bucket"], quote(found["key"], safe="/~")
        amazon = "amazonaws.com.cn" if self.region.startswith("cn-") else "amazonaws.com"
        if self.endpoint is not None:
            url = f"{self.endpoint.rstrip('/')}/{name}/{key}"
        elif "." in name:  # no certificate is for it as a part of the host
            url = f"https://s3.{self.region}.{amazon}/{name}/{key}"
        else:
            url = f"https://{name}.s3.{self.region}.{amazon}/{key}"
        return S3Read("GET", url, (), region=self.region)


def bucket_of(configured: str, region: str) -> Bucket:
    """What `providers.NAME.bucket` says: `s3://bucket/folder?region=…&endpoint=…`; `region` is meant where it names none."""
    uri, _, query = configured.partition("?")
    told = parse_qs(query)
    return Bucket(uri.rstrip("/"), told.get("region", [region])[0], told.get("endpoint", [None])[0])
