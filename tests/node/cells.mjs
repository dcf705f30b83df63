// Runs the cells that come on standard input, many at once, and prints what became of each: one JSON line for one cell.
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { chatters } from "./chat.mjs";
import { operations } from "./operations.mjs";

const AT_ONCE = 24;
const VIDEOS_AT_ONCE = 2; // as many again in Python: a user may read four
const TIMEOUT_MS = 30_000;

let input = "";
for await (const piece of process.stdin) input += piece;
const plan = JSON.parse(input);
const settings = { apiKey: plan.key, maxRetries: 0, timeout: TIMEOUT_MS };
const sdks = {
  openai: new OpenAI({ ...settings, baseURL: `${plan.url}/v1` }),
  anthropic: new Anthropic({ ...settings, baseURL: plan.url }),
  files: {
    png: new File([Buffer.from(plan.files.png, "base64")], "a.png", { type: "image/png" }),
    wav: new File([Buffer.from(plan.files.wav, "base64")], "a.wav", { type: "audio/wav" }),
  },
};

async function chat(cell) {
  const speak = chatters[cell.dialect];
  const { seen, raw } = await speak(sdks, cell.ask, null);
  if (cell.ask.tools.length && seen.calls.length) {
    seen.answered = (await speak(sdks, cell.ask, raw)).seen.text;
  }
  return seen;
}

function refusal(error) {
  if (error instanceof OpenAI.APIError && error.status) {
    return { status: error.status, code: error.code ?? null, param: error.param ?? null, message: error.message };
  }
  if (error instanceof Anthropic.APIError && error.status) {
    const said = error.error?.error ?? {};
    return {
      status: error.status,
      code: said.details?.error_code ?? null,
      param: said.details?.param ?? null,
      message: said.message ?? error.message,
    };
  }
  return null;
}

async function observed(cell) {
  try {
    const doing = operations[`${cell.operation}-${cell.dialect}`];
    return { seen: doing ? await doing(sdks, cell) : await chat(cell) };
  } catch (error) {
    const refused = refusal(error);
    return refused ? { refusal: refused } : { broke: `${error?.name}: ${error?.message}` };
  }
}

async function work(waiting) {
  for (let cell = waiting.shift(); cell; cell = waiting.shift()) {
    process.stdout.write(`${JSON.stringify({ name: cell.name, ...(await observed(cell)) })}\n`);
  }
}
const videos = plan.cells.filter((cell) => cell.operation === "videos");
const others = plan.cells.filter((cell) => cell.operation !== "videos");
await Promise.all([
  ...Array.from({ length: AT_ONCE }, () => work(others)),
  ...Array.from({ length: VIDEOS_AT_ONCE }, () => work(videos)),
]);
