from __future__ import annotations

import random
import time

import pytest

from pulse_gateway.limits.estimate import hold_output_tokens
from pulse_gateway.types.catalog import Model
from pulse_gateway.wire.token_estimate import OutputEstimate, estimate_output_tokens, estimate_prompt_tokens

UNKNOWN = Model(provider="x", name="y")
BOUNDED = Model(provider="x", name="y", max_output_tokens=1_000)

# Text and its count in o200k_base, counted with that vocabulary.
COUNTED = {
    "prose": (
        "When in the course of human events it becomes necessary for one people to dissolve the political bands which "
        "have connected them with another, and to assume among the powers of the earth, the separate and equal station "
        "to which the laws of nature and of nature's God entitle them, a decent respect to the opinions of mankind "
        "requires that they should declare the causes which impel them to the separation. We hold these truths to be "
        "self-evident, that all men are created equal. Here's how you can do that: first, install the package; then "
        "run the tests. If something fails, check the logs and look for the first error. I would recommend starting "
        "with the smallest change that could possibly work.",
        141,
        0.1,
    ),
    "json": (
        '{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":[{"index":0,'
        '"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"usage":null}' * 3,
        180,
        0.1,
    ),
    "arabic": (
        "الذكاء الاصطناعي هو فرع من علوم الحاسوب يهتم ببناء آلات قادرة على أداء المهام التي تتطلب عادة ذكاء بشريا. يمكن "
        "استخدام هذه الأنظمة في الترجمة والتلخيص وكتابة النصوص والإجابة عن الأسئلة. إذا كنت تريد أن تبدأ مشروعا جديدا "
        "فعليك أولا أن تحدد الهدف بوضوح ثم تجمع البيانات اللازمة وتختبر النموذج على أمثلة حقيقية قبل أن تعتمد عليه.",
        98,
        0.25,
    ),
    "chinese": (
        "人工智能是计算机科学的一个分支,它企图了解智能的实质,并生产出一种新的能以人类智能相似的方式做出反应的智能机器。"
        "该领域的研究包括机器人、语言识别、图像识别、自然语言处理和专家系统等。如果你想开始一个新项目,首先要明确目标,然后"
        "收集所需的数据。",
        85,
        0.1,
    ),
}


@pytest.mark.parametrize("kind", COUNTED)
def test_an_answer_without_a_usage_frame_is_counted_close_to_what_a_tokenizer_makes_of_it(kind: str) -> None:
    text, counted, tolerance = COUNTED[kind]
    assert estimate_output_tokens(text) == pytest.approx(counted, rel=tolerance)


@pytest.mark.parametrize("kind", COUNTED)
@pytest.mark.parametrize("longest", [1, 5, 400])
def test_an_answer_that_grows_piece_by_piece_is_counted_as_the_whole_one(kind: str, longest: int) -> None:
    text = COUNTED[kind][0] * 10
    sizes = random.Random(0)
    estimate, at = OutputEstimate(), 0
    while at < len(text):
        size = sizes.randint(1, longest)
        estimate.add(text[at : at + size])
        at += size
    assert estimate.tokens == pytest.approx(estimate_output_tokens(text), rel=0.02)


def test_a_growing_answer_is_looked_at_once_and_not_kept() -> None:
    estimate = OutputEstimate()
    for _ in range(10_000):
        estimate.add("word and a word ")
    assert estimate.tokens == pytest.approx(estimate_output_tokens("word and a word " * 10_000))
    assert len(estimate._open) < 300


def test_arabic_with_its_vowels_written_takes_a_token_more_for_each() -> None:
    text = (
        "مَرْحَبًا بِكَ فِي عَالَمِ الذَّكَاءِ الاصْطِنَاعِيِّ. إِنَّ اللُّغَةَ الْعَرَبِيَّةَ مِنْ أَغْنَى لُغَاتِ الْعَالَمِ بِالْمُفْرَدَاتِ، وَقَدْ كَتَبَ بِهَا "
        "الشُّعَرَاءُ أَجْمَلَ الْقَصَائِدِ."
    )
    assert estimate_output_tokens(text) == pytest.approx(113, rel=0.1)


@pytest.mark.parametrize("kind", COUNTED)
def test_a_prompt_is_held_for_about_as_much_as_it_will_be_in_every_script(kind: str) -> None:
    text, counted, _ = COUNTED[kind]
    assert 0.8 * counted <= estimate_prompt_tokens([text]) <= 1.4 * counted


def test_four_letters_of_english_are_a_token_and_two_of_arabic_and_fewer_of_chinese() -> None:
    assert estimate_prompt_tokens(["a" * 400]) == 100
    assert estimate_prompt_tokens(["س" * 400]) == 180
    assert estimate_prompt_tokens(["字" * 400]) == 260


def test_nothing_is_nothing_and_a_little_is_at_least_one() -> None:
    assert (estimate_prompt_tokens([""]), estimate_output_tokens("")) == (0, 0)
    assert (estimate_prompt_tokens(["a"]), estimate_output_tokens("a")) == (1, 1)


def test_a_lone_surrogate_is_text_too() -> None:
    assert estimate_prompt_tokens(["\ud800"]) == 1
    assert estimate_output_tokens("\ud800") == 1


def test_attachments_are_held_for_as_much_as_an_image_costs() -> None:
    assert estimate_prompt_tokens(["abcd"], attachments=2) == 3_201


@pytest.mark.parametrize(
    ("asked", "n", "model", "held"),
    [
        (None, 1, UNKNOWN, 4_097),  # no limit of its own: the configured one
        (None, 1, BOUNDED, 1_001),  # but never more than the model can write
        (200, 1, UNKNOWN, 201),
        (2_000, 1, BOUNDED, 1_001),
        (200, 3, BOUNDED, 601),  # each answer may be that long
        (200, 0, BOUNDED, 201),
    ],
)
def test_the_hold_covers_the_prompt_and_every_answer(asked: int | None, n: int, model: Model, held: int) -> None:
    assert estimate_prompt_tokens(["abcd"]) + hold_output_tokens(asked, n, model, 4_096) == held


@pytest.mark.parametrize("text", ["a" * 10_240, "سلام " * 1_138, "你好" * 1_700])
def test_the_hold_of_a_ten_kilobyte_prompt_is_cheap(text: str) -> None:
    """20 µs each is the aim; the bar leaves room for a busy machine."""
    best_s = min(_time_of_a_hundred(text) for _ in range(5))
    assert best_s / 100 < 100e-6


def _time_of_a_hundred(text: str) -> float:
    started = time.perf_counter()
    for _ in range(100):
        estimate_prompt_tokens([text], 1)
    return time.perf_counter() - started
