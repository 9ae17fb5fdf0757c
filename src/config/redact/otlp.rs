//! What may an operator see of what a collector is told?

use serde_json::{Value, json};

use crate::config::otlp::Otlp;
use crate::config::units::{duration_text, size_text};

pub(super) fn otlp(otlp: &Otlp) -> Value {
    let Otlp {
        endpoint,
        protocol,
        headers,
        timeout,
        traces,
        parent,
        metrics,
        interval,
        service_name,
        attributes,
        content_bytes,
    } = otlp;
    let header = |(name, _): &(String, _)| json!({ "name": name, "value": "***" });
    let attribute = |(name, value): &(String, String)| json!({ "name": name, "value": value });
    json!({
        "endpoint": endpoint,
        "protocol": protocol.as_str(),
        "headers": headers.iter().map(header).collect::<Vec<_>>(),
        "timeout": duration_text(*timeout),
        "traces": traces,
        "parent": parent.as_str(),
        "metrics": metrics,
        "interval": duration_text(*interval),
        "service_name": service_name,
        "attributes": attributes.iter().map(attribute).collect::<Vec<_>>(),
        "content": content_bytes.is_some(),
        "content_bytes_max": content_bytes.map(|bytes| size_text(bytes as u64)),
    })
}
