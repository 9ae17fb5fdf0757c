"""Does the Python SDK, as it comes, get over a limit by itself?"""

import os
import time

import httpx
import openai

answers = []


def note(answer):
    answers.append((answer.status_code, answer.headers, time.monotonic()))


client = openai.OpenAI(
    base_url=f"{os.environ['SPAFE_URL']}/v1",
    api_key="not-needed",
    http_client=httpx.Client(event_hooks={"response": [note]}),
)

for stream in (False, True):
    answers.clear()
    told = client.chat.completions.create(
        model=os.environ["SPAFE_MODEL"],
        messages=[{"role": "user", "content": "Hi"}],
        stream=stream,
    )
    content = "".join(part.choices[0].delta.content or "" for part in told) if stream else told.choices[0].message.content
    assert content, "an empty answer"
    statuses = [status for status, _, _ in answers]
    if not stream:
        assert statuses == [200], statuses
        continue
    # Refused once, told when to come back, and served then.
    assert statuses == [429, 200], statuses
    (_, refused, came), (_, served, again) = answers
    assert int(refused["retry-after"]) >= 1, refused
    wait = int(refused["retry-after-ms"]) / 1000
    assert 0 < wait <= 2, refused
    assert again - came >= wait, f"back after {again - came} s of {wait} s"
    assert "x-should-retry" not in refused, refused
    assert refused["x-ratelimit-remaining-requests"] == "0", refused
    assert served["x-ratelimit-limit-requests"] == "1", served
