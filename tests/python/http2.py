"""Does the Python SDK work over TLS and HTTP/2, many requests on one connection?"""

import asyncio
import os
import ssl

import httpx
from openai import AsyncOpenAI

versions = []


async def note(response):
    versions.append(response.http_version)


async def ask(client, stream):
    answer = await client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], stream=stream
    )
    if not stream:
        return answer.choices[0].message.content
    content = ""
    async for chunk in answer:
        for choice in chunk.choices:
            content += choice.delta.content or ""
    return content


async def main():
    trust = ssl.create_default_context(cafile=os.environ["SPAFE_CERTIFICATE"])
    transport = httpx.AsyncClient(http2=True, verify=trust, event_hooks={"response": [note]})
    async with AsyncOpenAI(
        base_url=f"{os.environ['SPAFE_URL']}/v1",
        api_key="not-needed",
        max_retries=0,
        http_client=transport,
    ) as client:
        answers = await asyncio.gather(*(ask(client, at % 2 == 0) for at in range(40)))
    assert all(answers), answers
    assert versions == ["HTTP/2"] * 40, versions


asyncio.run(main())
