"""A Messages request, as a client writes it."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from translation_writer import GIF, IMAGES, PDF, URLS, Body, Writer, json_objects, said, schemas

__all__ = ["AnthropicWriter"]


class AnthropicWriter(Writer):
    def body(self) -> Body:
        messages: list[Body] = []
        for _ in range(self.draw(st.integers(1, 2))):
            messages.append({"role": "user", "content": self._content()})
            if self.flag():
                messages += self._answered()
                if messages[-1]["role"] == "assistant":
                    messages.append({"role": "user", "content": self.draw(said)})
        if self.wild():
            messages.append({"role": "assistant", "content": self.text()})
        user = self.maybe(st.sampled_from(("user-1", "مستخدم")))
        return {
            "model": "alias",
            "max_tokens": self.draw(st.integers(64, 2000)),
            "messages": messages,
            **self.given(
                system=self.maybe(said | st.lists(self._text_blocks(), min_size=1, max_size=2)),
                temperature=self.maybe(st.sampled_from((0, 0.5, 1))),
                top_p=self.maybe(st.sampled_from((0.1, 1))),
                top_k=self.maybe(st.integers(1, 40), wild=True),
                stop_sequences=self.maybe(st.lists(st.sampled_from(("END", "قف", "\n\n#")), max_size=3), wild=True),
                stream=self.maybe(st.booleans()),
                metadata=None if user is None else {"user_id": user},
                thinking=self._thinking() if self.wild() else None,
                output_config=self._output() if self.wild() else None,
                cache_control={"type": "ephemeral"} if self.wild() else None,
                service_tier=self.maybe(st.sampled_from(("auto", "standard_only")), wild=True),
                container="c_1" if self.wild() else None,
            ),
            **self._tools(),
        }  # fmt: skip

    def _thinking(self) -> Body:
        display = self.given(display=self.maybe(st.sampled_from(("summarized", "omitted"))))
        enabled = {"type": "enabled", "budget_tokens": 1024, **display}
        return dict(self.draw(st.sampled_from((enabled, {"type": "adaptive", **display}, {"type": "disabled"}))))

    def _output(self) -> Body:
        schema = {"type": "json_schema", "schema": self.draw(schemas)}
        return self.given(
            effort=self.maybe(st.sampled_from(("low", "medium", "high", "max"))),
            format=self.maybe(st.just(schema)),
        )

    def _text_blocks(self) -> st.SearchStrategy[Body]:
        cached = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
        return st.builds(lambda text, more: {"type": "text", "text": text, **more}, said, st.sampled_from(({}, cached)))

    def _content(self) -> Any:
        return self.text() if self.flag() else [self._block() for _ in range(self.draw(st.integers(1, 3)))]

    def _block(self, *, in_result: bool = False) -> Body:
        kinds = ["text", "image", "url", "pdf", "document"] + (
            ["gif", "file_id", "search_result"] if self.anything else []
        )
        match self.draw(st.sampled_from(["text"] if in_result and not self.anything else kinds)):
            case "image":
                media_type = self.draw(st.sampled_from(sorted(IMAGES)))
                source = {"type": "base64", "media_type": media_type, "data": IMAGES[media_type]}
                return {"type": "image", "source": source}
            case "gif":
                return {"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": GIF}}
            case "url":
                return {"type": "image", "source": {"type": "url", "url": self.draw(URLS)}}
            case "file_id":
                return {"type": "image", "source": {"type": "file", "file_id": "file_1"}}
            case "search_result":
                content = [{"type": "text", "text": self.draw(said)}]
                return {"type": "search_result", "source": "s", "title": "t", "content": content}
            case "pdf":
                source = {"type": "base64", "media_type": "application/pdf", "data": PDF}
                return {"type": "document", "source": source, **self._document()}
            case "document":
                source = {"type": "text", "media_type": "text/plain", "data": self.draw(said)}
                return {"type": "document", "source": source, **self._document()}
        return dict(self.draw(self._text_blocks()))

    def _document(self) -> Body:
        context = self.draw(said) if self.wild() else None
        return self.given(title=self.maybe(st.sampled_from(("a.pdf", "تقرير"))), context=context)

    def _answered(self) -> list[Body]:
        ids = self.new_ids()
        blocks = [] if ids and self.flag() else [dict(self.draw(self._text_blocks()))]
        if self.wild():
            blocks.insert(0, {"type": "thinking", "thinking": self.draw(said), "signature": "sig=="})
        if self.wild():
            blocks.insert(0, {"type": "redacted_thinking", "data": "xx=="})
        wire_ids = [
            call_id if call_id.isascii() and call_id.isidentifier() else f"toolu_{n}" for n, call_id in enumerate(ids)
        ]
        wire_ids = [f"{call_id}_{len(self._ids)}" for call_id in wire_ids]
        for call_id in wire_ids:
            tool = self.draw(st.sampled_from(self.tools))
            blocks.append({"type": "tool_use", "id": call_id, "name": tool, "input": self.draw(json_objects)})
        turns: list[Body] = [{"role": "assistant", "content": blocks}]
        if ids:
            results = [self._result(call_id) for call_id in wire_ids]
            turns.append({"role": "user", "content": results + ([self._block()] if self.flag() else [])})
        return turns

    def _result(self, call_id: str) -> Body:
        content = self.draw(st.none()) if self.flag() else self._result_content()
        is_error = self.maybe(st.booleans())
        return {"type": "tool_result", "tool_use_id": call_id, **self.given(content=content, is_error=is_error)}

    def _result_content(self) -> Any:
        return (
            self.draw(said)
            if self.flag()
            else [self._block(in_result=True) for _ in range(self.draw(st.integers(1, 2)))]
        )

    def _tools(self) -> Body:
        if not self.tools:
            return {}
        tools: list[Body] = [
            {
                "name": name,
                "input_schema": self.draw(schemas),
                **self.given(
                    type=self.maybe(st.just("custom")),
                    description=self.maybe(said),
                    strict=self.maybe(st.just(False)),
                    eager_input_streaming=self.maybe(st.booleans()),
                ),
            }
            for name in self.tools
        ]
        if self.wild():
            tools.append({"type": "web_search_20250305", "name": "web_search"})
        single = self.given(disable_parallel_tool_use=self.maybe(st.booleans(), wild=True))
        choices = (
            {"type": "auto"} | single,
            {"type": "any"} | single,
            {"type": "tool", "name": self.tools[0]},
            {"type": "none"},
        )
        return {"tools": tools, **self.given(tool_choice=self.maybe(st.sampled_from(choices)))}
