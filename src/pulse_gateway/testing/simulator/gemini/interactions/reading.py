"""From an interaction to the conversation that the model reads: the same one as generateContent's.

Source: https://ai.google.dev/api/interactions-api (read 2026-11-24)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from pulse_gateway.testing.simulator.gemini import schema as gemini
from pulse_gateway.testing.simulator.gemini.interactions.errors import refuse_interaction
from pulse_gateway.testing.simulator.gemini.interactions.schema import (
    AudioFormat,
    Content,
    CreateInteraction,
    FunctionCallStep,
    FunctionResultStep,
    FunctionTool,
    ImageFormat,
    Media,
    ModelOutputStep,
    Step,
    TextContent,
    TextFormat,
    ThoughtStep,
    UserInputStep,
    VideoFormat,
)

__all__ = ["contents_of", "formats_of", "generate_request", "kinds_of"]

_CONTENT = (TextContent, Media)


def contents_of(given: str | Content | list[Content | Step], before: Sequence[gemini.Content]) -> list[gemini.Content]:
    """The whole conversation.

    Raises: Refusal.
    """
    if isinstance(given, str):
        parts = [gemini.Part(text=given)]
    elif isinstance(given, _CONTENT):
        parts = [_part(given)]
    elif not given:
        raise refuse_interaction("'input' must not be empty.")
    elif all(isinstance(each, _CONTENT) for each in given):
        parts = [_part(each) for each in given if isinstance(each, _CONTENT)]
    elif any(isinstance(each, _CONTENT) for each in given):
        raise refuse_interaction("'input' must be a list of contents or a list of steps, not both.")
    else:
        return _steps([each for each in given if not isinstance(each, _CONTENT)], before)
    return [*before, gemini.Content(role="user", parts=parts)]


def _steps(steps: list[Step], before: Sequence[gemini.Content]) -> list[gemini.Content]:
    contents = list(before)
    calls = {
        part.function_call.id: part.function_call.name
        for content in before
        for part in content.parts
        if part.function_call is not None
    }
    signature: str | None = None  # of a thought, for what it led to
    for at, step in enumerate(steps):
        match step:
            case ThoughtStep():
                signature = step.signature
                continue
            case UserInputStep():
                role, parts = "user", [_part(each) for each in step.content]
            case ModelOutputStep():
                role, parts = "model", [_part(each) for each in step.content]
                for part in parts:
                    if part.text is None:
                        part.thought_signature, signature = signature, None
            case FunctionCallStep():
                calls[step.id] = step.name
                call = gemini.FunctionCall(id=step.id, name=step.name, args=step.arguments)
                role, parts = "model", [gemini.Part(function_call=call, thought_signature=signature)]
                signature = None
            case FunctionResultStep():
                name = calls.get(step.call_id)
                if name is None:
                    raise refuse_interaction(f"'input[{at}].call_id' does not match any function call.")
                result = step.result if isinstance(step.result, dict) else {"result": step.result}
                response = gemini.FunctionResponse(id=step.call_id, name=name, response=result)
                role, parts = "user", [gemini.Part(function_response=response)]
        if contents and contents[-1] not in before and contents[-1].role == role:
            contents[-1].parts.extend(parts)
        else:
            contents.append(gemini.Content(role=role, parts=parts))
    return contents


def _part(content: Content) -> gemini.Part:
    if isinstance(content, TextContent):
        return gemini.Part(text=content.text)
    if (content.data is None) == (content.uri is None):
        raise refuse_interaction("A content must have exactly one of 'data' and 'uri'.")
    if content.data is not None:
        return gemini.Part(inline_data=gemini.Blob(mime_type=content.mime_type, data=content.data))
    return gemini.Part(file_data=gemini.FileData(mime_type=content.mime_type, file_uri=content.uri))


def formats_of(asked: CreateInteraction) -> list[TextFormat | ImageFormat | AudioFormat | VideoFormat]:
    given = asked.response_format
    return [] if given is None else given if isinstance(given, list) else [given]


def kinds_of(asked: CreateInteraction) -> set[str]:
    """What the answer may be made of; empty: whatever the model makes."""
    return {_KINDS[type(each)] for each in formats_of(asked)} or set(asked.response_modalities)


_KINDS: dict[type, str] = {TextFormat: "text", ImageFormat: "image", AudioFormat: "audio", VideoFormat: "video"}


def generate_request(asked: CreateInteraction, contents: list[gemini.Content]) -> gemini.GenerateContentRequest:
    """The same question, as generateContent would be asked it."""
    given = asked.generation_config
    config: dict[str, Any] = {
        "maxOutputTokens": given.max_output_tokens,
        "stopSequences": given.stop_sequences,
        "seed": given.seed,
        "temperature": given.temperature,
        "topP": given.top_p,
        "thinkingConfig": {
            "includeThoughts": given.thinking_summaries == "auto",
            "thinkingLevel": given.thinking_level.upper() if given.thinking_level else None,
        },
        "responseModalities": [kind.upper() for kind in sorted(kinds_of(asked), reverse=True)],
        "speechConfig": _speech(asked),
    }
    for each in formats_of(asked):
        if isinstance(each, ImageFormat):
            options = {"mimeType": each.mime_type} if each.mime_type else {}
            config["imageConfig"] = {
                "aspectRatio": each.aspect_ratio, "imageSize": each.image_size, "imageOutputOptions": options,
            }  # fmt: skip
        elif isinstance(each, TextFormat) and each.mime_type == "application/json":
            config |= {"responseMimeType": "application/json", "responseJsonSchema": each.schema}
        elif isinstance(each, TextFormat) and each.schema is not None:
            raise refuse_interaction("'response_format.schema' needs the mime_type application/json.")
    functions = [
        {"name": tool.name, "description": tool.description, "parametersJsonSchema": tool.parameters}
        for tool in asked.tools
        if isinstance(tool, FunctionTool)
    ]
    body = {
        "generationConfig": config,
        "tools": [{"functionDeclarations": functions}] if functions else [],
        "toolConfig": {"functionCallingConfig": _calling(asked)},
        "systemInstruction": {"parts": [{"text": asked.system_instruction}]} if asked.system_instruction else None,
    }
    request = msgspec.convert(body, gemini.GenerateContentRequest)
    request.contents = contents
    return request


def _calling(asked: CreateInteraction) -> dict[str, Any]:
    choice = asked.generation_config.tool_choice
    if choice is None:
        return {}
    if isinstance(choice, str):
        return {"mode": choice.upper()}
    allowed = choice.allowed_tools
    mode = "VALIDATED" if allowed.mode == "auto" and allowed.tools else allowed.mode.upper()
    return {"mode": mode, "allowedFunctionNames": allowed.tools}


def _speech(asked: CreateInteraction) -> dict[str, Any] | None:
    given = asked.generation_config.speech_config
    if given is None:
        return None
    voices = given if isinstance(given, list) else given.speakers
    configs = [{"prebuiltVoiceConfig": {"voiceName": each.voice}} for each in voices]
    if len(voices) == 1:
        return {"voiceConfig": configs[0], "languageCode": voices[0].language}
    speakers = [
        {"speaker": each.speaker or "", "voiceConfig": config} for each, config in zip(voices, configs, strict=True)
    ]
    return {"multiSpeakerVoiceConfig": {"speakerVoiceConfigs": speakers}}
