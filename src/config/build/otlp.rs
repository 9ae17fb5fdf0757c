//! What does `[otlp]` mean?

use super::bytes;
use crate::config::file::otlp as file;
use crate::config::otlp::{Otlp, Parent, Protocol};
use crate::names::Secret;

pub(super) fn otlp(file: file::Otlp, headers: Vec<(String, Secret)>) -> Otlp {
    let content_bytes = bytes(file.content_bytes_max.0);
    Otlp {
        endpoint: file.endpoint.0,
        protocol: match file.protocol {
            file::Protocol::Http => Protocol::Http,
            file::Protocol::Grpc => Protocol::Grpc,
        },
        headers,
        timeout: file.timeout.0,
        traces: file.traces,
        parent: match file.parent {
            file::Parent::Follow => Parent::Follow,
            file::Parent::Ignore => Parent::Ignore,
        },
        metrics: file.metrics,
        interval: file.interval.0,
        service_name: file.service_name.0,
        attributes: file
            .attributes
            .into_iter()
            .map(|attribute| (attribute.name.0, attribute.value.0))
            .collect(),
        content_bytes: file.content.then_some(content_bytes),
    }
}
