//! What does `[bounds]` look like?

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::seconds;
use crate::config::notation::{Length, Size, Written};

/// Bounds on what a caller may send, and how slowly.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Bounds {
    /// From accepting a connection to the end of its first request head.
    pub(in crate::config) head_timeout: Written<Length>,
    /// How long an idle connection waits for its next request.
    pub(in crate::config) keep_alive: Written<Length>,
    /// Idle time and the next request head together; at least `keep_alive`.
    pub(in crate::config) next_head_timeout: Written<Length>,
    /// Requests on one connection before it is closed.
    #[schemars(range(min = 1))]
    pub(in crate::config) requests_per_connection: u32,
    /// Bytes of a request line; at most `head_bytes_max`.
    pub(in crate::config) request_line_bytes_max: Written<Size>,
    /// Bytes of a request head; at most 512KiB.
    pub(in crate::config) head_bytes_max: Written<Size>,
    /// Fields of a request head.
    #[schemars(range(min = 1, max = 256))]
    pub(in crate::config) head_fields_max: usize,
    /// Bytes of a request body; at most 1GiB.
    pub(in crate::config) body_bytes_max: Written<Size>,
    /// Bytes of a form with a file in it, as `/audio/transcriptions` takes it; at most 1GiB.
    pub(in crate::config) form_bytes_max: Written<Size>,
    /// Texts of one request for embeddings or moderations, prompts of one for completions,
    /// documents of one to rerank.
    #[schemars(range(min = 1))]
    pub(in crate::config) inputs_max: u32,
    /// From the end of the head to the first byte of the body.
    pub(in crate::config) body_first_byte_timeout: Written<Length>,
    /// Bytes a second with which a body must arrive, averaged over ten seconds.
    pub(in crate::config) body_rate_min: Written<Size>,
    /// Nesting of a JSON body.
    #[schemars(range(min = 1, max = 512))]
    pub(in crate::config) json_depth_max: usize,
    /// Keys of one object in a JSON body.
    #[schemars(range(min = 1))]
    pub(in crate::config) json_keys_max: usize,
    /// Connections of clients, all together.
    #[schemars(range(min = 1))]
    pub(in crate::config) connections_max: u32,
    /// New connections in a second, all together.
    #[schemars(range(min = 1))]
    pub(in crate::config) accepts_per_second_max: u32,
    /// Connections of one IPv4 address, or of one IPv6 /64.
    #[schemars(range(min = 1))]
    pub(in crate::config) connections_per_address_max: u32,
    /// Connections of one IPv6 /56.
    #[schemars(range(min = 1))]
    pub(in crate::config) connections_per_v6_56_max: u32,
    /// Connections of one IPv6 /48.
    #[schemars(range(min = 1))]
    pub(in crate::config) connections_per_v6_48_max: u32,
    /// Streams of one HTTP/2 connection.
    #[schemars(range(min = 1, max = 1000))]
    pub(in crate::config) h2_streams_max: u32,
    /// Bytes of an HTTP/2 request's header list; at most 512KiB.
    pub(in crate::config) h2_header_list_bytes_max: Written<Size>,
    /// How long an HTTP/2 connection without a stream is kept.
    pub(in crate::config) h2_idle: Written<Length>,
    /// Requests to models in flight, all together.
    #[schemars(range(min = 1))]
    pub(in crate::config) in_flight_max: u32,
    /// Requests to models in flight of one client; at most `in_flight_max`.
    #[schemars(range(min = 1))]
    pub(in crate::config) in_flight_per_client_max: u32,
    /// Bytes of all bodies held at the same time, of requests and of answers; at least
    /// `body_bytes_max` and `form_bytes_max`.
    pub(in crate::config) bodies_bytes_max: Written<Size>,
    /// Bytes that the process may have in memory; more than `bodies_bytes_max` and the cache's
    /// `max_bytes` together. Where a control group allows less, that.
    pub(in crate::config) memory_max: Written<Size>,
    /// How long a client may take nothing of an answer before its connection is reset.
    pub(in crate::config) write_stall: Written<Length>,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            head_timeout: seconds(10),
            keep_alive: seconds(60),
            next_head_timeout: seconds(75),
            requests_per_connection: 1_000,
            request_line_bytes_max: Written(8 << 10),
            head_bytes_max: Written(32 << 10),
            head_fields_max: 100,
            body_bytes_max: Written(10 << 20),
            form_bytes_max: Written(25 << 20),
            inputs_max: 2_048,
            body_first_byte_timeout: seconds(10),
            body_rate_min: Written(4 << 10),
            json_depth_max: 64,
            json_keys_max: 10_000,
            connections_max: 4_096,
            accepts_per_second_max: 4_096,
            connections_per_address_max: 64,
            connections_per_v6_56_max: 256,
            connections_per_v6_48_max: 1_024,
            h2_streams_max: 64,
            h2_header_list_bytes_max: Written(16 << 10),
            h2_idle: seconds(60),
            in_flight_max: 2_048,
            in_flight_per_client_max: 16,
            bodies_bytes_max: Written(256 << 20),
            memory_max: Written(1 << 30),
            write_stall: seconds(30),
        }
    }
}
