//! Does the real program do what it promises?
//!
//! One binary for all integration tests: it links once, and its kit is written
//! once. A test starts the program as an operator would, on ports the system
//! picks, and talks to it as a client or stands behind it as an upstream.
//! `make test` runs it; so does `cargo test`.

/// What the tests are written with: a gateway, an upstream, a client.
#[cfg(test)]
mod kit;

/// Pages in a real Chromium, and what browsers ask before they ask.
#[cfg(test)]
mod browser;
/// What is asked, byte for byte.
#[cfg(test)]
mod bodies;
/// What an operator types, reads and signals.
#[cfg(test)]
mod cli;
/// The real SDKs of Python, JavaScript and Rust.
#[cfg(test)]
mod sdk;
/// What the compiler cannot check about the house.
#[cfg(test)]
mod tidy;
