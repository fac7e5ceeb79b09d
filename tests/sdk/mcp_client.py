"""The official MCP client lists and calls the skills of a gateway: mcp_client.py URL"""

import asyncio
import sys

from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client


async def main(url):
    async with streamable_http_client(url) as (read, write, *_):
        async with ClientSession(read, write) as session:
            await session.initialize()
            tools = (await session.list_tools()).tools
            assert [tool.name for tool in tools] == ["greeter"], tools
            assert tools[0].input_schema["properties"]["who"] == {"type": "string"}, tools[0]
            answer = await session.call_tool("greeter", {"who": "Ann"})
            assert answer.content[0].text == "hi Ann", answer
            wrong = await session.call_tool("greeter", {"who": 7})
            assert wrong.is_error and "string" in wrong.content[0].text, wrong
    print("ok")


asyncio.run(main(sys.argv[1]))
