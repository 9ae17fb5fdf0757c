//! How is a call of a tool written?
//!
//! As a whole in an answer; in a stream first what is called, then what it is called with, piece
//! by piece. Every dialect that knows calls ends here.

use serde::Serialize;

use super::written::Chunks;

/// A call of a tool, or a part of one.
#[derive(Debug, Serialize)]
pub(super) struct Call<'a> {
    /// Its place among the calls, in a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u32>,
    /// What its result will be known by.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    /// `function`
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    /// What is called.
    function: Function<'a>,
}

/// What is called, and with what.
#[derive(Debug, Serialize)]
struct Function<'a> {
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    /// JSON as a text.
    arguments: &'a str,
}

/// A delta of calls alone.
#[derive(Serialize)]
pub(super) struct Calls<T> {
    /// The one there is.
    pub tool_calls: [T; 1],
}

impl<'a> Call<'a> {
    /// All of a call; `index` is told in a stream.
    pub(super) fn whole(
        index: Option<u32>,
        id: &'a str,
        name: &'a str,
        arguments: &'a str,
    ) -> Self {
        Self {
            index,
            id: Some(id),
            kind: Some("function"),
            function: Function {
                name: Some(name),
                arguments,
            },
        }
    }

    /// More of what a call is made with.
    fn more(index: u32, arguments: &'a str) -> Self {
        Self {
            index: Some(index),
            id: None,
            kind: None,
            function: Function {
                name: None,
                arguments,
            },
        }
    }
}

impl Chunks {
    /// A chunk that begins a call.
    pub(super) fn call(&self, index: u32, (id, name): (&str, &str), out: &mut Vec<u8>) {
        let tool_calls = [Call::whole(Some(index), id, name, "")];
        self.delta(&Calls { tool_calls }, out);
    }

    /// A chunk with more of what a call is made with.
    pub(super) fn arguments(&self, index: u32, arguments: &str, out: &mut Vec<u8>) {
        let tool_calls = [Call::more(index, arguments)];
        self.delta(&Calls { tool_calls }, out);
    }
}
