"""Does the Python SDK raise the right class, with message, code and request id?"""

import json
import os

import httpx
import openai

URL = os.environ["SPAFE_URL"]
FAULTS = json.loads(os.environ["SPAFE_FAULTS"])
WORKING = os.environ["SPAFE_WORKING"]
CLASSES = {
    400: openai.BadRequestError,
    404: openai.NotFoundError,
    405: openai.APIStatusError,
    409: openai.ConflictError,
    413: openai.APIStatusError,
    415: openai.APIStatusError,
    422: openai.UnprocessableEntityError,
    429: openai.RateLimitError,
}
HI = [{"role": "user", "content": "Hi"}]

sent = []
client = openai.OpenAI(
    base_url=f"{URL}/v1",
    api_key="not-needed",
    max_retries=0,
    http_client=httpx.Client(event_hooks={"request": [sent.append]}),
)


def check(expected, call, **arguments):
    """Calls, and compares what is raised with what must be."""
    request_id = f"python-{len(sent)}"
    headers = {"x-request-id": request_id, **arguments.pop("extra_headers", {})}
    try:
        answer = call(extra_headers=headers, **arguments)
    except openai.APIStatusError as error:
        name = f"{arguments.get('model')}, {expected['status']}: {error!r}"
        wanted = CLASSES.get(expected["status"], openai.InternalServerError)
        assert type(error) is wanted, f"not {wanted.__name__} but {name}"
        assert error.status_code == expected["status"], name
        assert error.code == expected["code"], name
        assert error.type == expected["type"], name
        assert error.request_id == request_id, f"{error.request_id}: {name}"
        assert expected["words"] in error.body["message"], f"{error.body}: {name}"
        return error
    raise AssertionError(f"{expected}: answered {answer}")


def invalid(status, code, words=""):
    return {"status": status, "type": "invalid_request_error", "code": code, "words": words}


create = client.chat.completions.create
for fault in FAULTS:
    for stream in (False,) if fault["once"] else (False, True):
        check(fault, create, model=fault["model"], messages=HI, stream=stream)

unknown = check(invalid(404, "model_not_found", "nope/nope"), create, model="nope/nope", messages=HI)
assert unknown.param == "model", unknown.param
check(invalid(400, "invalid_value"), create, model=WORKING, messages="Hi")
check(invalid(400, "missing_field"), create, model=WORKING, messages=openai.omit)
check(
    invalid(413, "body_too_large"),
    create,
    model=WORKING,
    messages=[{"role": "user", "content": "x" * int(os.environ["SPAFE_BODY_BYTES_MAX"])}],
)
check(
    invalid(415, "unsupported_media_type"),
    create,
    model=WORKING,
    messages=HI,
    extra_headers={"Content-Type": "text/plain"},
)
check(invalid(404, "model_not_found"), client.models.retrieve, model="nope")
for method, path, status, code in (
    ("get", "/nothing", 404, "not_found"),
    ("get", "/chat/completions", 405, "method_not_allowed"),
):
    check(
        invalid(status, code),
        lambda extra_headers, m=method, p=path: getattr(client, m)(
            p, cast_to=object, options={"headers": extra_headers}
        ),
    )

# Where the gateway has tried already, the SDK's own two retries are spared.
patient = client.with_options(max_retries=2)
for fault in FAULTS:
    if fault["once"] or fault["code"] == "no_healthy_upstream":
        continue
    if fault["status"] == 429 or fault["status"] >= 500:
        before = len(sent)
        check(fault, patient.chat.completions.create, model=fault["model"], messages=HI)
        assert len(sent) == before + 1, f"{fault}: the SDK asked {len(sent) - before} times"

# An error inside a stream: what came before it is there, then it is raised.
received, raised = [], None
stream = create(
    model=os.environ["SPAFE_BREAKING"],
    messages=HI,
    stream=True,
    extra_headers={"x-request-id": "python-stream"},
)
try:
    for chunk in stream:
        received.append(chunk.choices[0].delta.content)
except openai.APIError as error:
    raised = error
assert received == ["Hello"], received
assert type(raised) is openai.APIError, repr(raised)
assert raised.code == "upstream_unavailable", raised.code
assert raised.type == "upstream_error", raised.type
assert "broke off" in raised.message, raised.message
assert stream.response.headers["x-request-id"] == "python-stream"
