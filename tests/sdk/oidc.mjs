// A real OAuth 2.0 server, and beside it a model server that takes only tokens that are good at that very moment.
//
//   node oidc.mjs PORT    TTL: seconds that tokens live; MODULES: where oidc-provider is installed
//
// POST /control changes it: { delay: ms, answer: "html" | "redirect" | "503", refuse: true, forget: true, skew: s }.
// GET /counts tells { asked, issued, taken, refused }.
import { pathToFileURL } from 'node:url';

const { Provider } = await import(pathToFileURL(`${process.env.MODULES}/oidc-provider/lib/index.js`));
const port = Number(process.argv[2]), ttl = Number(process.env.TTL ?? 5), secret = process.env.SECRET ?? 'gateway-secret';
const counts = { asked: 0, issued: 0, taken: 0, refused: 0 };
const control = { delay: 0 };
let rows = new Map(); // what the server knows

class Adapter {
  constructor(kind) { this.kind = kind; }
  key(id) { return `${this.kind}:${id}`; }
  async upsert(id, payload) { rows.set(this.key(id), payload); }
  async find(id) { return rows.get(this.key(id)); }
  async destroy(id) { rows.delete(this.key(id)); }
  async consume(id) { rows.get(this.key(id)).consumed = Math.floor(Date.now() / 1000); }
  async revokeByGrantId(grantId) { for (const [key, row] of rows) if (row.grantId === grantId) rows.delete(key); }
  async findByUid() {}
  async findByUserCode() {}
}

const client = (client_id, token_endpoint_auth_method, more) => ({
  client_id, client_secret: secret, grant_types: ['client_credentials'], redirect_uris: [], response_types: [],
  token_endpoint_auth_method, scope: 'models', ...more,
});
const provider = new Provider(`http://127.0.0.1:${port}`, {
  adapter: Adapter,
  clients: [
    client('gateway', 'client_secret_basic'),
    client('gateway-post', 'client_secret_post'),
    client('gateway-refresh', 'client_secret_basic', {
      grant_types: ['authorization_code', 'refresh_token'], redirect_uris: ['https://example.com/'], response_types: ['code'],
      scope: 'openid offline_access models',
    }),
  ],
  scopes: ['openid', 'offline_access', 'models'],
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  rotateRefreshToken: true,
  ttl: { ClientCredentials: ttl, AccessToken: ttl, RefreshToken: 3600, Grant: 3600 },
  features: {
    clientCredentials: { enabled: true }, devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true, defaultResource: () => 'urn:models', useGrantedResource: () => true,
      getResourceServerInfo: () => ({ scope: 'models', accessTokenTTL: ttl, accessTokenFormat: 'opaque' }),
    },
  },
});

const body = async (req) => {
  let text = '';
  for await (const piece of req) text += piece;
  return JSON.parse(text || '{}');
};
const json = (ctx, status, value) => { ctx.status = status; ctx.body = value; };

provider.use(async (ctx, next) => {
  if (control.skew) ctx.set('date', new Date(Date.now() - control.skew * 1000).toUTCString());
  switch (ctx.path) {
    case '/counts': return json(ctx, 200, counts);
    case '/control': {
      const change = await body(ctx.req);
      if (change.forget) rows = new Map();
      Object.assign(control, change);
      return json(ctx, 200, control);
    }
    case '/refresh-token': { // what a person's log-in would give
      const owner = await provider.Client.find('gateway-refresh');
      const grant = new provider.Grant({ accountId: 'operator', clientId: owner.clientId });
      grant.addOIDCScope('openid offline_access');
      grant.addResourceScope('urn:models', 'models');
      const token = new provider.RefreshToken({
        accountId: 'operator', client: owner, grantId: await grant.save(), gty: 'authorization_code',
        scope: 'openid offline_access models', resource: 'urn:models', rotations: 0, iiat: Math.floor(Date.now() / 1000),
      });
      return json(ctx, 200, { refresh_token: await token.save() });
    }
    case '/v1/models':
    case '/v1/chat/completions': {
      const token = (ctx.get('authorization') ?? '').replace(/^Bearer /, '');
      const known = await provider.ClientCredentials.find(token) ?? await provider.AccessToken.find(token);
      if (!known?.isValid || control.refuse) {
        counts.refused += 1;
        return json(ctx, 401, { error: { message: 'bad token', type: 'authentication_error', code: 'invalid_api_key' } });
      }
      counts.taken += 1;
      const message = { role: 'assistant', content: 'with a token' };
      return json(ctx, 200, {
        id: 'c', object: 'chat.completion', created: 1, model: 'm', data: [],
        choices: [{ index: 0, message, finish_reason: 'stop' }], usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
      });
    }
    case '/token': {
      counts.asked += 1;
      await new Promise((done) => setTimeout(done, control.delay));
      switch (control.answer) {
        case 'html': ctx.type = 'text/html'; ctx.body = '<h1>Log in</h1>'; return undefined;
        case 'redirect': return ctx.redirect('https://example.com/login');
        case '503': return json(ctx, 503, { error: 'temporarily_unavailable' });
        default: break;
      }
      await next();
      if (ctx.status === 200) counts.issued += 1;
      return undefined;
    }
    default: return next();
  }
});
provider.listen(port, '127.0.0.1', () => console.log('ready'));
