//! How is it said to an upstream that speaks another protocol?
//!
//! A dialect lies under the exchange: what a caller asked goes in and an upstream's
//! body comes out, and the other way round what the exchange hands on is always
//! OpenAI's chat completions. Cache and relay never see a dialect. Everything here is
//! pure: bytes in, bytes out. A vendor that speaks OpenAI's protocol is no dialect; it
//! is a base address in the configuration.

/// OpenAI's `images/generations`, asked for and answered as a chat completion.
pub mod images;
