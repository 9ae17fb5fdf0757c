//! Tables of streams and what is found in them.
