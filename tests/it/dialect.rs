//! Does everybody answer in OpenAI's words, whichever protocol they speak?
//!
//! The real program stands before an upstream that speaks the vendor's protocol, faults
//! included. What a caller sees is asserted together with what the upstream was asked.

/// OpenAI's protocol as Azure speaks it.
mod azure;
