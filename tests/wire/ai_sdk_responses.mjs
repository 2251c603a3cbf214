// Drives /v1/responses with the Vercel AI SDK's OpenAI provider and prints what it saw as one JSON object.
// node ai_sdk_responses.mjs BASE_URL NODE_MODULES, the folder that holds `ai` and `@ai-sdk/openai`.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(`${process.argv[3]}/`);
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const { generateObject, jsonSchema, stepCountIs, streamText, tool } = await load('ai');
const { createOpenAI } = await load('@ai-sdk/openai');

const model = createOpenAI({ baseURL: process.argv[2], apiKey: 'none' }).responses('fake');
const integer = { type: 'integer' };
const city = jsonSchema({ type: 'object', properties: { city: { type: 'string' }, days: integer }, required: ['city', 'days'], additionalProperties: false });
const point = jsonSchema({ type: 'object', properties: { x: integer, y: integer }, required: ['x', 'y'], additionalProperties: false });

// store: whether the history comes back as item references or in full.
async function streamed(prompt, store) {
  const cities = [];
  const errors = [];
  const GetWeather = tool({
    description: 'The weather of a city.',
    inputSchema: city,
    execute: async (input) => {
      cities.push(input.city);
      return 'sunny';
    },
  });
  const result = streamText({
    model, prompt, temperature: 0, maxRetries: 0, maxOutputTokens: 2000, tools: { GetWeather }, stopWhen: stepCountIs(3),
    providerOptions: { openai: { store } }, onError: ({ error }) => errors.push(String(error)),
  });
  let text = '';
  const types = new Set();
  for await (const part of result.fullStream) {
    types.add(part.type);
    if (part.type === 'text-delta') text += part.text;
  }
  const steps = (await result.steps).map((step) => ({
    finish: step.finishReason,
    text: step.text,
    calls: step.toolCalls.map((call) => ({ name: call.toolName, input: call.input })),
    cached: step.usage.cachedInputTokens,
    total: step.usage.totalTokens,
  }));
  return { text, types: [...types], steps, errors, cities };
}

console.log(JSON.stringify({
  words: await streamed('Hi', true),
  stored: await streamed('weather, stored?', true),
  unstored: await streamed('weather, unstored?', false),
  object: (await generateObject({ model, prompt: 'a point', schema: point, temperature: 0, maxRetries: 0, maxOutputTokens: 2000 })).object,
}));
