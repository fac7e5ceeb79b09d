"""The official OpenAI SDK for Python against a running daemon: each check raises where it fails."""
import os
import time

import openai
from openai import OpenAI

client = OpenAI(base_url=os.environ["MOLTBOT_BASE_URL"], api_key="unused", max_retries=0, timeout=60)
HELLO = [{"role": "user", "content": "Say hello"}]


def raises(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


whole = client.chat.completions.create(model="real", messages=HELLO, max_tokens=8, temperature=0)
assert whole.choices[0].message.content and whole.usage.completion_tokens > 0, whole

pieces = list(client.chat.completions.create(model="real", messages=HELLO, max_tokens=8, stream=True))
assert pieces[-1].choices[0].finish_reason, pieces[-1]
assert "".join(p.choices[0].delta.content or "" for p in pieces), pieces

assert client.chat.completions.create(model="echo", messages=HELLO).choices[0].message.content == "Say hello"
echoed = client.chat.completions.create(model="echo", messages=HELLO, stream=True)
assert "".join(p.choices[0].delta.content or "" for p in echoed if p.choices) == "Say hello"

completion = client.completions.create(model="real", prompt="Once upon", max_tokens=4)
assert completion.choices[0].text, completion

vector = client.embeddings.create(model="vectors", input="reset my password").data[0].embedding
assert len(vector) > 100

assert "real" in [model.id for model in client.models.list()]
assert client.models.retrieve("echo").id == "echo"

chat = client.chat.completions
assert raises(openai.NotFoundError, lambda: chat.create(model="ecko", messages=HELLO)).code == "model_not_found"
raises(openai.NotFoundError, lambda: client.models.retrieve("nobody"))
raises(openai.RateLimitError, lambda: chat.create(model="limited", messages=HELLO))
raises(openai.InternalServerError, lambda: chat.create(model="down", messages=HELLO))
# What the gateway has repeated already, the SDK does not multiply: the test counts these calls.
retrying = client.with_options(max_retries=2)
raises(openai.InternalServerError, lambda: retrying.chat.completions.create(model="down", messages=HELLO))
raises(openai.UnprocessableEntityError, lambda: chat.create(model="picky", messages=HELLO))
raises(openai.BadRequestError, lambda: chat.create(model="", messages=HELLO))
raises(openai.APITimeoutError, lambda: chat.create(model="hangs", messages=HELLO, timeout=0.5))
raises(openai.APIError, lambda: list(chat.create(model="cut", messages=HELLO, stream=True)))

begun = time.monotonic()
stream = chat.create(model="slow", messages=HELLO, stream=True)
next(iter(stream))
assert time.monotonic() - begun < 1.5, "the first piece did not come before the rest"
stream.close()
print("every check passed")
