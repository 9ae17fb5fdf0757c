"""Does the Python SDK have the same answer, however it is asked for and wherever it comes from?"""

import json
import os

from openai import OpenAI
from openai.lib.streaming.chat import ChatCompletionStreamState

HI = [{"role": "user", "content": "Hi"}]

client = OpenAI(
    base_url=f"{os.environ['SPAFE_URL']}/v1", api_key="not-needed", max_retries=0, timeout=60
)


def whole(model):
    """The answer in one piece: what the SDK makes of it, its bytes, its head."""
    answer = client.chat.completions.with_raw_response.create(model=model, messages=HI)
    return answer.parse(), answer.content, answer.headers


def streamed(model):
    """The answer as a stream: what the SDK makes of it, its chunks, its head."""
    state, chunks = ChatCompletionStreamState(), []
    with client.chat.completions.create(
        model=model, messages=HI, stream=True, stream_options={"include_usage": True}
    ) as stream:
        for chunk in stream:
            chunks.append(chunk.to_json())
            state.handle_chunk(chunk)
        headers = stream.response.headers
    return state.get_final_completion(), chunks, headers


def plain(completion):
    """A completion without what the SDK itself adds, of which there is more in streams."""
    plain = completion.to_dict()
    for choice in plain["choices"]:
        if choice.get("logprobs") is None:
            choice.pop("logprobs", None)
        # Joining parts, the SDK sets every member that it knows.
        message = {name: value for name, value in choice["message"].items() if value is not None}
        choice["message"] = message
        for call in message.get("tool_calls", []):
            call.pop("index", None)
            call["function"].pop("parsed_arguments", None)
    if plain.get("system_fingerprint") is None:
        plain.pop("system_fingerprint", None)
    plain.setdefault("usage", None)
    return plain


for case in json.loads(os.environ["SPAFE_CASES"]):
    first, before = None, {}
    for place, ask in enumerate(case["asks"]):
        name = f"{case['name']}, answer {place}: {ask}"
        for _ in range(100):
            completion, raw, headers = (streamed if ask["stream"] else whole)(ask["model"])
            status = headers["cache-status"].split("; ")
            # What came as a stream is kept a moment after its end, and until then is joined.
            if ask["cache"] != "hit" or "collapsed" not in status:
                break
        answer = plain(completion)
        first = first or answer
        assert answer == first, f"{name}\n{str(answer)[:2000]}\n{str(first)[:2000]}"
        assert ask["cache"] in status, f"{name}: {status}"
        # A whole answer is kept to the byte, and a stream is made of it in one way.
        kind = (ask["model"], ask["stream"], ask["stream"] and ask["cache"])
        kept = before.setdefault(kind, raw)
        assert raw == kept, f"{name}\n{str(raw)[:2000]}\n{str(kept)[:2000]}"
    assert first["choices"], case
