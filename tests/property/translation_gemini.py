"""A generateContent request, as a client writes it."""

from __future__ import annotations

from hypothesis import strategies as st
from translation_writer import IMAGES, PDF, URLS, Body, Writer, b64, json_objects, said, schemas

__all__ = ["GeminiWriter"]


class GeminiWriter(Writer):
    def body(self) -> Body:
        contents: list[Body] = []
        for _ in range(self.draw(st.integers(1, 2))):
            contents.append({"role": "user", "parts": [self._part() for _ in range(self.draw(st.integers(1, 3)))]})
            if self.flag():
                contents += self._answered()
                if contents[-1]["role"] == "model":
                    contents.append({"role": "user", "parts": [{"text": self.draw(said)}]})
        if self.wild():
            contents.append({"role": "model", "parts": [{"text": self.draw(said)}]})
        config = self._config()
        if config.get("responseMimeType"):
            contents.append(
                {"role": "user", "parts": [{"text": "JSON, please"}]}
            )  # OpenAI wants to be told in words too
        system = self.maybe(st.lists(said, min_size=1, max_size=2))
        return {
            "contents": contents,
            **self.given(
                systemInstruction=None if system is None else {"parts": [{"text": text} for text in system]},
                generationConfig=config or None,
                safetySettings=[{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}] if self.wild() else None,
                labels={"team": "x"} if self.wild() else None,
                serviceTier=self.maybe(st.sampled_from(("standard", "flex")), wild=True),
                cachedContent="cachedContents/x" if self.wild() else None,
            ),
            **self._tools(),
        }  # fmt: skip

    def _config(self) -> Body:
        thinking = self.given(
            thinkingBudget=self.maybe(st.sampled_from((-1, 0, 1024, 5000))), includeThoughts=self.maybe(st.booleans())
        )
        level = {"thinkingLevel": self.draw(st.sampled_from(("LOW", "MEDIUM", "HIGH")))}
        logprobs = self.given(responseLogprobs=True if self.wild() else None)
        if logprobs and self.flag():
            logprobs["logprobs"] = 2
        return self.given(
            maxOutputTokens=self.maybe(st.integers(64, 2000)),
            temperature=self.maybe(st.sampled_from((0, 0.5, 1)) | (st.just(1.5) if self.anything else st.nothing())),
            topP=self.maybe(st.sampled_from((0.1, 1))),
            topK=self.maybe(st.integers(1, 40), wild=True),
            stopSequences=self.maybe(st.lists(st.sampled_from(("END", "قف", "\n\n#")), max_size=3), wild=True),
            candidateCount=self.maybe(st.sampled_from((1, 2)), wild=True),
            seed=self.maybe(st.integers(0, 9), wild=True),
            presencePenalty=self.maybe(st.sampled_from((0, 0.5)), wild=True),
            frequencyPenalty=self.maybe(st.sampled_from((0, -0.5)), wild=True),
            thinkingConfig=self.draw(st.sampled_from((thinking, level))) if self.wild() else None,
            mediaResolution="MEDIA_RESOLUTION_LOW" if self.wild() else None,
            speechConfig={"languageCode": "ar-QA"} if self.wild() else None,
            **logprobs,
            **(self._format() if self.wild() else {}),
        )

    def _format(self) -> Body:
        told: Body = {"responseMimeType": "application/json"}
        if self.flag():
            told[self.draw(st.sampled_from(("responseJsonSchema", "responseSchema")))] = self.draw(schemas)
        return told

    def _part(self) -> Body:
        kinds = ["text", "image", "url", "pdf", "document"] + (
            ["audio", "heic", "video", "file"] if self.anything else []
        )
        match self.draw(st.sampled_from(kinds)):
            case "image":
                media_type = self.draw(st.sampled_from(sorted(IMAGES)))
                resolution = {"level": "MEDIA_RESOLUTION_LOW"} if self.wild() else None
                blob = {"inlineData": {"mimeType": media_type, "data": IMAGES[media_type]}}
                return blob | self.given(mediaResolution=resolution)
            case "url":
                return {"fileData": self.given(fileUri=self.draw(URLS), mimeType=self.maybe(st.just("image/png")))}
            case "pdf":
                return {"inlineData": {"mimeType": "application/pdf", "data": PDF}}
            case "document":
                return {"inlineData": {"mimeType": "text/plain", "data": b64(self.draw(said).encode())}}
            case "audio":
                kind = self.draw(st.sampled_from(("audio/wav", "audio/ogg")))
                return {"inlineData": {"mimeType": kind, "data": b64(b"RIFFwave")}}
            case "heic":
                return {"inlineData": {"mimeType": "image/heic", "data": b64(b"\0\0\0\x18ftypheic")}}
            case "video":
                return {"inlineData": {"mimeType": "video/mp4", "data": b64(b"mp4")}}
            case "file":
                return {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/x"}}
        return {"text": self.text()}

    def _answered(self) -> list[Body]:
        ids = self.new_ids()
        parts: list[Body] = (
            [] if ids and self.flag() else [{"text": self.draw(said)} for _ in range(self.draw(st.integers(1, 2)))]
        )
        if self.wild():
            parts.insert(
                0,
                {
                    "text": self.draw(said),
                    "thought": True,
                    **self.given(thoughtSignature=self.maybe(st.just(b64(b"sig")))),
                },
            )
        with_ids = self.flag()
        results: list[Body] = []
        for call_id in ids:
            name = self.draw(st.sampled_from(self.tools))
            identity = {"id": call_id} if with_ids else {}
            signature = self.given(thoughtSignature=b64(b"sig") if self.wild() else None)
            parts.append({"functionCall": {**identity, "name": name, "args": self.draw(json_objects)}, **signature})
            results.append({"functionResponse": {**identity, "name": name, "response": self._response()}})
        contents: list[Body] = [{"role": "model", "parts": parts}]
        if ids:
            contents.append({"role": "user", "parts": results + ([{"text": self.draw(said)}] if self.flag() else [])})
        return contents

    def _response(self) -> Body:
        text = self.draw(said)
        wild = [{"error": text}, {"output": {"n": 1}}] if self.anything else []
        return dict(self.draw(st.sampled_from([{"output": text}, {"result": text}, {"city": text, "n": 3}, {}, *wild])))

    def _tools(self) -> Body:
        if not self.tools:
            return {}
        declarations = [
            {
                "name": name,
                **self.given(description=self.maybe(said)),
                self.draw(st.sampled_from(("parametersJsonSchema", "parameters"))): self.draw(schemas),
            }
            for name in self.tools
        ]
        tools: list[Body] = [{"functionDeclarations": declarations}]
        if self.wild():
            tools.append({"googleSearch": {}})
        modes = (
            {"mode": "AUTO"},
            {"mode": "NONE"},
            {"mode": "ANY"},
            {"mode": "ANY", "allowedFunctionNames": self.tools[:1]},
        )
        choice = self.maybe(st.sampled_from(modes))
        return {"tools": tools, **self.given(toolConfig=None if choice is None else {"functionCallingConfig": choice})}
