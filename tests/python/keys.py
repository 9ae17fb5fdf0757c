"""Does the Python SDK say what is wrong with a key?"""

import os

import openai

HI = [{"role": "user", "content": "Hi"}]


def ask(key, model):
    client = openai.OpenAI(base_url=os.environ["SPAFE_URL"] + "/v1", api_key=key, max_retries=0)
    assert [listed.id for listed in client.models.list()] == ["m", "other"]
    return client.chat.completions.create(model=model, messages=HI)


def check(key, model, wanted, code):
    try:
        answer = ask(key, model)
    except openai.APIStatusError as error:
        assert type(error) is wanted, f"not {wanted.__name__} but {error!r}"
        assert error.code == code, error.code
        return
    raise AssertionError(f"answered {answer}")


assert ask("canary-a", "m").choices[0].message.content
assert ask("canary-b", "other").choices[0].message.content
check("canary-none", "m", openai.AuthenticationError, "invalid_api_key")
check("canary-b", "m", openai.PermissionDeniedError, "model_not_allowed")
