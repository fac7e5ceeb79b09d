"""Slack's own SDKs for Python against the mock: a Bolt app that answers, by socket and by posts."""
import os
import sys
import threading

from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler

base = os.environ["SLACK_URL"] + "/"
client = WebClient(token="xoxb-mock", base_url=base)
client.retry_handlers.append(RateLimitErrorRetryHandler(max_retry_count=3))
done = threading.Event()

who = client.auth_test()
assert who["user_id"] == "U0BOT" and who["bot_id"], who
try:
    WebClient(token="xoxb-wrong", base_url=base).auth_test()
    raise AssertionError("a wrong token was taken")
except SlackApiError as error:
    assert error.response["error"] == "invalid_auth", error.response

metadata = {"event_type": "moltbot_answer", "event_payload": {"key": "k1"}}
posted = client.chat_postMessage(channel="C7", text="one", metadata=metadata)
client.chat_update(channel=posted["channel"], ts=posted["ts"], text="two")
client.chat_postMessage(channel="C7", text="in the thread", thread_ts=posted["ts"])
history = client.conversations_history(channel="C7", include_all_metadata=True)
assert [m["text"] for m in history["messages"]] == ["two"], history
assert history["messages"][0]["metadata"]["event_payload"]["key"] == "k1", history
replies = client.conversations_replies(channel="C7", ts=posted["ts"])
assert [m["text"] for m in replies["messages"]] == ["in the thread"], replies

app = App(client=client, signing_secret="slack-signing-secret")


@app.event("message")
def message(event, say):
    if event["text"] == "quit":
        done.set()
    else:
        say(text=f"echo {event['text']}", thread_ts=event.get("thread_ts"))


@app.event("app_mention")
def mention(event, say):
    say(text="named", thread_ts=event["ts"])


if sys.argv[1] == "socket":
    handler = SocketModeHandler(app, app_token="xapp-mock")
    handler.connect()
else:
    # Bolt's own server checks the signature and the age of what is posted to it.
    threading.Thread(target=lambda: app.start(port=int(sys.argv[1])), daemon=True).start()
assert done.wait(30), "nobody said quit"
os._exit(0)
