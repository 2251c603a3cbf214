// Drives a server with the Vercel AI SDK and prints what it saw as one JSON object.
// node ai_sdk.mjs BASE_URL NODE_MODULES, the folder that holds `ai` and `@ai-sdk/openai-compatible`.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

// Modules are looked for beside this file only, unless they are named by their paths.
const require = createRequire(`${process.argv[3]}/`);
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const { generateText, jsonSchema, stepCountIs, streamText, tool } = await load('ai');
const { createOpenAICompatible } = await load('@ai-sdk/openai-compatible');

const provider = createOpenAICompatible({ name: 'kvern', baseURL: process.argv[2], apiKey: 'none', includeUsage: true });
const model = provider('fake');
const city = jsonSchema({ type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false });
const zone = jsonSchema({ type: 'object', properties: { zone: { type: 'string', enum: ['CET', 'UTC'] } }, required: ['zone'], additionalProperties: false });

function tools(cities) {
  return {
    get_weather: tool({
      description: 'The weather of a city.',
      inputSchema: city,
      execute: async (input) => {
        cities.push(input.city);
        return 'sunny';
      },
    }),
    get_time: tool({ description: 'The time.', inputSchema: zone }),
  };
}

async function streamed(prompt, more = {}) {
  const cities = [];
  const errors = [];
  const result = streamText({
    model, prompt, temperature: 0, maxRetries: 0, maxOutputTokens: 2000, tools: tools(cities),
    onError: ({ error }) => errors.push(String(error)), ...more,
  });
  const pieces = { text: '', input: '', inputs: 0, types: new Set() };
  for await (const part of result.fullStream) {
    pieces.types.add(part.type);
    if (part.type === 'text-delta') pieces.text += part.text;
    if (part.type === 'tool-input-delta') {
      pieces.input += part.delta;
      pieces.inputs += 1;
    }
  }
  const steps = (await result.steps).map((step) => ({
    finish: step.finishReason,
    text: step.text,
    calls: step.toolCalls.map((call) => ({ name: call.toolName, input: call.input, invalid: call.invalid ?? false })),
  }));
  const usage = await result.usage;
  return { ...pieces, types: [...pieces.types], steps, errors, cities, cached: usage.cachedInputTokens };
}

async function whole(prompt, more = {}) {
  const result = await generateText({ model, prompt, temperature: 0, maxRetries: 0, maxOutputTokens: 2000, tools: tools([]), ...more });
  return { finish: result.finishReason, text: result.text, calls: result.toolCalls.map((call) => ({ name: call.toolName, input: call.input })) };
}

console.log(JSON.stringify({
  words: await streamed('Hi'),
  loop: await streamed('weather?', { stopWhen: stepCountIs(3) }),
  required: await streamed('Hi', { toolChoice: 'required' }),
  named: await streamed('weather?', { toolChoice: { type: 'tool', toolName: 'get_time' } }),
  none: await streamed('Hi', { toolChoice: 'none' }),
  whole: await whole('weather?'),
}));
