"""Does Anthropic's own SDK work against every model, whatever protocol is behind it?"""

import base64
import os

import anthropic

URL = os.environ["SPAFE_URL"]
client = anthropic.Anthropic(base_url=URL, api_key="not-needed", max_retries=0, timeout=60)
TOOLS = [
    {
        "name": name,
        "description": "Tells something about a place.",
        "input_schema": {
            "type": "object",
            "properties": {"at": {"type": "string"}},
            "required": ["at"],
        },
    }
    for name in ("weather", "time")
]


def ask(model, **members):
    members.setdefault("messages", [{"role": "user", "content": "Hi"}])
    return client.messages.create(model=model, max_tokens=1000, **members)


def answers_whole(model):
    message = ask(model, system="Be brief.")
    assert message.type == "message" and message.role == "assistant", message
    assert message.content[0].type == "text" and message.content[0].text, message
    assert message.stop_reason == "end_turn", message
    assert message.usage.output_tokens > 0, message
    assert message._request_id, message


def answers_streamed(model):
    texts = []
    with client.messages.stream(
        model=model, max_tokens=1000, messages=[{"role": "user", "content": "Hi"}]
    ) as stream:
        for text in stream.text_stream:
            texts.append(text)
        message = stream.get_final_message()
    assert len(texts) > 1, texts
    assert "".join(texts) == message.content[0].text, message
    assert message.stop_reason == "end_turn", message
    assert message.usage.input_tokens > 0 and message.usage.output_tokens > 0, message


def calls_tools(model, streamed):
    messages = [{"role": "user", "content": "Weather and time in Oslo?"}]
    members = {"model": model, "max_tokens": 1000, "tools": TOOLS}
    if streamed:
        with client.messages.stream(messages=messages, **members) as stream:
            message = stream.get_final_message()
    else:
        message = client.messages.create(messages=messages, **members)
    assert message.stop_reason == "tool_use", message
    calls = [block for block in message.content if block.type == "tool_use"]
    assert [call.name for call in calls] == ["weather", "time"], message
    assert all(isinstance(call.input, dict) for call in calls), message
    results = [
        {"type": "tool_result", "tool_use_id": call.id, "content": f"result of {call.name}"}
        for call in calls
    ]
    messages += [
        {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in message.content]},
        {"role": "user", "content": results},
    ]
    second = client.messages.create(messages=messages, **members)
    assert second.stop_reason == "end_turn", second
    text = "".join(block.text for block in second.content if block.type == "text")
    assert text, second


def sees(model):
    data = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
    source = {"type": "base64", "media_type": "image/png", "data": data}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "What is it?"}]
    assert ask(model, messages=[{"role": "user", "content": content}]).content[0].text


def counts():
    messages = [{"role": "user", "content": "Hi there"}]
    counted = client.messages.count_tokens(model="claude", system="Be brief.", messages=messages, tools=TOOLS)
    assert counted.input_tokens > 0, counted
    try:
        client.messages.count_tokens(model="gpt", messages=messages)
    except anthropic.NotFoundError as error:
        assert error.body["error"]["type"] == "not_found_error", error.body
    else:
        raise AssertionError("a model whose upstream counts nothing had a count")


def refuses():
    try:
        ask("no-such-model")
    except anthropic.NotFoundError as error:
        assert error.body["error"]["type"] == "not_found_error", error.body
        assert error.request_id, error
    else:
        raise AssertionError("an unknown model answered")
    try:
        ask("gpt", extra_body={"top_k": 5})
    except anthropic.BadRequestError as error:
        assert "top_k" in error.message, error
    else:
        raise AssertionError("top_k was taken")


for model in ("gpt", "claude"):
    answers_whole(model)
    answers_streamed(model)
    sees(model)
for model in ("caller", "claude"):
    calls_tools(model, streamed=False)
    calls_tools(model, streamed=True)
counts()
refuses()
