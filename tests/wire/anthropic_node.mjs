// Drives a server with the official Node SDK and prints what it saw as one JSON object.
// node anthropic_node.mjs BASE_URL; NODE_PATH holds `@anthropic-ai/sdk`.
import { createRequire } from 'node:module';

const Anthropic = createRequire(import.meta.url)('@anthropic-ai/sdk').default;
const client = new Anthropic({ baseURL: process.argv[2], apiKey: 'none', maxRetries: 0 });
const ask = (content, more = {}) => ({
  model: 'fake', max_tokens: 2000, temperature: 0, messages: [{ role: 'user', content }], ...more,
});
const input_schema = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
const weather = { name: 'get_weather', input_schema };
const time = { name: 'get_time', input_schema: { type: 'object', properties: {} } };

// The stream helper throws at every event it does not expect.
async function streamed(body) {
  const stream = client.messages.stream(body);
  const pieces = [];
  stream.on('text', (piece) => pieces.push(piece));
  return { pieces, message: await stream.finalMessage() };
}

const choices = {
  auto: { type: 'auto' },
  any: { type: 'any' },
  tool: { type: 'tool', name: 'get_weather' },
  none: { type: 'none' },
};

async function everyChoice() {
  const seen = {};
  for (const [name, tool_choice] of Object.entries(choices)) {
    seen[name] = (await streamed(ask('weather?', { tools: [weather, time], tool_choice }))).message;
  }
  return seen;
}

async function toolLoop() {
  const messages = [{ role: 'user', content: 'weather?' }];
  for (;;) {
    const { message } = await streamed({ ...ask(''), messages, tools: [weather] });
    if (message.stop_reason !== 'tool_use') return message.content[0].text;
    messages.push({ role: 'assistant', content: message.content });
    const results = message.content.filter((block) => block.type === 'tool_use');
    messages.push({
      role: 'user',
      content: results.map((block) => ({ type: 'tool_result', tool_use_id: block.id, content: 'sunny' })),
    });
  }
}

async function refusal() {
  try {
    await client.messages.create(ask('Hi', { temperature: 7 }));
  } catch (e) {
    return { kind: e.constructor.name, status: e.status, type: e.error.error.type };
  }
}

const models = [];
for await (const model of client.models.list()) models.push(model.id);
console.log(JSON.stringify({
  whole: await client.messages.create(ask('Hi')),
  streamed: await streamed(ask('Hi')),
  thought: await streamed(ask('think', { thinking: { type: 'enabled', budget_tokens: 1024 } })),
  empty: await streamed(ask('nothing')),
  choices: await everyChoice(),
  toolLoop: await toolLoop(),
  tokens: await client.messages.countTokens({ model: 'fake', messages: [{ role: 'user', content: 'Hi' }] }),
  models,
  refusal: await refusal(),
}));
