// Everything beside chat. Each function does one operation and says what its user got.

const TEXTS = ["Petra at sunset", "ما هي عاصمة الأردن؟"];
const HEAD_BYTES = 24;
const POLL_MS = 250;

const base64 = (bytes) => Buffer.from(bytes).toString("base64");
const options = (cell) => ({ headers: cell.headers });
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function collected(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

async function picture(image) {
  return image.b64_json ?? base64(await (await fetch(image.url)).arrayBuffer());
}

async function pictured(stream) {
  const events = await collected(stream);
  const whole = events.filter((event) => event.type.endsWith(".completed")).map((event) => event.b64_json);
  return { images: whole, partial: events.length - whole.length };
}

async function countOpenai({ openai }, cell) {
  const counted = await openai.responses.inputTokens.count({ model: cell.model, input: TEXTS[0] }, options(cell));
  return { tokens: counted.input_tokens };
}

async function countAnthropic({ anthropic }, cell) {
  const messages = [{ role: "user", content: TEXTS[0] }];
  const counted = await anthropic.messages.countTokens({ model: cell.model, messages }, options(cell));
  return { tokens: counted.input_tokens };
}

async function embeddings({ openai }, cell) {
  const body = { model: cell.model, input: TEXTS };
  const packed = await openai.embeddings.create(body, options(cell)); // asked for as base64
  const floats = await openai.embeddings.create({ ...body, encoding_format: "float" }, options(cell));
  return {
    vectors: packed.data.map((each) => each.embedding),
    again: floats.data.map((each) => each.embedding),
    input_tokens: packed.usage.prompt_tokens,
  };
}

async function images({ openai }, cell) {
  const body = { model: cell.model, prompt: TEXTS[0] };
  if (cell.mode === "stream") {
    return pictured(await openai.images.generate({ ...body, stream: true, partial_images: 1 }, options(cell)));
  }
  const made = await openai.images.generate(body, options(cell));
  return { images: await Promise.all((made.data ?? []).map(picture)) };
}

async function edits({ openai, files }, cell) {
  const body = { model: cell.model, prompt: "blue", image: files.png };
  if (cell.mode === "stream") {
    return pictured(await openai.images.edit({ ...body, stream: true, partial_images: 1 }, options(cell)));
  }
  const made = await openai.images.edit(body, options(cell));
  return { images: await Promise.all((made.data ?? []).map(picture)) };
}

async function speech({ openai }, cell) {
  const body = { model: cell.model, voice: cell.voice, input: TEXTS[0], response_format: "wav" };
  const answer = await openai.audio.speech.create(body, options(cell));
  const sound = Buffer.concat(await collected(answer.body));
  return { head: base64(sound.subarray(0, HEAD_BYTES)), bytes: sound.length };
}

async function transcription({ openai, files }, cell) {
  const body = { model: cell.model, file: files.wav };
  if (cell.mode === "whole") return { text: (await openai.audio.transcriptions.create(body, options(cell))).text };
  const events = await collected(await openai.audio.transcriptions.create({ ...body, stream: true }, options(cell)));
  const texts = (type, member) => events.filter((event) => event.type === type).map((event) => event[member]);
  return {
    text: texts("transcript.text.done", "text").join(""),
    streamed: texts("transcript.text.delta", "delta").join(""),
  };
}

async function translation({ openai, files }, cell) {
  return { text: (await openai.audio.translations.create({ model: cell.model, file: files.wav }, options(cell))).text };
}

async function moderation({ openai }, cell) {
  const made = await openai.moderations.create({ model: cell.model, input: ["I will kill you", TEXTS[0]] }, options(cell));
  return { flagged: made.results.map((each) => each.flagged) };
}

async function videos({ openai }, cell) {
  const body = { model: cell.model, prompt: TEXTS[0], seconds: cell.seconds, size: "1280x720" };
  let job = await openai.videos.create(body, options(cell));
  while (job.status === "queued" || job.status === "in_progress") {
    await sleep(POLL_MS);
    job = await openai.videos.retrieve(job.id, options(cell));
  }
  const data = Buffer.from(await (await openai.videos.downloadContent(job.id, {}, options(cell))).arrayBuffer());
  const gone = await openai.videos.delete(job.id, options(cell));
  return {
    status: job.status,
    head: base64(data.subarray(0, HEAD_BYTES)),
    bytes: data.length,
    deleted: gone.deleted,
  };
}

async function models(sdk, cell, listed) {
  const names = (await collected(listed)).map((model) => model.id);
  const one = await sdk.models.retrieve(cell.model, {}, options(cell));
  return { listed: names.includes(one.id), id: one.id };
}

export const operations = {
  "count-openai": countOpenai,
  "count-anthropic": countAnthropic,
  "embeddings-openai": embeddings,
  "images-openai": images,
  "edits-openai": edits,
  "speech-openai": speech,
  "transcription-openai": transcription,
  "translation-openai": translation,
  "moderation-openai": moderation,
  "videos-openai": videos,
  "models-openai": async ({ openai }, cell) => {
    const listed = openai.models.list(options(cell));
    const names = (await collected(listed)).map((model) => model.id);
    const one = await openai.models.retrieve(cell.model, options(cell));
    return { listed: names.includes(one.id), id: one.id };
  },
  "models-anthropic": ({ anthropic }, cell) =>
    models(anthropic, cell, anthropic.models.list({ limit: 1000 }, options(cell))),
};
