"""What do callers with the SDK's own retries do to upstreams that are all down?"""

import os
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai

URL = os.environ["SPAFE_URL"]
MODEL = os.environ["SPAFE_MODEL"]
CALLERS = int(os.environ["SPAFE_CALLERS"])
CALLS = int(os.environ["SPAFE_CALLS"])

sent = []


def caller(number):
    """Asks one after the other, as patient as the SDK is by default."""
    client = openai.OpenAI(
        base_url=f"{URL}/v1",
        api_key="not-needed",
        max_retries=2,
        http_client=httpx.Client(event_hooks={"request": [sent.append]}),
    )
    for call in range(CALLS):
        try:
            client.chat.completions.create(
                model=MODEL,
                messages=[{"role": "user", "content": "Hi"}],
                stream=(number + call) % 2 == 0,
            )
        except openai.InternalServerError as error:
            assert error.status_code in (502, 503, 504), error
        else:
            raise AssertionError("there was an answer")


with ThreadPoolExecutor(CALLERS) as pool:
    list(pool.map(caller, range(CALLERS)))

# The gateway has tried already and says so.
assert len(sent) == CALLERS * CALLS, f"{len(sent)} requests for {CALLERS * CALLS} calls"
