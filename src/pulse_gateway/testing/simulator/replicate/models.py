"""What some of Replicate's models take and give. Of any other name the output is guessed, and any input is taken.

Source: the models' pages at https://replicate.com (read 2026-11-24)
"""

from __future__ import annotations

import re

from pulse_gateway.testing.simulator.replicate.inputs import Input, Model
from pulse_gateway.testing.simulator.replicate.language import LANGUAGE_MODELS
from pulse_gateway.testing.simulator.replicate.listening_models import LISTENING_MODELS

__all__ = ["MODELS", "model_called"]

_RATIOS = ("1:1", "16:9", "21:9", "3:2", "2:3", "4:5", "5:4", "3:4", "4:3", "9:16", "9:21")
_VIDEO_WORDS = re.compile(r"video|veo|kling|hailuo|seedance|wan-", re.IGNORECASE)
_TEXT_WORDS = re.compile(r"llama|gpt-\d|claude|instruct|chat|deepseek|granite", re.IGNORECASE)


_PROMPT = Input(required=True)
_TEXT = Input()
_SEED = Input(type="integer")
_FLAG = Input(type="boolean")
_FILE = Input(type="uri")
_QUALITY = Input(type="integer", least=0, most=100)
_FORMAT = Input(choices=("webp", "jpg", "png"))
_SHORT_FORMAT = Input(choices=("jpg", "png"))
_FLUX = {
    "prompt": _PROMPT, "aspect_ratio": Input(choices=_RATIOS), "num_outputs": Input(type="integer", least=1, most=4),
    "seed": _SEED, "output_format": _FORMAT, "output_quality": _QUALITY, "disable_safety_checker": _FLAG,
    "go_fast": _FLAG, "megapixels": Input(choices=("1", "0.25")),
    "num_inference_steps": Input(type="integer", least=1, most=50),
}  # fmt: skip
_FLUX_PRO = {
    "prompt": _PROMPT, "image_prompt": _FILE, "aspect_ratio": Input(choices=("custom", *_RATIOS)),
    "width": Input(type="integer", least=256, most=1440), "height": Input(type="integer", least=256, most=1440),
    "safety_tolerance": Input(type="integer", least=1, most=6), "seed": _SEED, "prompt_upsampling": _FLAG,
    "output_format": _FORMAT, "output_quality": _QUALITY,
}  # fmt: skip
_BANANA = {
    "prompt": _PROMPT, "image_input": Input(type="uris"), "aspect_ratio": Input(choices=("match_input_image", *_RATIOS)),
    "output_format": _SHORT_FORMAT,
}  # fmt: skip
_BANANA_PRO = {
    **_BANANA,
    "resolution": Input(choices=("1K", "2K", "4K")),
    "safety_filter_level": Input(choices=("block_low_and_above", "block_medium_and_above", "block_only_high")),
}
_VEO = {
    "prompt": _PROMPT, "negative_prompt": _TEXT, "image": _FILE, "last_frame": _FILE,
    "reference_images": Input(type="uris"), "aspect_ratio": Input(choices=("16:9", "9:16")),
    "duration": Input(type="integer", choices=(4, 6, 8)), "resolution": Input(choices=("720p", "1080p")),
    "generate_audio": _FLAG, "seed": _SEED,
}  # fmt: skip
MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        Model(name="black-forest-labs/flux-schnell", shape="pictures", inputs=_FLUX),
        Model(
            name="black-forest-labs/flux-dev",
            shape="pictures",
            inputs={
                **_FLUX,
                "image": _FILE,
                "prompt_strength": Input(type="number", least=0, most=1),
                "guidance": Input(type="number", least=0, most=10),
            },
        ),
        Model(name="black-forest-labs/flux-1.1-pro", shape="picture", inputs=_FLUX_PRO),
        Model(name="google/nano-banana", shape="picture", inputs=_BANANA, media_type="image/jpeg"),
        Model(name="google/nano-banana-pro", shape="picture", inputs=_BANANA_PRO, media_type="image/jpeg"),
        Model(name="google/nano-banana-2", shape="picture", inputs=_BANANA_PRO, media_type="image/jpeg"),
        Model(name="google/veo-3", shape="video", inputs=_VEO, media_type="video/mp4"),
        Model(name="google/veo-3-fast", shape="video", inputs=_VEO, media_type="video/mp4"),
        Model(name="google/veo-3.1", shape="video", inputs=_VEO, media_type="video/mp4"),
        Model(name="google/veo-3.1-fast", shape="video", inputs=_VEO, media_type="video/mp4"),
        *LANGUAGE_MODELS,
        *LISTENING_MODELS,
        Model(
            name="stability-ai/sdxl",
            shape="pictures",
            inputs={
                "prompt": _TEXT, "negative_prompt": _TEXT, "image": _FILE, "mask": _FILE, "seed": _SEED,
                "width": Input(type="integer"), "height": Input(type="integer"),
                "num_outputs": Input(type="integer", least=1, most=4),
                "guidance_scale": Input(type="number", least=1, most=50),
                "prompt_strength": Input(type="number", least=0, most=1),
                "num_inference_steps": Input(type="integer", least=1, most=500),
            },
            official=False,
            media_type="image/png",
        ),
    )
}  # fmt: skip


def model_called(name: str) -> Model:
    """The model, also if nobody knows it."""
    if (known := MODELS.get(name)) is not None:
        return known
    if _VIDEO_WORDS.search(name):
        return Model(name=name, shape="video", media_type="video/mp4")
    return Model(name=name, shape="text" if _TEXT_WORDS.search(name) else "pictures")
