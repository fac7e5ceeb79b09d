// What scripts find in a worker: timers, URL, text coding, digests, console, and `ctx`.
// `host` reaches the worker; whatever it does is checked on the other side.
(function (host) {
  "use strict";
  const formed = (_, value) => (typeof value === "string" ? value.toWellFormed() : value);
  const json = (value) => JSON.stringify(value ?? null, formed) ?? "null";
  const define = (entries) => {
    for (const [name, value] of Object.entries(entries)) {
      Object.defineProperty(globalThis, name, { value, writable: true, configurable: true });
    }
  };

  // What the script asks for, and what came of it.
  class PermissionError extends Error {}
  PermissionError.prototype.name = "PermissionError";
  const pending = new Map();
  let last = 0;
  function ask(what, given) {
    const here = new Error();
    return new Promise((resolve, reject) => {
      const number = ++last;
      host.ask(number, what, json(given));
      pending.set(number, { resolve, reject, here });
    });
  }
  function settle(number, value, message, denied) {
    const asked = pending.get(number);
    if (!asked) return;
    pending.delete(number);
    if (message === undefined) return asked.resolve(JSON.parse(value));
    const error = new (denied ? PermissionError : Error)(message);
    error.stack = asked.here.stack;
    asked.reject(error);
  }

  // Timers.
  const timers = new Map();
  let lastTimer = 0;
  function timer(repeat) {
    return (action, wait, ...given) => {
      if (typeof action !== "function") throw new TypeError("a timer needs a function");
      const ms = Math.max(repeat ? 1 : 0, Number(wait) || 0);
      timers.set(++lastTimer, { action, given, repeat: repeat ? ms : undefined });
      host.timer(lastTimer, ms);
      return lastTimer;
    };
  }
  const forget = (number) => void timers.delete(number);
  function fire(number) {
    const due = timers.get(number);
    if (!due) return;
    if (due.repeat === undefined) timers.delete(number);
    else host.timer(number, due.repeat);
    due.action(...due.given);
  }

  // Console.
  function shown(value) {
    if (typeof value === "string") return value;
    if (value instanceof Error) return `${value.name}: ${value.message}`;
    if (typeof value === "object" && value !== null) {
      try {
        return JSON.stringify(value);
      } catch {
        return String(value);
      }
    }
    return String(value);
  }
  const logger = (level) => (...values) => host.log(level, values.map(shown).join(" ").toWellFormed());
  const log = { info: logger("info"), warn: logger("warn"), error: logger("error") };
  const console = { ...log, log: log.info, debug: log.info, trace: log.info };

  // Text and bytes.
  const bytesOf = (data) => {
    if (data instanceof ArrayBuffer) return new Uint8Array(data);
    if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    throw new TypeError("bytes are an ArrayBuffer or a view of one");
  };
  // Bytes on their way to the worker: a letter each.
  const latin = (bytes) => {
    let text = "";
    for (let at = 0; at < bytes.length; at += 4096) text += String.fromCharCode(...bytes.subarray(at, at + 4096));
    return text;
  };
  class TextEncoder {
    get encoding() {
      return "utf-8";
    }
    encode(text = "") {
      return host.encode(String(text).toWellFormed());
    }
    encodeInto(text, into) {
      let read = 0;
      let written = 0;
      for (const letter of String(text).toWellFormed()) {
        const bytes = host.encode(letter);
        if (written + bytes.length > into.length) break;
        into.set(bytes, written);
        written += bytes.length;
        read += letter.length;
      }
      return { read, written };
    }
  }
  class TextDecoder {
    constructor(label = "utf-8", { fatal = false, ignoreBOM = false } = {}) {
      if (!/^\s*(utf-?8|unicode-1-1-utf-8)\s*$/i.test(label)) {
        throw new RangeError(`only utf-8 can be decoded, not ${label}`);
      }
      this.fatal = fatal;
      this.ignoreBOM = ignoreBOM;
    }
    get encoding() {
      return "utf-8";
    }
    decode(data) {
      if (data === undefined) return "";
      const text = host.decode(latin(bytesOf(data)), this.fatal);
      return this.ignoreBOM ? text : text.replace(/^\uFEFF/, "");
    }
  }

  // URL.
  const pairs = (text) =>
    JSON.parse(host.query(String(text).toWellFormed()));
  class URLSearchParams {
    #pairs = [];
    #changed = () => {};
    constructor(from = "", changed) {
      if (changed) this.#changed = changed;
      if (typeof from === "object" && from !== null) {
        const entries = typeof from[Symbol.iterator] === "function" ? [...from] : Object.entries(from);
        for (const entry of entries) {
          if ([...entry].length !== 2) throw new TypeError("a pair is a name and a value");
        }
        this.#pairs = entries.map(([name, value]) => [String(name), String(value)]);
      } else {
        this.#pairs = pairs(String(from).replace(/^\?/, ""));
      }
    }
    append(name, value) {
      this.#pairs.push([String(name), String(value)]);
      this.#changed();
    }
    delete(name, value) {
      this.#pairs = this.#pairs.filter(([n, v]) => n !== String(name) || (value !== undefined && v !== String(value)));
      this.#changed();
    }
    get(name) {
      return this.#pairs.find(([n]) => n === String(name))?.[1] ?? null;
    }
    getAll(name) {
      return this.#pairs.filter(([n]) => n === String(name)).map(([, value]) => value);
    }
    has(name, value) {
      return this.#pairs.some(([n, v]) => n === String(name) && (value === undefined || v === String(value)));
    }
    set(name, value) {
      const at = this.#pairs.findIndex(([n]) => n === String(name));
      if (at < 0) return this.append(name, value);
      this.#pairs = this.#pairs.filter(([n], index) => n !== String(name) || index === at);
      this.#pairs[at][1] = String(value);
      this.#changed();
    }
    sort() {
      this.#pairs.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
      this.#changed();
    }
    forEach(action, self) {
      for (const [name, value] of this.#pairs) action.call(self, value, name, this);
    }
    keys() {
      return this.#pairs.map(([name]) => name).values();
    }
    values() {
      return this.#pairs.map(([, value]) => value).values();
    }
    entries() {
      return this.#pairs.map(([name, value]) => [name, value]).values();
    }
    [Symbol.iterator]() {
      return this.entries();
    }
    get size() {
      return this.#pairs.length;
    }
    toString() {
      return host.encodeQuery(json(this.#pairs));
    }
  }
  class URL {
    #parts;
    #params;
    constructor(text, base) {
      this.#parts = this.#read(host.url(String(text).toWellFormed(), base === undefined ? undefined : String(base).toWellFormed()));
      this.#params = this.#fresh();
    }
    #read(parts) {
      if (parts === undefined) throw new TypeError("Invalid URL");
      return JSON.parse(parts);
    }
    #fresh() {
      const params = new URLSearchParams(this.#parts.search, () => {
        this.#parts = this.#read(host.setUrl(this.#parts.href, "search", params.toString()));
      });
      return params;
    }
    static canParse(text, base) {
      return host.url(String(text).toWellFormed(), base === undefined ? undefined : String(base).toWellFormed()) !== undefined;
    }
    static parse(text, base) {
      return URL.canParse(text, base) ? new URL(text, base) : null;
    }
    set(part, value) {
      this.#parts = this.#read(host.setUrl(this.#parts.href, part, String(value).toWellFormed()));
      if (part === "search" || part === "href") this.#params = this.#fresh();
    }
    part(name) {
      return this.#parts[name];
    }
    get searchParams() {
      return this.#params;
    }
    toString() {
      return this.#parts.href;
    }
    toJSON() {
      return this.#parts.href;
    }
  }
  const { set, part } = URL.prototype;
  delete URL.prototype.set;
  delete URL.prototype.part;
  for (const name of ["href", "protocol", "username", "password", "host", "hostname", "port", "pathname", "search", "hash"]) {
    Object.defineProperty(URL.prototype, name, {
      get() {
        return part.call(this, name);
      },
      set(value) {
        set.call(this, name, value);
      },
      enumerable: true,
      configurable: true,
    });
  }
  Object.defineProperty(URL.prototype, "origin", {
    get() {
      return part.call(this, "origin");
    },
    enumerable: true,
    configurable: true,
  });

  // Digests and randomness.
  const crypto = {
    subtle: {
      async digest(algorithm, data) {
        const name = typeof algorithm === "string" ? algorithm : algorithm?.name;
        return host.digest(String(name).toUpperCase(), latin(bytesOf(data))).buffer;
      },
    },
    randomUUID: () => {
      const bytes = host.random(16);
      bytes[6] = (bytes[6] & 0x0f) | 0x40;
      bytes[8] = (bytes[8] & 0x3f) | 0x80;
      const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
      return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
    },
    getRandomValues: (view) => {
      bytesOf(view).set(host.random(view.byteLength));
      return view;
    },
  };

  // fetch.
  class Headers {
    #entries = [];
    constructor(from = []) {
      const entries = typeof from[Symbol.iterator] === "function" ? from : Object.entries(from);
      for (const [name, value] of entries) this.append(name, value);
    }
    append(name, value) {
      this.#entries.push([String(name).toLowerCase(), String(value)]);
    }
    set(name, value) {
      this.delete(name);
      this.append(name, value);
    }
    delete(name) {
      this.#entries = this.#entries.filter(([n]) => n !== String(name).toLowerCase());
    }
    get(name) {
      const values = this.#entries.filter(([n]) => n === String(name).toLowerCase()).map(([, value]) => value);
      return values.length > 0 ? values.join(", ") : null;
    }
    has(name) {
      return this.get(name) !== null;
    }
    forEach(action) {
      for (const [name, value] of this.#entries) action(value, name, this);
    }
    entries() {
      return this.#entries.map((entry) => [...entry]).values();
    }
    keys() {
      return this.#entries.map(([name]) => name).values();
    }
    values() {
      return this.#entries.map(([, value]) => value).values();
    }
    [Symbol.iterator]() {
      return this.entries();
    }
  }
  async function fetch(url, init = {}) {
    const headers = new Headers(init.headers ?? []);
    let { body } = init;
    if (body instanceof URLSearchParams) {
      body = body.toString();
      if (!headers.has("content-type")) headers.set("content-type", "application/x-www-form-urlencoded;charset=UTF-8");
    }
    if (body !== undefined && body !== null && typeof body !== "string") {
      if (!(body instanceof ArrayBuffer) && !ArrayBuffer.isView(body)) throw new TypeError("a body is a text, bytes or URLSearchParams");
      body = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body);
    }
    const answer = await ask("fetch", {
      url: String(url),
      method: String(init.method ?? "GET").toUpperCase(),
      headers: [...headers],
      body: body ?? null,
      follow: init.redirect !== "manual",
    });
    return {
      status: answer.status,
      ok: answer.status >= 200 && answer.status < 300,
      url: answer.url,
      headers: new Headers(answer.headers),
      text: async () => answer.body,
      json: async () => JSON.parse(answer.body),
      arrayBuffer: async () => new TextEncoder().encode(answer.body).buffer,
    };
  }

  // CommonJS.
  const loaded = new Map();
  function require(base) {
    return (name) => {
      const path = host.resolve(base, String(name));
      const known = loaded.get(path);
      if (known) return known.exports;
      const module = { exports: {} };
      loaded.set(path, module);
      const { syntax, text } = host.source(path);
      if (syntax === "json") module.exports = JSON.parse(text);
      else if (syntax === "text") module.exports = text;
      else if (syntax === "module") throw new Error(`${path} is an ES module: import it`);
      else {
        const folder = path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : ".";
        host.compile(path, text).call(module.exports, module.exports, require(path), module, path, folder);
      }
      return module.exports;
    };
  }

  function context(input) {
    const { match } = input;
    const found = match && Object.assign([...match.texts.map((text) => text ?? undefined)], { groups: match.groups });
    return {
      text: input.text,
      match: found ?? undefined,
      args: input.args ?? undefined,
      sender: input.sender ?? undefined,
      channel: input.channel ?? undefined,
      workspace: input.workspace,
      history: input.history,
      tool: input.tool,
      fetch,
      kv: {
        get: async (key) => (await ask("kv.get", { key: String(key) })) ?? undefined,
        set: (key, value) => ask("kv.set", { key: String(key), value: value ?? null }).then(() => undefined),
        delete: (key) => ask("kv.delete", { key: String(key) }).then(() => undefined),
      },
      model: {
        chat: (messages, options) =>
          ask("model.chat", { messages: typeof messages === "string" ? [{ role: "user", content: messages }] : messages, options: options ?? {} }),
      },
      secret: async (name) => (await ask("secret", { name: String(name) })) ?? undefined,
      log,
    };
  }

  function returned(value) {
    if (value === undefined || value === null || value === "") return { text: null, pass: false };
    if (typeof value === "string") return { text: value, pass: false };
    if (typeof value === "object" && typeof value.text === "string" && [undefined, true, false].includes(value.pass)) {
      return { text: value.text === "" ? null : value.text, pass: value.pass === true };
    }
    throw new TypeError("the handler returned neither a text nor { text, pass: true } nor nothing");
  }

  async function run(entry, syntax, input) {
    let handler;
    if (syntax === "common") {
      const exported = require("moltbot")(entry);
      handler = typeof exported === "function" ? exported : exported?.default;
    } else {
      handler = (await import(entry)).default;
    }
    if (typeof handler !== "function") {
      throw new TypeError(`${entry} exports no handler: write \`export default async (ctx) => …\``);
    }
    return json(returned(await handler(context(JSON.parse(input)))));
  }

  define({
    setTimeout: timer(false),
    setInterval: timer(true),
    clearTimeout: forget,
    clearInterval: forget,
    console,
    TextEncoder,
    TextDecoder,
    URL,
    URLSearchParams,
    Headers,
    crypto,
    fetch,
    PermissionError,
  });
  Object.defineProperty(globalThis, "require", { value: require("moltbot"), enumerable: false });
  return { run, settle, fire };
});
