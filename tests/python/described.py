"""Does /openapi.json take every request that is served, and none of those that are refused?

What its schemas refuse, a client that was made from them and holds itself to them never sends.
"""

import json
import os

import httpx
import jsonschema_rs

PNG = "data:image/png;base64,iVBORw0KGgo="
PDF = "data:application/pdf;base64,JVBERi0="
HI = [{"role": "user", "content": "Hi"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city":"Rome"}'},
}
CAME = {"role": "tool", "tool_call_id": "call_1", "content": "31 C"}


def parts(*all):
    return [{"role": "user", "content": list(all)}]


# A request of every kind that somebody sends, by what it is.
CHATS = {
    "plain": {"messages": HI},
    "null": {"messages": HI, "temperature": None, "max_tokens": None, "n": None, "stop": None},
    "drawn": {"messages": HI, "temperature": 0.2, "top_p": 0.9, "seed": 7, "stop": ["x"]},
    "n": {"messages": HI, "n": 8},
    "streamed": {"messages": HI, "stream": True, "stream_options": {"include_usage": True}},
    "user": {"messages": HI, "user": "u" * 200},
    "tools": {"messages": HI, "tools": [WEATHER], "tool_choice": "auto"},
    "tool round trip": {
        "messages": [
            {"role": "developer", "content": "Use your tools."},
            *HI,
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            CAME,
        ],
        "tools": [WEATHER],
    },
    "tool round trip without content": {
        "messages": [*HI, {"role": "assistant", "tool_calls": [CALL]}, CAME],
        "tools": [WEATHER],
    },
    "tool round trip as it was answered": {
        "messages": [
            *HI,
            {
                "role": "assistant",
                "content": None,
                "refusal": None,
                "annotations": [],
                "tool_calls": [CALL],
            },
            {**CAME, "content": [{"type": "text", "text": "31 C"}]},
        ],
    },
    "functions": {
        "messages": [
            *HI,
            {
                "role": "assistant",
                "content": None,
                "function_call": {"name": "weather", "arguments": "{}"},
            },
            {"role": "function", "name": "weather", "content": "31 C"},
        ],
        "functions": [WEATHER["function"]],
    },
    "texts": {"messages": parts({"type": "text", "text": "Hi"}, {"type": "text", "text": "you"})},
    "image": {
        "messages": parts(
            {"type": "text", "text": "What is it?"},
            {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
        )
    },
    "sound": {
        "messages": parts(
            {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}
        )
    },
    "file": {
        "messages": parts(
            {"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}},
            {"type": "file", "file": {"file_id": "file-1"}},
        )
    },
    "refusal": {
        "messages": [
            *HI,
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
            *HI,
        ]
    },
    "part of another kind": {
        "messages": parts({"type": "video_url", "video_url": {"url": "https://a.example/v.mp4"}})
    },
}
SYSTEM_INSIDE = [*HI, {"role": "system", "content": "From now on, in verse."}]
MESSAGES = {
    "system inside": {"max_tokens": 50, "messages": SYSTEM_INSIDE},
    "plain": {"max_tokens": 50, "messages": HI},
    "streamed": {"max_tokens": 50, "messages": HI, "stream": True},
    "system": {"max_tokens": 50, "messages": HI, "system": [{"type": "text", "text": "Be brief."}]},
    "tool round trip": {
        "max_tokens": 50,
        "messages": [
            *HI,
            {
                "role": "assistant",
                "content": [
                    {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Rome"}}
                ],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "31 C"}],
            },
        ],
        "tools": [{"name": "weather", "input_schema": {"type": "object"}}],
    },
}
FURTHER = {
    "/completions": [
        {"prompt": "Once"},
        {"prompt": ["Once", "Twice"]},
        {"prompt": [9906, 11, 1917]},
        {"prompt": [[9906, 11], [1917]]},
    ],
    "/embeddings": [
        {"input": "Once"},
        {"input": ["Once", "Twice"], "dimensions": 4},
        {"input": [9906, 11, 1917]},
        {"input": [[9906, 11], [1917]]},
        {"input": [{"text": "Once"}, {"image": PNG}]},
    ],
    "/images/generations": [{"prompt": "A lighthouse", "n": 2, "size": "1024x1024"}],
    "/responses": [
        {"input": "Hi"},
        {"input": "Hi", "max_output_tokens": 16, "stream": True},
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}]},
        {
            "input": [
                {"role": "user", "content": "Hi"},
                {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c1", "output": "31 C"},
            ]
        },
    ],
    "/audio/speech": [
        {"input": "Hi", "voice": "alloy"},
        {"input": "Hi", "voice": {"id": "voice_1"}},
        {"input": "Hi"},
    ],
    "/moderations": [
        {"input": "Hi"},
        {"input": ["Hi", "you"]},
        {
            "input": [
                {"type": "text", "text": "Hi"},
                {"type": "image_url", "image_url": {"url": PNG}},
            ]
        },
    ],
    "/rerank": [
        {"query": "fox", "documents": ["a fox", "a hen"], "top_n": 1},
        {"query": "fox", "documents": [{"text": "a fox"}, {"text": "a hen", "id": 2}]},
    ],
}
# What the simulator, or OpenAI's protocol, has no answer for, and an upstream may.
ELSEWHERE = {
    "/messages": [{"max_tokens": 0, "messages": HI}],
    "/messages/count_tokens": [{"messages": HI}, {"messages": SYSTEM_INSIDE}],
    "/responses": [
        {"prompt": {"id": "pmpt_1", "variables": {"city": "Rome"}}},
        {"input": None, "prompt": {"id": "pmpt_1"}},
    ],
    "/rerank": [{"query": {"image": PNG}, "documents": [{"image": PNG}]}],
}
# What nobody serves: the schemas say something.
REFUSED = {
    "/chat/completions": [
        {"messages": HI, "n": 0},
        {"messages": "Hi"},
        {"messages": []},
        {"messages": [{"content": "Hi"}]},
        {"messages": [{"role": "owl", "content": "Hi"}]},
        {"messages": [{"role": "user", "content": 7}]},
        {"messages": parts({"text": "Hi"})},
        {"messages": parts({"type": "input_audio", "input_audio": {"format": "wav"}})},
        *(
            {"messages": parts({"type": kind})}
            for kind in ("text", "image_url", "input_audio", "file", "refusal")
        ),
        {"messages": HI, "stream": "yes"},
    ],
    "/messages": [{"messages": HI}, {"max_tokens": -1, "messages": HI}],
    "/completions": [{}, {"prompt": []}, {"prompt": 7}, {"prompt": {"text": "Once"}}],
    "/embeddings": [{}, {"input": []}, {"input": {"text": "Once"}}],
    "/responses": [{"input": 7}, {"prompt": "pmpt_1"}],
    "/moderations": [{"input": []}, {"input": {"type": "text", "text": "Hi"}}],
    "/rerank": [{"query": "fox", "documents": []}, {"documents": ["a fox"]}],
}


client = httpx.Client(base_url=os.environ["SPAFE_URL"], timeout=60)
description = client.get("/openapi.json").raise_for_status().json()


def faults(path, body):
    """What is wrong with a body by the description."""
    asked = description["paths"]["/v1" + path]["post"]["requestBody"]["content"]
    # Its references are to the whole document's components.
    schema = {**asked["application/json"]["schema"], "components": description["components"]}
    found = jsonschema_rs.validator_for(schema).iter_errors(body)
    return [f"{error.instance_path}: {error.message}"[:300] for error in found]


wrong = []


def takes(path, body, name=""):
    body = {"model": "any", **body}
    for fault in faults(path, body):
        wrong.append(f"{path} {name}: {json.dumps(body)[:200]}: {fault}")
    return body


def answers(path, body, name=""):
    answer = client.post("/v1" + path, json=takes(path, body, name))
    if answer.status_code != 200:
        wrong.append(f"{path} {name}: {answer.status_code} {answer.text[:300]}")


for path, asked in (("/chat/completions", CHATS), ("/messages", MESSAGES)):
    for name, body in asked.items():
        answers(path, body, name)
for path, bodies in FURTHER.items():
    for body in bodies:
        answers(path, body)
for path, bodies in ELSEWHERE.items():
    for body in bodies:
        takes(path, body)
for path, bodies in REFUSED.items():
    for body in bodies:
        if not faults(path, {"model": "any", **body}):
            wrong.append(f"{path} takes {json.dumps(body)}")
        if not faults(path, {**body, "model": 7}):
            wrong.append(f"{path} takes a model that is none")
assert not wrong, "\n".join(wrong)
