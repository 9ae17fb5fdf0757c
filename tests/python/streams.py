"""Does the Python SDK notice every stream that broke, and take none of it for an answer?"""

import json
import os
import time

import openai

URL = os.environ["SPAFE_URL"]
HI = [{"role": "user", "content": "Hi"}]

client = openai.OpenAI(base_url=f"{URL}/v1", api_key="not-needed", max_retries=2)


def ask(model):
    """Asks for a stream: what came of it, why it ended, what was raised."""
    content, finished, raised = "", None, None
    try:
        for chunk in client.chat.completions.create(model=model, messages=HI, stream=True):
            for choice in chunk.choices:
                content += choice.delta.content or ""
                finished = choice.finish_reason or finished
    except openai.APIError as error:
        raised = error
    return content, finished, raised


for stream in json.loads(os.environ["SPAFE_STREAMS"]):
    began = time.monotonic()
    content, finished, raised = ask(stream["model"])
    took = time.monotonic() - began
    name = f"{stream}: {content!r}, {finished}, {raised!r}"
    assert content == stream["content"], name
    assert took < 5, f"{took} s: {name}"
    if stream["code"] is None:
        assert raised is None and finished == "stop", name
    else:
        assert type(raised) is openai.APIError, name
        assert raised.code == stream["code"], name
        assert finished is None, name

# An answer too large to be held back that breaks on its way through.
try:
    answer = client.with_options(max_retries=0).chat.completions.create(
        model=os.environ["SPAFE_SEVERED"], messages=HI
    )
except openai.APIConnectionError:
    pass
else:
    raise AssertionError(f"a part of an answer was taken for all of it: {str(answer)[:100]}")
