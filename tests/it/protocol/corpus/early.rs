//! Requests that are answered without their bodies, which are requests.
//!
//! A server that answers before it has read a body may forget that there was one.

use super::Fate::{Refused, Told};
use super::{Row, whole};

#[rustfmt::skip]
pub(in super::super) const EARLY: &[Row] = &[
    whole("request in a body of a list", b"GET /v1/models HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: {T}\r\n\r\n{S}", Told(200)),
    whole("request in chunks of a list", b"GET /v1/models HTTP/1.1\r\nHost: gateway.test\r\nTransfer-Encoding: chunked\r\n\r\n{U}\r\n{S}\r\n0\r\n\r\n", Told(200)),
    whole("request behind no chunk of a list", b"GET /v1/models HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: {T}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{S}", Told(200)),
    whole("request in a list whose length stands twice", b"GET /v1/models HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: {T}, {T}\r\n\r\n{S}", Told(200)),
    whole("request in a list with two lengths", b"GET /v1/models HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: {T}\r\nContent-Length: 0\r\n\r\n{S}", Refused),
    whole("request in a list with a folded length", b"GET /v1/models HTTP/1.1\r\nHost: gateway.test\r\nContent-Length:\r\n {T}\r\n\r\n{S}", Refused),
    whole("request in a list with a length before a space", b"GET /v1/models HTTP/1.1\r\nHost: gateway.test\r\nContent-Length : {T}\r\n\r\n{S}", Refused),
    whole("request in a list with a length behind a line feed", b"GET /v1/models HTTP/1.1\r\nHost: gateway.test\r\nX: y\nContent-Length: {T}\r\n\r\n{S}", Told(200)),
    whole("request in a list with an odd coding", b"GET /v1/models HTTP/1.1\r\nHost: gateway.test\r\nTransfer-Encoding: \x0bchunked\r\n\r\n{U}\r\n{S}\r\n0\r\n\r\n", Refused),
    whole("request in a list that waits for a word", b"GET /v1/models HTTP/1.1\r\nHost: gateway.test\r\nExpect: 100-continue\r\nContent-Length: {T}\r\n\r\n{S}", Told(200)),
    whole("request in an old list", b"GET /v1/models HTTP/1.0\r\nHost: gateway.test\r\nConnection: keep-alive\r\nContent-Length: {T}\r\n\r\n{S}", Told(200)),
    whole("request in a body that does not end", b"GET /v1/models HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: 60000\r\n\r\n{S}", Told(200)),
    whole("request in a body of a model", b"GET /v1/models/gpt-4o HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: {T}\r\n\r\n{S}", Told(200)),
    whole("request in a body of nothing", b"POST /v1/nothing HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: {T}\r\n\r\n{S}", Told(404)),
    whole("request in chunks of nothing", b"POST /v1/nothing HTTP/1.1\r\nHost: gateway.test\r\nTransfer-Encoding: chunked\r\n\r\n{U}\r\n{S}\r\n0\r\n\r\n", Told(404)),
    whole("request in a body of no image", b"GET /images/none HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: {T}\r\n\r\n{S}", Told(404)),
    whole("request in a body of an answer that is not kept", b"GET /v1/responses/resp_1 HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: {T}\r\n\r\n{S}", Told(404)),
    whole("request in a body of another method", b"PUT /v1/chat/completions HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: {T}\r\n\r\n{S}", Told(405)),
    whole("request in a body of another type", b"POST /v1/chat/completions HTTP/1.1\r\nHost: gateway.test\r\nContent-Type: text/plain\r\nContent-Length: {T}\r\n\r\n{S}", Told(415)),
    whole("request in chunks of another type", b"POST /v1/chat/completions HTTP/1.1\r\nHost: gateway.test\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n{U}\r\n{S}\r\n0\r\n\r\n", Told(415)),
    whole("request in a body of no type", b"POST /v1/embeddings HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: {T}\r\n\r\n{S}", Told(415)),
    whole("request in a body that is too large", b"POST /v1/chat/completions HTTP/1.1\r\nHost: gateway.test\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n{S}", Told(413)),
    whole("request in a body that waits for another word", b"POST /v1/chat/completions HTTP/1.1\r\nHost: gateway.test\r\nContent-Type: application/json\r\nExpect: y\r\nContent-Length: {T}\r\n\r\n{S}", Told(417)),
    whole("request in a body of a browser's question", b"OPTIONS /v1/chat/completions HTTP/1.1\r\nHost: gateway.test\r\nOrigin: https://app.example\r\nAccess-Control-Request-Method: POST\r\nContent-Length: {T}\r\n\r\n{S}", Told(204)),
    whole("request in chunks of a browser's question", b"OPTIONS /v1/chat/completions HTTP/1.1\r\nHost: gateway.test\r\nOrigin: https://app.example\r\nAccess-Control-Request-Method: POST\r\nTransfer-Encoding: chunked\r\n\r\n{U}\r\n{S}\r\n0\r\n\r\n", Told(204)),
    whole("request in a body of a question about everything", b"OPTIONS * HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: {T}\r\n\r\n{S}", Told(204)),
    whole("request in a body of a page", b"GET / HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: {T}\r\n\r\n{S}", Told(200)),
    whole("request in a body of a description", b"GET /openapi.json HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: {T}\r\n\r\n{S}", Told(200)),
    whole("request in a body without a host", b"GET /v1/models HTTP/1.1\r\nContent-Length: {T}\r\n\r\n{S}", Told(400)),
    whole("request in a body of a request that is none", b"POST /v1/chat/completions HTTP/1.1\r\nHost: gateway.test\r\nContent-Type: application/json\r\nContent-Length: {T}\r\n\r\n{S}", Told(400)),
    whole("request in chunks of a request that is none", b"POST /v1/chat/completions HTTP/1.1\r\nHost: gateway.test\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{U}\r\n{S}\r\n0\r\n\r\n", Told(400)),
];
