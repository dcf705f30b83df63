"""Images in each dialect that has them."""

from pulse_gateway.wire.images.codec import ImageEdits, ImageGenerations

__all__ = ["ImageEdits", "ImageGenerations"]
