// Drives /v1/responses with the official Node SDK and prints what it saw as one JSON object.
// node openai_node_responses.cjs BASE_URL; NODE_PATH holds `openai`.
const OpenAI = require('openai').default;

const client = new OpenAI({ baseURL: process.argv[2], apiKey: 'none', maxRetries: 0 });
const ask = (input, more = {}) => ({ model: 'fake', temperature: 0, max_output_tokens: 2000, input, ...more });
const parameters = {
  type: 'object', properties: { city: { type: 'string' }, days: { type: 'integer' } }, required: ['city', 'days'], additionalProperties: false,
};
const weather = { type: 'function', name: 'GetWeather', strict: false, parameters };
const point = {
  type: 'json_schema', name: 'point', strict: true,
  schema: { type: 'object', properties: { x: { type: 'integer' }, y: { type: 'integer' } }, required: ['x', 'y'], additionalProperties: false },
};

// The helper throws at every event it cannot place.
async function streamed(body) {
  const stream = client.responses.stream(body);
  const pieces = [];
  stream.on('response.output_text.delta', (event) => pieces.push(event.delta));
  return { pieces, final: await stream.finalResponse() };
}

async function main() {
  console.log(JSON.stringify({
    text: await streamed(ask('Hi')),
    call: await streamed(ask('weather?', { tools: [weather] })),
    custom: await streamed(ask('patch it', { tools: [{ type: 'custom', name: 'patch' }] })),
    thought: await streamed(ask('think')),
    parsed: (await client.responses.parse(ask('a point', { text: { format: point } }))).output_parsed,
  }));
}

main();
