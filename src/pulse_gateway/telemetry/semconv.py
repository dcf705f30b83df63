"""The names that spans use for what they say.

Source: https://github.com/open-telemetry/semantic-conventions-genai, docs/gen-ai/gen-ai-spans.md, and
https://opentelemetry.io/docs/specs/semconv/http/http-spans/ (both read 2026-11-24). What begins with `pulse.` is our own.
"""

from __future__ import annotations

ERROR_TYPE = "error.type"
HTTP_METHOD = "http.request.method"
HTTP_RESEND_COUNT = "http.request.resend_count"
HTTP_ROUTE = "http.route"
HTTP_STATUS = "http.response.status_code"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_STREAM = "gen_ai.request.stream"
RESPONSE_ID = "gen_ai.response.id"
RESPONSE_MODEL = "gen_ai.response.model"
FINISH_REASONS = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"  # seconds
INPUT_TOKENS = "gen_ai.usage.input_tokens"  # all of them, cached or not
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHE_READ_TOKENS = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS = "gen_ai.usage.cache_write.input_tokens"
REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"

ATTEMPT = "pulse.attempt"
ATTEMPTS = "pulse.attempts"
CONFIGURED_PROVIDER = "pulse.provider"
COST_NANO_USD = "pulse.cost_nano_usd"
DIALECT = "pulse.dialect"
OUTCOME = "pulse.outcome"
REPLAYED = "pulse.replayed"
REQUEST_ID = "pulse.request_id"
TENANT_ID = "pulse.tenant_id"
USAGE_SOURCE = "pulse.usage_source"

FIRST_BYTE = "pulse.first_byte"  # an event

# Of the kinds of providers whose names are not those of the conventions.
PROVIDER_NAMES = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "google": "gcp.gemini",
    "mistral": "mistral_ai",
    "vertex": "gcp.vertex_ai",
    "xai": "x_ai",
}
GENERATE_CONTENT = "generate_content"  # what a chat is called where Gemini's language is spoken
