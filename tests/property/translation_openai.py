"""A Chat Completions request, as a client writes it."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from translation_writer import GIF, IMAGES, PDF, URLS, Body, Writer, arguments, b64, said, schemas

__all__ = ["OpenAIWriter"]


class OpenAIWriter(Writer):
    def body(self) -> Body:
        roles = self.draw(st.lists(st.sampled_from(("system", "developer")), max_size=2))
        messages: list[Body] = [{"role": role, "content": self._texts(), **self._name()} for role in roles]
        messages.append({"role": "user", "content": self.draw(said), **self._name()})
        for _ in range(self.draw(st.integers(0, 2))):
            messages.append({"role": "user", "content": self._content(), **self._name()})
            if self.flag():
                messages += self._answered()
                if messages[-1]["role"] == "assistant":
                    messages.append({"role": "user", "content": self.draw(said)})
            if self.wild():
                messages.append({"role": "system", "content": self.draw(said)})
        if self.wild():
            messages.append({"role": "assistant", "content": self.text()})
        limit = self.draw(st.sampled_from(("max_tokens", "max_completion_tokens")))
        wanted = self._format()
        if wanted == {"type": "json_object"}:  # as the vendor demands
            messages.insert(0, {"role": "system", "content": "Answer in JSON."})
        return {
            "model": "alias",
            "messages": messages,
            **self.given(
                temperature=self.maybe(st.sampled_from((0, 0.5, 1)) | (st.just(1.5) if self.anything else st.nothing())),
                top_p=self.maybe(st.sampled_from((0.1, 1))),
                stop=self.maybe(st.just("STOP") | st.lists(st.sampled_from(("END", "قف", "\n\n#")), max_size=3), wild=True),
                n=self.maybe(st.sampled_from((1, 2)), wild=True),
                seed=self.maybe(st.integers(0, 9), wild=True),
                presence_penalty=self.maybe(st.sampled_from((0, 0.5)), wild=True),
                frequency_penalty=self.maybe(st.sampled_from((0, -0.5)), wild=True),
                logprobs=True if self.wild() else None,
                logit_bias={"50256": -100} if self.wild() else None,
                user=self.maybe(st.sampled_from(("user-1", "مستخدم"))),
                metadata=self.maybe(st.just({"k": "v"}), wild=True),
                store=self.maybe(st.booleans(), wild=True),
                service_tier=self.maybe(st.sampled_from(("auto", "flex")), wild=True),
                prediction={"type": "content", "content": "x"} if self.wild() else None,
                response_format=wanted,
                reasoning_effort=self.maybe(st.sampled_from(("none", "minimal", "low", "medium", "high", "xhigh")), wild=True),
                stream=self.maybe(st.booleans()),
            ),
            **self.given(**{limit: self.maybe(st.integers(64, 2000))}),
            **self._tools(),
        }  # fmt: skip

    def _name(self) -> Body:
        return self.given(name=self.maybe(st.just("Layla"), wild=True))

    def _texts(self) -> Any:
        if self.flag():
            return self.text()
        return [{"type": "text", "text": text} for text in self.some(said)]

    def _content(self) -> Any:
        return self.text() if self.flag() else [self._part() for _ in range(self.draw(st.integers(1, 3)))]

    def _part(self) -> Body:
        kinds = ["text", "image", "url", "pdf", "document"] + (["audio", "gif", "file_id"] if self.anything else [])
        match self.draw(st.sampled_from(kinds)):
            case "image":
                media_type = self.draw(st.sampled_from(sorted(IMAGES)))
                url = f"data:{media_type};base64,{IMAGES[media_type]}"
                detail = self.maybe(st.sampled_from(("auto", "low", "high")))
                return {"type": "image_url", "image_url": self.given(url=url, detail=detail)}
            case "url":
                return {"type": "image_url", "image_url": {"url": self.draw(URLS)}}
            case "gif":
                return {"type": "image_url", "image_url": {"url": f"data:image/gif;base64,{GIF}"}}
            case "pdf":
                title = self.draw(st.sampled_from(("a.pdf", "تقرير.pdf")))
                return {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PDF}", "filename": title}}
            case "document":
                data = b64(self.draw(said).encode())
                return {"type": "file", "file": {"file_data": f"data:text/plain;base64,{data}", "filename": "n.txt"}}
            case "file_id":
                return {"type": "file", "file": {"file_id": "file-abc"}}
            case "audio":
                return {"type": "input_audio", "input_audio": {"data": b64(b"RIFFwave"), "format": "wav"}}
        return {"type": "text", "text": self.text()}

    def _answered(self) -> list[Body]:
        ids = self.new_ids()
        content = self.draw(st.none() | said) if ids else self.draw(said)
        message: Body = {"role": "assistant", "content": content}
        if self.wild():
            message["content"] = [{"type": "text", "text": self.draw(said)}, {"type": "refusal", "refusal": "No."}]
        if self.wild():
            message["refusal"] = "I will not."
        if self.anything and self.flag():
            message["reasoning_content"] = self.draw(said)
        if ids:
            message["tool_calls"] = [self._call(call_id) for call_id in ids]
        results = [{"role": "tool", "tool_call_id": call_id, "content": self._texts()} for call_id in ids]
        return [message, *results]

    def _call(self, call_id: str) -> Body:
        function = {"name": self.draw(st.sampled_from(self.tools)), "arguments": self.draw(arguments | st.just(""))}
        signature = {"google": {"thought_signature": b64(b"sig")}} if self.wild() else None
        return {"id": call_id, "type": "function", "function": function, **self.given(extra_content=signature)}

    def _tools(self) -> Body:
        if not self.tools:
            return {}
        tools = [
            {
                "type": "function",
                "function": {
                    "name": name,
                    **self.given(
                        description=self.maybe(said), parameters=self.maybe(schemas), strict=self.maybe(st.just(False))
                    ),
                },
            }
            for name in self.tools
        ]
        first = {"type": "function", "function": {"name": self.tools[0]}}
        allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [first]}}
        choice = self.maybe(st.sampled_from(("auto", "none", "required", first, allowed)))
        if self.wild():
            tools.append({"type": "custom", "custom": {"name": "free"}})
        return {
            "tools": tools,
            **self.given(tool_choice=choice, parallel_tool_calls=self.maybe(st.booleans(), wild=True)),
        }

    def _format(self) -> Any:
        schema = {"name": "reply", "schema": self.draw(schemas), **self.given(description=self.maybe(said))}
        plain = {"type": "text"}
        formats = [plain, {"type": "json_schema", "json_schema": schema}]
        return self.maybe(st.sampled_from([*formats, {"type": "json_object"}] if self.anything else [plain]))
