"""Does the Python SDK get what it asks for beside chats?"""

import os

from openai import NotFoundError, OpenAI

client = OpenAI(
    base_url=f"{os.environ['SPAFE_URL']}/v1", api_key="not-needed", max_retries=0, timeout=60
)
# By the endpoint that each is there for.
MODEL = "all"
IMAGE_MODEL = "painter"


def images():
    made = client.images.generate(model=IMAGE_MODEL, prompt="A lighthouse")
    assert len(made.data) == 1, made
    assert made.data[0].url or made.data[0].b64_json, made


def speech():
    with client.audio.speech.with_streaming_response.create(
        model=MODEL, input="Hello there", voice="alloy"
    ) as answer:
        sound = b"".join(answer.iter_bytes())
    assert sound, "no sound"
    assert answer.headers["content-type"].startswith("audio/"), answer.headers
    assert client.audio.speech.create(model=MODEL, input="Hello there", voice="alloy").content == sound


def transcriptions():
    file = ("talk.wav", b"RIFF" + bytes(2000), "audio/wav")
    written = client.audio.transcriptions.create(model=MODEL, file=file)
    assert written.text, written
    plain = client.audio.transcriptions.create(model=MODEL, file=file, response_format="text")
    assert isinstance(plain, str) and plain.strip(), plain


def responses():
    answer = client.responses.create(model=MODEL, input="Hi")
    assert answer.status == "completed", answer
    assert answer.output_text, answer
    kinds, text = [], ""
    with client.responses.create(model=MODEL, input="Hi", stream=True) as stream:
        for event in stream:
            kinds.append(event.type)
            if event.type == "response.output_text.delta":
                text += event.delta
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed", kinds
    assert text == answer.output_text, text


def moderations():
    judged = client.moderations.create(model=MODEL, input=["one", "two"])
    assert len(judged.results) == 2, judged


def embeddings():
    # The SDK asks for base64 and makes numbers of it.
    made = client.embeddings.create(model=MODEL, input=["one", "two"])
    assert len(made.data) == 2 and made.data[0].index == 0, made
    assert all(isinstance(number, float) for number in made.data[1].embedding), made
    assert made.usage.prompt_tokens > 0, made


def completions():
    answer = client.completions.create(model=MODEL, prompt="Once upon")
    assert answer.choices[0].text, answer
    with client.completions.create(model=MODEL, prompt="Once upon", stream=True) as stream:
        text = "".join(chunk.choices[0].text for chunk in stream if chunk.choices)
    assert text == answer.choices[0].text, text


def elsewhere():
    try:
        client.embeddings.create(model="talker", input="one")
    except NotFoundError as error:
        assert error.code == "endpoint_not_served", error
    else:
        raise AssertionError("a model answered that is not there for it")


for ask in (images, speech, transcriptions, responses, moderations, embeddings, completions, elsewhere):
    ask()
