"""Words to answer with, in the writing of the prompt."""

from __future__ import annotations

from bisect import bisect_right

import msgspec

from pulse_gateway.testing.simulator.dice import Dice
from pulse_gateway.testing.simulator.tokens import BYTES_PER_TOKEN, cut

__all__ = ["ARABIC", "LATIN", "Script", "filler", "script_of"]


class Script(msgspec.Struct, frozen=True):
    """One writing system: set phrases and filler words."""

    name: str
    opening: str  # {} is the beginning of the prompt
    calling: str
    thinking: str
    refusal: str
    words: tuple[str, ...]
    space: str = " "


LATIN = Script(
    name="latin",
    opening="You said: “{}”. Here is a simulated answer:",
    calling="Let me look that up.",
    thinking="The question is about",
    refusal="I'm sorry, but I can't help with that request.",
    words=(
        "amber", "bridge", "candle", "delta", "ember", "forest", "garden", "harbour", "island", "journey", "kernel",
        "lantern", "meadow", "north", "orchard", "prism", "quartz", "river", "signal", "timber", "umbrella", "velvet",
        "window", "yellow", "zenith", "café", "naïve", "façade",
    ),
)  # fmt: skip
ARABIC = Script(
    name="arabic",
    opening="لقد قلت: «{}». وهذه إجابة من المحاكي:",
    calling="دعني أبحث عن ذلك.",
    thinking="السؤال عن",
    refusal="عذرًا، لا أستطيع المساعدة في هذا الطلب.",
    words=(
        "مدينة", "كتاب", "نهر", "جسر", "شمس", "قمر", "حديقة", "بيت", "طريق", "بحر", "سماء", "مدرسة", "صديق", "نور",
        "قلب", "جبل", "شجرة", "ماء", "سؤال", "جواب", "لغة", "عربية", "صباح", "مساء", "يوم", "سنة",
    ),
)  # fmt: skip
_CYRILLIC = Script(
    name="cyrillic",
    opening="Вы сказали: «{}». Вот ответ симулятора:",
    calling="Сейчас посмотрю.",
    thinking="Вопрос о том, что",
    refusal="Извините, я не могу помочь с этим запросом.",
    words=("город", "книга", "река", "мост", "солнце", "сад", "дом", "дорога", "море", "небо", "школа", "друг", "свет"),
)
_HEBREW = Script(
    name="hebrew",
    opening="אמרת: „{}”. הנה תשובה מדומה:",
    calling="אבדוק את זה.",
    thinking="השאלה עוסקת ב",
    refusal="מצטער, אינני יכול לעזור בבקשה זו.",
    words=("עיר", "ספר", "נהר", "גשר", "שמש", "גן", "בית", "דרך", "ים", "שמיים", "אור", "לב", "הר", "עץ"),
)
_DEVANAGARI = Script(
    name="devanagari",
    opening="आपने कहा: “{}”। यह एक नकली उत्तर है:",
    calling="मैं देखता हूँ।",
    thinking="प्रश्न है",
    refusal="क्षमा करें, मैं इस अनुरोध में सहायता नहीं कर सकता।",
    words=("शहर", "किताब", "नदी", "पुल", "सूरज", "बगीचा", "घर", "रास्ता", "समुद्र", "आकाश", "मित्र", "प्रकाश"),
)
_HAN = Script(
    name="han",
    opening="您说：“{}”。以下是模拟回答：",
    calling="我来查一下。",
    thinking="问题是关于",
    refusal="抱歉，我无法协助处理此请求。",
    words=("城市", "书", "河流", "桥", "太阳", "花园", "房子", "道路", "大海", "天空", "朋友", "光", "山", "树", "水"),
    space="",
)
_KANA = Script(
    name="kana",
    opening="「{}」とのことですね。模擬回答です：",
    calling="調べてみます。",
    thinking="質問の内容は",
    refusal="申し訳ありませんが、お手伝いできません。",
    words=("まち", "ほん", "かわ", "はし", "たいよう", "にわ", "いえ", "みち", "うみ", "そら", "ともだち", "ひかり"),
    space="",
)
_HANGUL = Script(
    name="hangul",
    opening="“{}”라고 하셨습니다. 모의 답변입니다:",
    calling="찾아보겠습니다.",
    thinking="질문은",
    refusal="죄송하지만 도와드릴 수 없습니다.",
    words=("도시", "책", "강", "다리", "태양", "정원", "집", "길", "바다", "하늘", "친구", "빛", "산", "나무"),
)

# Blocks of Unicode that decide: first code point, and whose it is (None: nobody's).
_BLOCKS: tuple[tuple[int, Script | None], ...] = (
    (0x0000, None), (0x0041, LATIN), (0x0250, None), (0x0400, _CYRILLIC), (0x0530, None), (0x0590, _HEBREW),
    (0x0600, ARABIC), (0x0700, None), (0x0750, ARABIC), (0x0780, None), (0x08A0, ARABIC), (0x0900, _DEVANAGARI),
    (0x0980, None), (0x3040, _KANA), (0x3100, None), (0x3400, _HAN), (0xA000, None), (0xAC00, _HANGUL), (0xD7B0, None),
    (0xFB50, ARABIC), (0xFE00, None), (0xFE70, ARABIC), (0xFF00, None),
)  # fmt: skip
_STARTS = [start for start, _ in _BLOCKS]
_SAMPLE_CHARACTERS = 200
_BLOCK_TOKENS = 1_000


def script_of(text: str) -> Script:
    """The script most of the beginning of `text` is written in; Latin if none is known."""
    sample = text[:_SAMPLE_CHARACTERS]
    if sample.isascii():
        return LATIN
    votes: dict[str, int] = {}
    found: dict[str, Script] = {}
    for character in sample:
        script = _BLOCKS[bisect_right(_STARTS, ord(character)) - 1][1]
        if script is not None:
            votes[script.name] = votes.get(script.name, 0) + 1
            found[script.name] = script
    if "kana" in votes:  # Japanese mixes in Han; Chinese never mixes in kana
        return _KANA
    return found[max(votes, key=votes.__getitem__)] if votes else LATIN


def filler(script: Script, dice: Dice, tokens: int, start: str = "", *, exact: bool = True) -> str:
    """`start` and words after it: exactly `tokens` tokens, or as many as whole words take."""
    if tokens > 2 * _BLOCK_TOKENS:  # long answers repeat a block: nobody reads them, and dice are slow
        block = filler(script, dice, _BLOCK_TOKENS)
        return cut(start + block * (tokens * BYTES_PER_TOKEN // len(block.encode()) + 1), tokens)
    words = [start] if start else []
    size = len(start.encode())
    while size < tokens * BYTES_PER_TOKEN:
        word = dice.pick(script.words)
        if words:
            word = script.space + word
        words.append(word)
        size += len(word.encode())
    text = "".join(words)
    return cut(text, tokens) if exact else text
