//! What is said beside a span or a point?
//!
//! Names with values, as OTLP writes them, and of this service the few by which it is known there.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::config::otlp::Otlp as Config;

/// A name with a text.
#[must_use]
pub fn text(name: &str, value: impl Into<String>) -> KeyValue {
    said(name, Value::StringValue(value.into()))
}

/// A name with a number.
#[must_use]
pub fn number(name: &str, value: u64) -> KeyValue {
    let value = i64::try_from(value).unwrap_or(i64::MAX);
    said(name, Value::IntValue(value))
}

/// A name with yes or no.
#[must_use]
pub fn flag(name: &str, value: bool) -> KeyValue {
    said(name, Value::BoolValue(value))
}

/// A name with texts.
#[must_use]
pub fn texts(name: &str, values: &[&str]) -> KeyValue {
    let values = values.iter().map(|value| AnyValue {
        value: Some(Value::StringValue((*value).to_owned())),
    });
    let values = values.collect();
    said(name, Value::ArrayValue(ArrayValue { values }))
}

fn said(name: &str, value: Value) -> KeyValue {
    KeyValue {
        key: name.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

/// Who tells it: this service, and what the configuration says of it.
pub(super) fn resource(config: &Config, instance: &str) -> Resource {
    let ours = [
        ("service.name", config.service_name.as_str()),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("service.instance.id", instance),
    ];
    let own = &config.attributes;
    let is_own = |name: &str| own.iter().any(|(own, _)| own == name);
    let ours = ours.into_iter().filter(|(name, _)| !is_own(name));
    let own = own
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    Resource {
        attributes: ours
            .chain(own)
            .map(|(name, value)| text(name, value))
            .collect(),
        ..Resource::default()
    }
}

/// What of it tells it.
pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "spafe".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}
