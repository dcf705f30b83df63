"""A Responses request, as a client writes it."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from translation_writer import GIF, IMAGES, PDF, URLS, Body, Writer, arguments, b64, said, schemas

__all__ = ["ResponsesWriter"]


class ResponsesWriter(Writer):
    def body(self) -> Body:
        text = self._text_config()
        instructions = self.maybe(said)
        if text is not None and text.get("format") == {"type": "json_object"}:
            instructions = "Answer in JSON."  # as the vendor demands
        return {
            "model": "alias",
            "input": self._input(),
            **self.given(
                instructions=instructions,
                temperature=self.maybe(st.sampled_from((0, 0.5, 1)) | (st.just(1.5) if self.anything else st.nothing())),
                top_p=self.maybe(st.sampled_from((0.1, 1))),
                max_output_tokens=self.maybe(st.integers(64, 2000)),
                include=self.maybe(st.just(["reasoning.encrypted_content"])),
                top_logprobs=self.maybe(st.sampled_from((0, 2)), wild=True),
                user=self.maybe(st.sampled_from(("user-1", "مستخدم"))),
                metadata=self.maybe(st.just({"k": "v"}), wild=True),
                prompt_cache_key="k" if self.wild() else None,
                store=self.maybe(st.booleans(), wild=True),
                background=self.maybe(st.just(False)),
                previous_response_id="resp_1" if self.wild() else None,
                service_tier=self.maybe(st.sampled_from(("auto", "flex")), wild=True),
                truncation=self.maybe(st.sampled_from(("disabled", "auto")), wild=True),
                text=text,
                reasoning=self._reasoning() if self.wild() else None,
                stream=self.maybe(st.booleans()),
            ),
            **self._tools(),
        }  # fmt: skip

    def _input(self) -> Any:
        if self.draw(st.integers(0, 9)) == 0:
            return self.draw(said)
        roles = self.draw(st.lists(st.sampled_from(("system", "developer")), max_size=2))
        items: list[Body] = [self._message(role, self._texts()) for role in roles]
        items.append(self._message("user", self.draw(said)))
        for _ in range(self.draw(st.integers(0, 2))):
            items.append(self._message("user", self._content()))
            if self.flag():
                items += self._answered()
                if items[-1].get("role") == "assistant":
                    items.append(self._message("user", self.draw(said)))
            if self.wild():
                items.append(self._message("system", self.draw(said)))
            if self.wild():
                items.append({"type": "item_reference", "id": "msg_1"})
                items.append(self._message("user", self.draw(said)))
        if self.wild():
            items.append({"role": "assistant", "content": self.text()})
        return items

    def _message(self, role: str, content: Any) -> Body:
        return {**self.given(type=self.maybe(st.just("message"))), "role": role, "content": content}

    def _texts(self) -> Any:
        if self.flag():
            return self.text()
        return [{"type": "input_text", "text": text} for text in self.some(said)]

    def _content(self) -> Any:
        return self.text() if self.flag() else [self._part() for _ in range(self.draw(st.integers(1, 3)))]

    def _part(self, *, in_result: bool = False) -> Body:
        kinds = ["text", "image", "url", "pdf", "document"] + (["audio", "gif", "file_id"] if self.anything else [])
        match self.draw(st.sampled_from(["text"] if in_result and not self.anything else kinds)):
            case "image":
                media_type = self.draw(st.sampled_from(sorted(IMAGES)))
                detail = self.draw(st.sampled_from(("auto", "low", "high")))
                url = f"data:{media_type};base64,{IMAGES[media_type]}"
                return {"type": "input_image", "image_url": url, "detail": detail}
            case "url":
                return {"type": "input_image", "image_url": self.draw(URLS), "detail": "auto"}
            case "gif":
                return {"type": "input_image", "image_url": f"data:image/gif;base64,{GIF}", "detail": "auto"}
            case "pdf":
                title = self.draw(st.sampled_from(("a.pdf", "تقرير.pdf")))
                return {"type": "input_file", "file_data": f"data:application/pdf;base64,{PDF}", "filename": title}
            case "document":
                data = b64(self.draw(said).encode())
                return {"type": "input_file", "file_data": f"data:text/plain;base64,{data}", "filename": "n.txt"}
            case "file_id":
                return {"type": "input_file", "file_id": "file-abc"}
            case "audio":
                return {"type": "input_audio", "input_audio": {"data": b64(b"RIFFwave"), "format": "wav"}}
        return {"type": "input_text", "text": self.text()}

    def _answered(self) -> list[Body]:
        """What a model did, as its own answer has it, and the results."""
        ids = self.new_ids()
        items: list[Body] = []
        if self.wild():
            summary = [{"type": "summary_text", "text": self.draw(said)}]
            proof = self.maybe(st.sampled_from(("gAAAA", "pulse:signature:sig=")))
            items.append({"type": "reasoning", "id": "rs_1", "summary": summary, **self.given(encrypted_content=proof)})
        if not ids or self.flag():
            items.append(self._words())
        items += [self._call(call_id, place) for place, call_id in enumerate(ids)]
        return items + [self._result(call_id) for call_id in ids]

    def _words(self) -> Body:
        if self.flag():
            return {"role": "assistant", "content": self.draw(said)}
        content: list[Body] = [{"type": "output_text", "text": self.draw(said), "annotations": []}]
        if self.wild():
            content.append({"type": "refusal", "refusal": "No."})
        if self.wild():
            content[0]["annotations"] = [{"type": "file_path", "file_id": "f", "index": 0}]
        phase = "final_answer" if self.wild() else None
        message: Body = {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": content,
        }
        return message | self.given(phase=phase)

    def _call(self, call_id: str, place: int) -> Body:
        signature = {"google": {"thought_signature": b64(b"sig")}} if self.wild() else None
        return {
            "type": "function_call",
            "call_id": call_id,
            "name": self.draw(st.sampled_from(self.tools)),
            "arguments": self.draw(arguments | st.just("")),
            **self.given(id=self.maybe(st.just(f"fc_{place}")), extra_content=signature),
        }

    def _result(self, call_id: str) -> Body:
        parts = [self._part(in_result=True) for _ in range(self.draw(st.integers(1, 2)))]
        output = self.draw(said) if self.flag() else parts
        return {"type": "function_call_output", "call_id": call_id, "output": output}

    def _text_config(self) -> Any:
        schema = {"type": "json_schema", "name": "reply", "schema": self.draw(schemas)}
        schema |= self.given(description=self.maybe(said), strict=self.maybe(st.just(False)))
        formats = [{"type": "text"}, *([schema, {"type": "json_object"}] if self.anything else [])]
        verbosity = self.maybe(st.sampled_from(("medium", "low")), wild=True)
        config = self.given(format=self.maybe(st.sampled_from(formats)), verbosity=verbosity)
        return config or None

    def _reasoning(self) -> Body:
        return self.given(
            effort=self.maybe(st.sampled_from(("none", "minimal", "low", "medium", "high", "xhigh"))),
            summary=self.maybe(st.sampled_from(("auto", "detailed"))),
        )

    def _tools(self) -> Body:
        if not self.tools:
            return {}
        tools: list[Body] = [
            {
                "type": "function",
                "name": name,
                "parameters": self.draw(schemas),
                "strict": self.maybe(st.just(False)),
                **self.given(description=self.maybe(said)),
            }
            for name in self.tools
        ]
        first = {"type": "function", "name": self.tools[0]}
        allowed = {"type": "allowed_tools", "mode": "auto", "tools": [first]}
        choice = self.maybe(st.sampled_from(("auto", "none", "required", first, allowed)))
        if self.wild():
            tools.append({"type": "web_search"})
        return {
            "tools": tools,
            **self.given(tool_choice=choice, parallel_tool_calls=self.maybe(st.booleans(), wild=True)),
        }
