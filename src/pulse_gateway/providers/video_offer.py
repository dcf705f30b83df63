"""Videos as one vendor makes them: begun, looked at until they are done, fetched. Pure, as `Offer` is."""

from __future__ import annotations

from typing import Protocol

from pulse_gateway.providers.offer import OfferCall, Steps
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import HttpRequest
from pulse_gateway.types.videos import VideoFile, VideoRequest, VideoState

__all__ = ["VideoOffer"]


class VideoOffer(Protocol):
    """An `Offer` (its `dialect` is None: nobody speaks the dialect that clients know any more) whose `steps` begin a job and return its
    first `VideoState`."""

    @property
    def dialect(self) -> str | None: ...

    def check(self, request: VideoRequest, deployment: Deployment, /) -> tuple[str, ...]:
        """The hints that have no place here. Raises: UnsupportedParameter with the neutral field name."""
        ...

    def steps(self, request: VideoRequest, call: OfferCall, /) -> Steps[VideoState]:
        """Begin. `OfferCall.webhook` may be told to the vendor, to be called when the job is done."""
        ...

    def look(self, job_id: str, call: OfferCall, /) -> Steps[VideoState]:
        """How far the vendor's job `job_id` is."""
        ...

    def fetch(self, state: VideoState, call: OfferCall, /) -> Steps[VideoFile | HttpRequest]:
        """The video of a job that is completed: its bytes, or the request whose answer is the file, to be passed through."""
        ...

    def cancel(self, job_id: str, call: OfferCall, /) -> Steps[None]:
        """Stop a job, where the vendor knows how. Steps that do nothing where it does not."""
        ...
