// What is somebody told who is no programmer?

/** By code: a title, what it means, and whether trying again may help. */
const BY_CODE = {
  rate_limit_exceeded: ['You are asking too often', 'Only so many questions are answered in a while. Yours will be, after a short wait.', true],
  token_limit_exceeded: ['You have used up your tokens for now', 'Long questions and answers count for more. Wait, or ask for something shorter.', true],
  budget_exceeded: ['The budget is spent', 'It begins anew at the time that is told. A model that costs less may still answer.', false],
  concurrency_limit_exceeded: ['Too many of your questions are being answered', 'Wait until one of them is done.', true],
  upstream_rate_limited: ['This model is in great demand', 'Whoever runs it lets in no more questions for the moment. Wait, or choose another model.', true],
  overloaded: ['Too much is going on right now', 'Your question was fine. Try it again in a moment.', true],
  no_healthy_upstream: ['This model is not available', 'Nobody who runs it can be reached at the moment. Choose another model, or come back later.', true],
  upstream_unavailable: ['The model could not be reached', 'Your question was fine; whoever runs this model did not answer properly. Try again, or choose another model.', true],
  upstream_invalid_response: ['The model gave no usable answer', 'Your question was fine; what came back was not an answer. Try again, or choose another model.', true],
  upstream_auth: ['This model is not set up properly', 'Whoever runs it does not let this service in, or not for this question: choose another model, or a smaller max_tokens. Its operator has to see to it.', false],
  upstream_timeout: ['The model took too long', 'Try again, ask for less, or choose another model.', true],
  connection_lost: ['The connection was lost', 'What you see of the answer is not all of it.', true],
  unreachable: ['This service cannot be reached', 'Check your connection, then try again.', true],
  invalid_api_key: ['A key is needed', 'Type the key you were given into the field above and try again.', true],
  unusable_key: ['This key cannot be right', 'It has spaces, or characters that no key has. Copy it once more into the field above, then try again.', true],
  client_denied: ['You are not served here', 'The operator of this service does not let your address in.', false],
  model_not_allowed: ['Your key is not for this model', 'Choose another model.', false],
  model_not_found: ['There is no such model', 'Choose one of the list.', false],
  body_too_large: ['This conversation has become too long', 'Begin a new one, or send less.', false],
};

/** For what has no code of its own. */
const BY_STATUS = [
  [429, BY_CODE.overloaded],
  [500, ['Something went wrong here', 'That is not your fault. Try again.', true]],
  [400, ['The question was not taken', 'This is what was said about it:', false]],
];

export function words(trouble) {
  const by = BY_CODE[trouble.code]
    ?? BY_STATUS.find(([status]) => status === trouble.status)?.[1]
    ?? (trouble.status >= 500 || trouble.began ? BY_STATUS[1][1] : BY_STATUS[2][1]);
  const [title, meaning, again] = by;
  const began = trouble.began ? 'What you see of the answer is not all of it. ' : '';
  return { title, meaning: began && trouble.code !== 'connection_lost' ? began + meaning : meaning, again };
}

/** How long somebody has to wait, for reading. */
export function waiting(ms) {
  const seconds = Math.ceil(ms / 1000);
  if (seconds < 90) return `${seconds} second${seconds === 1 ? '' : 's'}`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 90 ? `${minutes} minutes` : `${Math.ceil(minutes / 60)} hours`;
}
