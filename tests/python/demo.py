"""Does every model of the demo answer the Python SDK, at once and streamed?"""

import os
import re
from concurrent.futures import ThreadPoolExecutor

import requests
from openai import OpenAI

URL = os.environ["SPAFE_URL"]
IMAGE_MODEL = "flux"
PNG = b"\x89PNG\r\n\x1a\n"

# The SDK insists on a key; the gateway does not ask for one.
client = OpenAI(base_url=f"{URL}/api/v1", api_key="not-needed", max_retries=0, timeout=60)


def the_list_is_the_list():
    listed = [model.id for model in client.models.list()]
    with open(os.environ["SPAFE_MODELS"], encoding="utf-8") as file:
        expected = file.read().split()
    assert len(listed) == 47, f"{len(listed)} models"
    assert sorted(listed) == sorted(expected), set(listed) ^ set(expected)
    with_slash = next(name for name in listed if "/" in name)
    assert client.models.retrieve(with_slash).id == with_slash
    assert client.models.retrieve(listed[0]).object == "model"
    return listed


def answers_at_once(model):
    answer = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": "Hi"}],
        temperature=0.5,
        presence_penalty=0,
        frequency_penalty=0,
        top_p=1,
    )
    assert answer.object == "chat.completion", f"{model}: {answer}"
    assert len(answer.choices) == 1, f"{model}: {answer}"
    choice = answer.choices[0]
    assert choice.finish_reason == "stop", f"{model}: {answer}"
    assert choice.message.role == "assistant", f"{model}: {answer}"
    check_content(model, choice.message.content)


def answers_streamed(model):
    content, reasons = "", []
    with client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "Hi"}], stream=True
    ) as stream:
        assert stream.response.headers["content-type"].startswith("text/event-stream")
        for chunk in stream:
            assert chunk.object == "chat.completion.chunk", f"{model}: {chunk}"
            for choice in chunk.choices:
                content += choice.delta.content or ""
                reasons.append(choice.finish_reason)
    assert reasons[-1] == "stop" and set(reasons[:-1]) <= {None}, f"{model}: {reasons}"
    check_content(model, content)


def check_content(model, content):
    assert content, f"{model}: the answer is empty"
    if model != IMAGE_MODEL:
        return
    found = re.fullmatch(r"!\[Generated Image\]\((\S+)\)", content)
    assert found, f"{model}: {content!r}"
    image = requests.get(found[1], timeout=30)
    assert image.status_code == 200, f"{found[1]}: {image.status_code}"
    assert image.headers["content-type"] == "image/png", f"{found[1]}: {image.headers}"
    assert image.content.startswith(PNG), f"{found[1]}: {image.content[:16]}"


def a_plain_post_works(model):
    """The request of the API's description, as it stands."""
    body = {
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": False,
        "model": model,
        "temperature": 0.5,
        "presence_penalty": 0,
        "frequency_penalty": 0,
        "top_p": 1,
    }
    answer = requests.post(f"{URL}/api/v1/chat/completions", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/json"), answer.headers
    check_content(model, answer.json()["choices"][0]["message"]["content"])

    body["stream"] = True
    with requests.post(
        f"{URL}/api/v1/chat/completions", json=body, stream=True, timeout=60
    ) as answer:
        lines = [line for line in answer.iter_lines() if line.startswith(b"data: ")]
    assert lines[-1] == b"data: [DONE]", lines[-1]
    assert len(lines) >= 3, lines


models = the_list_is_the_list()
with ThreadPoolExecutor(max_workers=16) as pool:
    jobs = [pool.submit(ask, model) for ask in (answers_at_once, answers_streamed) for model in models]
    jobs += [pool.submit(a_plain_post_works, model) for model in ("gpt-4o", IMAGE_MODEL)]
    for job in jobs:
        job.result()
print(f"{len(jobs)} requests answered")
