"""Feishu's own SDK for Python against the mock: calls of the API, and the dispatcher behind a server."""
import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import lark_oapi as lark
from lark_oapi.api.im.v1 import (
    CreateMessageRequest, CreateMessageRequestBody, PatchMessageRequest, PatchMessageRequestBody,
    ReplyMessageRequest, ReplyMessageRequestBody,
)

client = lark.Client.builder().app_id("cli_mock").app_secret("feishu-app-secret").domain(os.environ["FEISHU_URL"]).build()
messages = client.im.v1.message


def create(kind, content, uuid, receiver="oc_1"):
    body = CreateMessageRequestBody.builder().receive_id(receiver).msg_type(kind).content(json.dumps(content)).uuid(uuid).build()
    return messages.create(CreateMessageRequest.builder().receive_id_type("chat_id").request_body(body).build())


def card(text):
    return {"schema": "2.0", "config": {"update_multi": True}, "body": {"elements": [{"tag": "markdown", "content": text}]}}


first = create("interactive", card("one"), "u1")
assert first.success(), first.msg
again = create("interactive", card("one"), "u1")
assert again.data.message_id == first.data.message_id
patch = PatchMessageRequestBody.builder().content(json.dumps(card("two"))).build()
edited = messages.patch(PatchMessageRequest.builder().message_id(first.data.message_id).request_body(patch).build())
assert edited.success(), edited.msg
reply = ReplyMessageRequestBody.builder().msg_type("text").content(json.dumps({"text": "three"})).reply_in_thread(True).uuid("u2").build()
replied = messages.reply(ReplyMessageRequest.builder().message_id(first.data.message_id).request_body(reply).build())
assert replied.success(), replied.msg
assert create("text", {"text": "x" * 200000}, "u3").code == 230025
assert create("sticker", {}, "u4").code == 230001

done = threading.Event()


def received(event):
    message = event.event.message
    text = json.loads(message.content)["text"]
    if text == "quit":
        done.set()
    else:
        create("text", {"text": f"echo {text}"}, message.message_id, message.chat_id)


dispatcher = (
    lark.EventDispatcherHandler.builder("feishu-encrypt-key", "feishu-verification-token")
    .register_p2_im_message_receive_v1(received)
    .build()
)


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        request = lark.RawRequest()
        request.uri = self.path
        request.headers = {name: value for name, value in self.headers.items()}
        # The server writes headers as they came; the SDK looks for its own spelling.
        for name in ("X-Lark-Request-Timestamp", "X-Lark-Request-Nonce", "X-Lark-Signature"):
            request.headers[name] = self.headers.get(name)
        request.body = self.rfile.read(int(self.headers["content-length"]))
        response = dispatcher.do(request)
        self.send_response(response.status_code)
        self.send_header("content-length", str(len(response.content)))
        self.end_headers()
        self.wfile.write(response.content)

    def log_message(self, *_):
        pass


if sys.argv[1] == "socket":
    # Its answer to "quit" shall still leave.
    threading.Thread(target=lambda: (done.wait(60), threading.Timer(1, os._exit, [0]).start()), daemon=True).start()
    lark.ws.Client("cli_mock", "feishu-app-secret", event_handler=dispatcher, domain=os.environ["FEISHU_URL"]).start()
else:
    server = HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    assert done.wait(60), "nobody said quit"
    os._exit(0)
