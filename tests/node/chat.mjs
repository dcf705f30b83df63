// Chat in each dialect: what is asked, in the SDK's words, and what it showed of the answer.

const data = (type, base64) => `data:${type};base64,${base64}`;
const objects = (calls) => calls.map(({ id, name, text }) => ({ id, name, arguments: JSON.parse(text) }));

// Without what the SDK's own helper for streams has added to it.
function asItCame({ parsed: _, ...said }) {
  const tool_calls = said.tool_calls.map(({ index: _, ...call }) => {
    const { parsed_arguments: __, ...called } = call.function;
    return { ...call, function: called };
  });
  return { ...said, tool_calls };
}

async function openaiChat({ openai }, ask, previous) {
  const messages = ask.system ? [{ role: "system", content: ask.system }] : [];
  messages.push(...ask.history.map(([role, content]) => ({ role, content })));
  const parts = [];
  if (ask.image) parts.push({ type: "image_url", image_url: { url: data("image/png", ask.image) } });
  if (ask.document) {
    parts.push({ type: "file", file: { filename: "paper.pdf", file_data: data("application/pdf", ask.document) } });
  }
  messages.push({ role: "user", content: parts.length ? [{ type: "text", text: ask.text }, ...parts] : ask.text });
  if (previous) {
    const said = previous.choices[0].message;
    messages.push(asItCame(said));
    messages.push(
      ...said.tool_calls.map((call) => ({
        role: "tool",
        tool_call_id: call.id,
        content: ask.results[call.function.name],
      })),
    );
  }
  const body = { model: ask.model, messages, max_completion_tokens: ask.max_tokens };
  if (ask.tools.length) {
    body.tools = ask.tools.map(([name, description, parameters]) => ({
      type: "function",
      function: { name, description, parameters },
    }));
  }
  if (ask.schema) {
    body.response_format = { type: "json_schema", json_schema: { name: "answer", schema: ask.schema } };
  }
  if (ask.effort) body.reasoning_effort = ask.effort;
  const options = { headers: ask.headers };
  const raw = ask.stream
    ? await openai.chat.completions
        .stream({ ...body, stream: true, stream_options: { include_usage: true } }, options)
        .finalChatCompletion()
    : await openai.chat.completions.create(body, options);
  const { message, finish_reason } = raw.choices[0];
  const calls = (message.tool_calls ?? []).map((call) => ({
    id: call.id,
    name: call.function.name,
    text: call.function.arguments,
  }));
  const seen = {
    text: message.content ?? "",
    calls: objects(calls),
    finish: finish_reason,
    input_tokens: raw.usage?.prompt_tokens ?? null,
    output_tokens: raw.usage?.completion_tokens ?? null,
    thought: Boolean(
      raw.usage?.completion_tokens_details?.reasoning_tokens ||
        message.reasoning_content ||
        message.reasoning ||
        message.reasoning_details,
    ),
    shown: Boolean(message.reasoning_content || message.reasoning || message.reasoning_details),
    answered: null,
  };
  return { seen, raw };
}

async function openaiResponses({ openai }, ask, previous) {
  const input = ask.history.map(([role, content]) => ({ role, content }));
  const parts = [{ type: "input_text", text: ask.text }];
  if (ask.image) parts.push({ type: "input_image", detail: "auto", image_url: data("image/png", ask.image) });
  if (ask.document) {
    parts.push({ type: "input_file", filename: "paper.pdf", file_data: data("application/pdf", ask.document) });
  }
  input.push({ role: "user", content: parts });
  if (previous) {
    input.push(...previous.output.map(({ parsed_arguments: _, ...item }) => item));
    const called = previous.output.filter((item) => item.type === "function_call");
    input.push(
      ...called.map((call) => ({
        type: "function_call_output",
        call_id: call.call_id,
        output: ask.results[call.name],
      })),
    );
  }
  const body = { model: ask.model, input, max_output_tokens: ask.max_tokens, store: false };
  body.include = ["reasoning.encrypted_content"];
  if (ask.system) body.instructions = ask.system;
  if (ask.tools.length) {
    body.tools = ask.tools.map(([name, description, parameters]) => ({
      type: "function",
      name,
      description,
      parameters,
      strict: false,
    }));
  }
  if (ask.schema) body.text = { format: { type: "json_schema", name: "answer", schema: ask.schema } };
  if (ask.effort) body.reasoning = { effort: ask.effort };
  const options = { headers: ask.headers };
  let raw;
  if (ask.stream) {
    for await (const event of await openai.responses.create({ ...body, stream: true }, options)) {
      if (event.type === "response.completed" || event.type === "response.incomplete") raw = event.response;
    }
    if (!raw) throw new Error("the stream had no end");
  } else {
    raw = await openai.responses.create(body, options);
  }
  const said = raw.output.filter((item) => item.type === "message").flatMap((item) => item.content);
  const calls = raw.output
    .filter((item) => item.type === "function_call")
    .map((item) => ({ id: item.call_id, name: item.name, text: item.arguments }));
  const seen = {
    text: said.map((part) => part.text ?? "").join(""),
    calls: objects(calls),
    finish: raw.incomplete_details?.reason ?? raw.status,
    input_tokens: raw.usage?.input_tokens ?? null,
    output_tokens: raw.usage?.output_tokens ?? null,
    thought: Boolean(
      raw.usage?.output_tokens_details?.reasoning_tokens || raw.output.some((item) => item.type === "reasoning"),
    ),
    shown: raw.output.some((item) => item.type === "reasoning" && item.summary.length > 0),
    answered: null,
  };
  return { seen, raw };
}

async function anthropicMessages({ anthropic }, ask, previous) {
  const messages = ask.history.map(([role, content]) => ({ role, content }));
  const parts = [];
  if (ask.image) {
    parts.push({ type: "image", source: { type: "base64", media_type: "image/png", data: ask.image } });
  }
  if (ask.document) {
    parts.push({ type: "document", source: { type: "base64", media_type: "application/pdf", data: ask.document } });
  }
  messages.push({ role: "user", content: parts.length ? [...parts, { type: "text", text: ask.text }] : ask.text });
  if (previous) {
    const called = previous.content.filter((block) => block.type === "tool_use");
    messages.push({ role: "assistant", content: previous.content });
    messages.push({
      role: "user",
      content: called.map((block) => ({
        type: "tool_result",
        tool_use_id: block.id,
        content: ask.results[block.name],
      })),
    });
  }
  const body = { model: ask.model, messages, max_tokens: ask.max_tokens };
  if (ask.system) body.system = ask.system;
  if (ask.tools.length) {
    body.tools = ask.tools.map(([name, description, input_schema]) => ({ name, description, input_schema }));
  }
  if (ask.schema || ask.effort) {
    body.output_config = {
      ...(ask.schema ? { format: { type: "json_schema", schema: ask.schema } } : {}),
      ...(ask.effort ? { effort: ask.effort } : {}),
    };
  }
  if (ask.effort) body.thinking = { type: "adaptive" };
  const options = { headers: ask.headers };
  const raw = ask.stream
    ? await anthropic.messages.stream(body, options).finalMessage()
    : await anthropic.messages.create(body, options);
  const { usage, content } = raw;
  const seen = {
    text: content.map((block) => (block.type === "text" ? block.text : "")).join(""),
    calls: content
      .filter((block) => block.type === "tool_use")
      .map((block) => ({ id: block.id, name: block.name, arguments: block.input })),
    finish: raw.stop_reason,
    input_tokens: usage.input_tokens + (usage.cache_read_input_tokens ?? 0) + (usage.cache_creation_input_tokens ?? 0),
    output_tokens: usage.output_tokens,
    thought: Boolean(
      usage.output_tokens_details?.thinking_tokens || content.some((block) => block.type === "thinking"),
    ),
    shown: content.some((block) => block.type === "thinking" && block.thinking !== ""),
    answered: null,
  };
  return { seen, raw };
}

export const chatters = { chat: openaiChat, responses: openaiResponses, messages: anthropicMessages };
