"""Language models that Replicate runs, each asked by a prediction. Only vendors speak it to us."""

from pulse_gateway.wire.replicate_predictions.codec import ReplicatePredictionsCodec

__all__ = ["ReplicatePredictionsCodec"]
