//! How much may come in, and how often is it tried?

use std::time::Duration;

/// `[bounds]`
#[derive(Debug, Clone)]
pub struct Bounds {
    /// From accept to the end of the first request head.
    pub head_timeout: Duration,
    /// How long an idle connection waits for its next request.
    pub keep_alive: Duration,
    /// Idle time and the next head together.
    pub next_head_timeout: Duration,
    /// Requests on one connection before it is closed.
    pub requests_per_connection: u32,
    /// Bytes of a request line.
    pub request_line_bytes_max: usize,
    /// Bytes of a request head.
    pub head_bytes_max: usize,
    /// Fields of a request head.
    pub head_fields_max: usize,
    /// Bytes of a request body.
    pub body_bytes_max: usize,
    /// Bytes of a form with a file in it.
    pub form_bytes_max: usize,
    /// Texts, prompts or documents of one request.
    pub inputs_max: usize,
    /// From the end of the head to the first byte of the body.
    pub body_first_byte_timeout: Duration,
    /// Bytes a second a body must arrive with, averaged over ten seconds.
    pub body_rate_min: usize,
    /// Nesting of a JSON body.
    pub json_depth_max: usize,
    /// Keys of one object of a JSON body.
    pub json_keys_max: usize,
    /// How long a client may take nothing of an answer before it is reset.
    pub write_stall: Duration,
    /// Connections of clients, all together.
    pub connections_max: usize,
    /// New connections in a second, all together, ≥ 1.
    pub accepts_per_second_max: u32,
    /// Connections of one IPv4 address, or of one IPv6 /64.
    pub connections_per_address_max: usize,
    /// Connections of one IPv6 /56.
    pub connections_per_v6_56_max: usize,
    /// Connections of one IPv6 /48.
    pub connections_per_v6_48_max: usize,
    /// Streams of one HTTP/2 connection.
    pub h2_streams_max: u32,
    /// Bytes of an HTTP/2 request's header list.
    pub h2_header_list_bytes_max: usize,
    /// How long an HTTP/2 connection without a stream is kept.
    pub h2_idle: Duration,
    /// Requests to models in flight, all together.
    pub in_flight_max: usize,
    /// Requests to models in flight of one client.
    pub in_flight_per_client_max: usize,
    /// Bytes of all bodies held at the same time, of requests and of answers.
    pub bodies_bytes_max: usize,
    /// Bytes that the process may have in memory.
    pub memory_max: usize,
}

/// `[attempts]`
#[derive(Debug, Clone)]
pub struct Attempts {
    /// Attempts of one request over all pools.
    pub max: usize,
    /// Attempts of one request inside one pool.
    pub per_pool_max: usize,
    /// Statuses of an upstream after which nobody else is asked.
    pub final_statuses: Vec<u16>,
    /// The longest wait before the second attempt inside a pool.
    pub backoff: Duration,
    /// The longest such wait at all.
    pub backoff_max: Duration,
    /// Attempts beyond the first that a pool gets, in percent of its requests.
    pub budget_percent: u32,
    /// Attempts beyond the first that a pool gets each second besides.
    pub budget_per_second: u32,
    /// How long a stream is silent before a comment tells its caller that work goes on.
    pub comment_after: Duration,
}
