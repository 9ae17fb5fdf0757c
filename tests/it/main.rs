//! Does the real program do what it promises?
//!
//! One binary for all integration tests: it links once, and its kit is written
//! once. A test starts the program as an operator would, on ports the system
//! picks, and talks to it as a client or stands behind it as an upstream.
//! `make test` runs it; so does `cargo test --test it`.

#![expect(
    clippy::disallowed_methods,
    reason = "a test stands outside, where time passes"
)]

/// What a piece of work holds is a question of tests.
#[cfg(test)]
#[global_allocator]
static ALLOCATOR: kit::memory::Counting = kit::memory::Counting;

/// What the tests are written with: a gateway, an upstream, a client.
#[cfg(test)]
mod kit;

/// Pages in a real Chromium, and what browsers ask before they ask.
#[cfg(test)]
mod browser;
/// Where others could see two requests, or none.
#[cfg(test)]
mod protocol;
/// Who is asking: addresses, keys, balancers.
#[cfg(test)]
mod callers;
/// More than can be served: connections, requests, bodies, descriptors.
#[cfg(test)]
mod overload;
/// What everybody gets, and nobody more than that.
#[cfg(test)]
mod limits;
/// What a caller sees of its limits, and an operator of callers.
#[cfg(test)]
mod quota;
/// Health, numbers, lines, and the end.
#[cfg(test)]
mod process;
/// What a real Prometheus makes of dashboards and rules.
#[cfg(test)]
mod prometheus;
/// What is kept secret, and found nowhere.
#[cfg(test)]
mod privacy;
/// What a collector of OpenTelemetry's learns.
#[cfg(test)]
mod traces;
/// What a panic takes along.
#[cfg(test)]
mod panics;
/// What is asked, byte for byte.
#[cfg(test)]
mod bodies;
/// What is asked again, and what is not the same.
#[cfg(test)]
mod cache_key;
/// What an operator types, reads and signals.
#[cfg(test)]
mod cli;
/// The configuration, replaced under traffic.
#[cfg(test)]
mod reload;
/// Every fault, tried out by the program itself.
#[cfg(test)]
mod drill;
/// The real SDKs of Python, JavaScript and Rust.
#[cfg(test)]
mod sdk;
/// The documentation and its playground, in a real browser.
#[cfg(test)]
mod pages;
/// The operators' page, and what no other page can do there.
#[cfg(test)]
mod operator;
/// What a model is asked for that is no chat.
#[cfg(test)]
mod endpoints;
/// Streams, whole, broken and endless.
#[cfg(test)]
mod streams;
/// What is answered from memory, and who shares an answer.
#[cfg(test)]
mod cache;
/// What answers cost, and what may be spent.
#[cfg(test)]
mod costs;
/// What replicas count together, over a real Redis.
#[cfg(test)]
mod shared;
/// Who is asked, how, and what becomes of upstreams' faults.
#[cfg(test)]
mod upstreams;
/// Other protocols than OpenAI's.
#[cfg(test)]
mod dialect;
/// Callers who ask in Anthropic's words.
#[cfg(test)]
mod messages;
/// What the compiler cannot check about the house.
#[cfg(test)]
#[expect(
    clippy::string_slice,
    reason = "a place in a text comes from a search in it; a wrong one fails the test"
)]
mod tidy;
