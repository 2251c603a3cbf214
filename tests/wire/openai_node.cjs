// Drives a server with the official Node SDK and prints what it saw as one JSON object.
// node openai_node.cjs BASE_URL; NODE_PATH holds `openai`.
const OpenAI = require('openai').default;

const client = new OpenAI({ baseURL: process.argv[2], apiKey: 'none', maxRetries: 0 });
const ask = (content, more = {}) => ({ model: 'fake', temperature: 0, messages: [{ role: 'user', content }], ...more });
const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
const weather = { type: 'function', function: { name: 'get_weather', parameters } };

async function streamed(body) {
  const stream = client.chat.completions.stream(body);
  const pieces = [];
  stream.on('content', (piece) => pieces.push(piece));
  const final = await stream.finalChatCompletion();
  return { pieces, choice: final.choices[0] };
}

const time = { type: 'function', function: { name: 'get_time', parameters: { type: 'object', properties: {} } } };
const patch = { type: 'custom', custom: { name: 'patch' } };
const allowed = (mode, ...names) => ({
  type: 'allowed_tools',
  allowed_tools: { mode, tools: names.map((name) => ({ type: 'function', function: { name } })) },
});
const choices = {
  auto: 'auto',
  required: 'required',
  named: { type: 'function', function: { name: 'get_weather' } },
  allowed_auto: allowed('auto', 'get_weather'),
  allowed_required: allowed('required', 'get_weather'),
  none: 'none',
};

// The stream helper throws at every delta it does not expect.
async function everyChoice() {
  const seen = {};
  for (const [name, tool_choice] of Object.entries(choices)) {
    const { choice } = await streamed(ask('weather?', { tools: [weather, time], tool_choice, max_tokens: 2000 }));
    seen[name] = choice;
  }
  return seen;
}

async function toolLoop() {
  const cities = [];
  const get_weather = async ({ city }) => {
    cities.push(city);
    return 'sunny';
  };
  const tools = [{ type: 'function', function: { ...weather.function, function: get_weather, parse: JSON.parse } }];
  const runner = client.chat.completions.runTools(ask('weather?', { stream: true, tools }));
  return { answer: await runner.finalContent(), cities };
}

async function refusal() {
  try {
    await client.models.retrieve('gpt-4o');
  } catch (e) {
    return { kind: e.constructor.name, status: e.status, code: e.code, param: e.param };
  }
}

async function main() {
  const seen = {
    whole: (await client.chat.completions.create(ask('Hi'))).choices[0],
    streamed: await streamed(ask('Hi')),
    call: await streamed(ask('weather?', { tools: [weather] })),
    choices: await everyChoice(),
    custom: await streamed(ask('patch it', { tools: [patch, time] })),
    toolLoop: await toolLoop(),
    models: (await client.models.list()).data.map((model) => model.id),
    text: (await client.completions.create({ model: 'fake', prompt: 'Hi', temperature: 0 })).choices[0].text,
    refusal: await refusal(),
  };
  console.log(JSON.stringify(seen));
}

main();
