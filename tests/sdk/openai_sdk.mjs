// The official OpenAI SDK for Node against a running daemon: each check throws where it fails.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const require = createRequire(`${process.env.MOLTBOT_NODE_MODULES}/`);
const { OpenAI } = require('openai');
const client = new OpenAI({ baseURL: process.env.MOLTBOT_BASE_URL, apiKey: 'unused', maxRetries: 0, timeout: 60_000 });
const messages = [{ role: 'user', content: 'Say hello' }];
const chat = client.chat.completions;

const whole = await chat.create({ model: 'real', messages, max_tokens: 8, temperature: 0 });
assert.ok(whole.choices[0].message.content);
assert.ok(whole.usage.completion_tokens > 0);

const collect = async (stream) => {
  let text = '', finish = null;
  for await (const piece of stream) {
    text += piece.choices[0]?.delta?.content ?? '';
    finish = piece.choices[0]?.finish_reason ?? finish;
  }
  return { text, finish };
};
const real = await collect(await chat.create({ model: 'real', messages, max_tokens: 8, stream: true }));
assert.ok(real.text && real.finish);

assert.equal((await chat.create({ model: 'echo', messages })).choices[0].message.content, 'Say hello');
assert.equal((await collect(await chat.create({ model: 'echo', messages, stream: true }))).text, 'Say hello');

const completion = await client.completions.create({ model: 'real', prompt: 'Once upon', max_tokens: 4 });
assert.ok(completion.choices[0].text);

const vectors = await client.embeddings.create({ model: 'vectors', input: 'reset my password' });
assert.ok(vectors.data[0].embedding.length > 100);

const names = [];
for await (const model of client.models.list()) names.push(model.id);
assert.ok(names.includes('real'));
assert.equal((await client.models.retrieve('echo')).id, 'echo');

const missing = await chat.create({ model: 'ecko', messages }).catch((error) => error);
assert.ok(missing instanceof OpenAI.NotFoundError);
assert.equal(missing.code, 'model_not_found');
await assert.rejects(chat.create({ model: 'limited', messages }), OpenAI.RateLimitError);
await assert.rejects(chat.create({ model: 'down', messages }), OpenAI.InternalServerError);
// What the gateway has repeated already, the SDK does not multiply: the test counts these calls.
await assert.rejects(chat.create({ model: 'down', messages }, { maxRetries: 2 }), OpenAI.InternalServerError);
await assert.rejects(chat.create({ model: 'picky', messages }), OpenAI.UnprocessableEntityError);
await assert.rejects(chat.create({ model: '', messages }), OpenAI.BadRequestError);
await assert.rejects(chat.create({ model: 'hangs', messages }, { timeout: 500 }), OpenAI.APIConnectionTimeoutError);
await assert.rejects(collect(await chat.create({ model: 'cut', messages, stream: true })), OpenAI.APIError);

const begun = performance.now();
const stream = await chat.create({ model: 'slow', messages, stream: true });
for await (const _ of stream) break; // leaving the loop aborts the call
assert.ok(performance.now() - begun < 1500, 'the first piece did not come before the rest');
console.log('every check passed');
