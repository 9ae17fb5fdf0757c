"""Does LangChain notice which dialect answers? It is told of each, one after the other."""

import json
import os

import openai
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

SETTINGS = {
    "base_url": os.environ["SPAFE_URL"] + "/v1",
    "api_key": os.environ["SPAFE_KEY"],
    "max_retries": 0,
}


@tool
def weather(city: str) -> str:
    """Tells the weather of a city."""
    return f"31 C in {city}"


@tool
def time(city: str) -> str:
    """Tells the time of a city."""
    return f"noon in {city}"


class Place(BaseModel):
    """A place where people live."""

    city: str
    inhabitants: int


def calls(chat):
    """As an agent goes on: what came of each call is said, and all is asked again."""
    tools = {"weather": weather, "time": time}
    model = chat.bind_tools(list(tools.values()))
    for streamed in (False, True):
        messages = [HumanMessage("Hi")]
        first = joined(model.stream(messages)) if streamed else model.invoke(messages)
        assert [call["name"] for call in first.tool_calls] == ["weather", "time"], first
        assert not first.invalid_tool_calls, first
        messages.append(first)
        for call in first.tool_calls:
            answer = tools[call["name"]].invoke(call)
            assert isinstance(answer, ToolMessage)
            messages.append(answer)
        second = joined(model.stream(messages)) if streamed else model.invoke(messages)
        told = "That came of it: 31 C in simulated, noon in simulated."
        assert second.content.startswith(told), second


def joined(chunks):
    whole = None
    for chunk in chunks:
        whole = chunk if whole is None else whole + chunk
    return whole


def sees(chat):
    url = f"data:image/png;base64,{os.environ['SPAFE_PICTURE']}"
    parts = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": url}},
    ]
    assert "What is it?" in chat.invoke([HumanMessage(parts)]).content


def asks(dialect):
    name = dialect["name"]
    chat = ChatOpenAI(model=name, temperature=0.5, stream_usage=True, **SETTINGS)
    whole = chat.invoke("Hi")
    assert whole.content.startswith(f"Hello! I am {name}"), whole
    assert whole.response_metadata["finish_reason"] == "stop", whole
    streamed = joined(chat.stream("Hi"))
    assert streamed.content == whole.content, streamed
    assert streamed.usage_metadata == whole.usage_metadata, (streamed, whole)
    calls(chat)
    sees(chat)
    # One way is a schema, the other a tool that must be called, and only once.
    wanted = Place(city="simulated", inhabitants=7)
    assert chat.with_structured_output(Place, method="json_schema").invoke("Hi") == wanted
    forced = chat.with_structured_output(Place, method="function_calling")
    if dialect["serial"]:
        assert forced.invoke("Hi") == wanted
    else:
        try:
            raise AssertionError(f"answered {forced.invoke('Hi')}")
        except openai.BadRequestError as error:
            assert error.param == "parallel_tool_calls", error
    try:
        ChatOpenAI(model=f"{name}-429", **SETTINGS).invoke("Hi")
        raise AssertionError("answered")
    except openai.RateLimitError as error:
        assert error.code == "upstream_rate_limited", error
    leaving = ChatOpenAI(model=f"{name}-slow", **SETTINGS).stream("Hi")
    assert next(chunk.content for chunk in leaving if chunk.content) == "Hello!"
    leaving.close()
    if dialect["embeddings"]:
        # Texts go as they are: LangChain would fetch a tokenizer from the network.
        embeddings = OpenAIEmbeddings(model=name, check_embedding_ctx_length=False, **SETTINGS)
        assert len(embeddings.embed_query("a")) == 8


for dialect in json.loads(os.environ["SPAFE_DIALECTS"]):
    try:
        asks(dialect)
    except Exception as error:
        error.add_note(f"dialect {dialect['name']}")
        raise
